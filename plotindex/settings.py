"""The one reader of options, environment and plotindex.toml."""

import os
import sys
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from hashlib import blake2b
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import platformdirs

from plotindex.errors import SettingsError
from plotindex.layout import Layout, is_name, is_text

CONFIG_FILE = "plotindex.toml"
SHORTEST_KEY = 16


def _setting(parse: Callable[[str, Any], Any], default: object) -> Any:  # noqa: ANN401 - as dataclasses.field
    return field(default=default, metadata={"parse": parse})


def _text(name: str, value: Any) -> str:  # noqa: ANN401 - TOML and environment hold anything
    if not isinstance(value, str) or not value or not is_text(value) or "\0" in value:
        raise SettingsError(f"{name} must be text that is not empty, not {value!r}.")
    return value


def _path(name: str, value: Any) -> Path:  # noqa: ANN401 - see above
    text = _text(name, str(value) if isinstance(value, Path) else value)
    try:
        return Path(os.path.abspath(Path(text).expanduser()))
    except RuntimeError:
        raise SettingsError(f"{name} must be a path whose home directory is known, not {value!r}.") from None


def _whole(lowest: int, highest: int) -> Callable[[str, Any], int]:
    def parse(name: str, value: Any) -> int:  # noqa: ANN401 - see above
        try:
            number = int(value) if isinstance(value, str | int) and not isinstance(value, bool) else None
        except ValueError:
            number = None
        if number is None or not lowest <= number <= highest:
            raise SettingsError(f"{name} must be a whole number from {lowest} to {highest}, not {value!r}.")
        return number

    return parse


def _one_of(**choices: object) -> Callable[[str, Any], Any]:
    def parse(name: str, value: Any) -> Any:  # noqa: ANN401 - see above
        for choice, meaning in choices.items():
            if value in (choice, meaning) and isinstance(value, type(meaning) | str):
                return meaning
        raise SettingsError(f"{name} must be one of {', '.join(choices)}, not {value!r}.")

    return parse


def _prefix(name: str, value: Any) -> str:  # noqa: ANN401 - see above
    prefix = "/" + _text(name, value).strip("/")
    if any(c in prefix for c in "<>?# "):
        raise SettingsError(f"{name} must be a plain path such as /api/smartstat, not {value!r}.")
    return prefix if prefix != "/" else ""


def _pattern(name: str, value: Any) -> str:  # noqa: ANN401 - see above
    pattern = _text(name, value)
    if not is_name(pattern):
        raise SettingsError(f"{name} must match one folder name, such as project_*, not {value!r}.")
    return pattern


def _suffixes(name: str, value: Any) -> frozenset[str]:  # noqa: ANN401 - see above
    given = value.replace(",", " ").split() if isinstance(value, str) else value
    if not isinstance(given, list | tuple | set | frozenset) or not given:
        raise SettingsError(f"{name} must be a list of suffixes such as .png .svg, not {value!r}.")
    for suffix in given:
        if not isinstance(suffix, str) or suffix.lower() not in MEDIA_TYPES:
            raise SettingsError(f"{name} can hold {' '.join(MEDIA_TYPES)}, not {suffix!r}.")
    return frozenset(suffix.lower() for suffix in given)


def _keys(name: str, value: Any) -> tuple[str, ...]:  # noqa: ANN401 - see above
    keys = tuple(value.split() if isinstance(value, str) else value) if isinstance(value, str | list | tuple) else ()
    if not keys or not all(isinstance(key, str) and is_text(key) and len(key) >= SHORTEST_KEY for key in keys):
        # What was given is not repeated: it may be nearly the right one.
        raise SettingsError(
            f"{name} must be one or more keys of at least {SHORTEST_KEY} characters, the newest first: "
            "`openssl rand -hex 32` makes one."
        )
    return keys


def _url(name: str, value: Any) -> str:  # noqa: ANN401 - see above
    parts = urlsplit(text := _text(name, value))
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise SettingsError(f"{name} must be an address such as https://plots.example.org, not {value!r}.")
    return text.rstrip("/")


MEDIA_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".svg": "image/svg+xml",
    ".gif": "image/gif",
    ".webp": "image/webp",
}
"""What can be a plot, and what it is served as."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every setting, checked. In the environment: `PLOTINDEX_` + upper case; `database` is PLOTINDEX_DATABASE_URL."""

    root: Path = _setting(_path, None)
    database: str = _setting(_text, None)
    state_dir: Path = _setting(_path, None)
    host: str = _setting(_text, "127.0.0.1")
    port: int = _setting(_whole(1, 65535), 8517)
    url_prefix: str = _setting(_prefix, "/api/smartstat")
    project_pattern: str = _setting(_pattern, "project_*")
    suffixes: frozenset[str] = _setting(_suffixes, frozenset(MEDIA_TYPES))
    rescan_seconds: int = _setting(_whole(1, 10**8), 3600)
    poll_seconds: int = _setting(_whole(1, 10**8), 30)
    polling: str = _setting(_one_of(auto="auto", always="always", never="never"), "auto")
    max_plots_per_session: int = _setting(_whole(1, 10**9), 100_000)
    max_depth: int = _setting(_whole(0, 1000), 32)
    heal: bool = _setting(_one_of(on=True, off=False), True)
    workers: int = _setting(_whole(1, 256), 1)
    threads: int = _setting(_whole(1, 1024), 4)
    thumbnails_mb: int = _setting(_whole(0, 10**6), 512)
    x_accel_prefix: str = _setting(_prefix, "")
    public_url: str | None = _setting(_url, None)
    proxies: int = _setting(_whole(0, 10), 0)
    secret_key: tuple[str, ...] = _setting(_keys, ())
    access_log: bool = _setting(_one_of(on=True, off=False), True)
    log_format: str = _setting(_one_of(text="text", json="json"), "text")

    @property
    def layout(self) -> Layout:
        return Layout(self.project_pattern, self.suffixes, self.max_depth, self.max_plots_per_session)

    @property
    def state_folder(self) -> Path:
        """Where the state of this root lives: outside it, since scripts can write there."""
        digest = blake2b(os.fsencode(self.root), digest_size=4).hexdigest()
        # Short enough for a file system, whatever the root is called.
        name = self.root.name.encode()[:200].decode(errors="ignore") or "root"
        return self.state_dir / f"{name}-{digest}"

    @property
    def catalog_place(self) -> str | Path:
        """The database: a URL that was given, or a file in the state folder."""
        return self.database or self.state_folder / "catalog.db"

    @property
    def barrier_folder(self) -> Path:
        """Where `plotindex sync` asks the indexer."""
        return self.state_folder / "sync"

    def make_state_folder(self) -> Path:
        """The state folder, made when it is not there, readable by its owner alone.

        Raises:
            SettingsError: it cannot be made.
        """
        try:
            # Each by itself: the mode is only for the last one, and who can write its parent can replace it.
            for folder in reversed([self.state_folder, *self.state_folder.parents]):
                if not folder.exists():
                    folder.mkdir(mode=0o700, exist_ok=True)
            self.state_folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise SettingsError(
                f"The state folder {self.state_folder} cannot be made ({error.strerror}): set PLOTINDEX_STATE_DIR."
            ) from None
        return self.state_folder

    def check_root(self) -> None:
        """Check that the root is a directory that can be listed.

        Raises:
            SettingsError: it is none.
        """
        try:
            os.scandir(self.root).close()
        except FileNotFoundError:
            raise SettingsError(f"The root {self.root} does not exist: create it, or name another --root.") from None
        except NotADirectoryError:
            raise SettingsError(
                f"The root {self.root} is a file: name the directory that holds the sessions with --root."
            ) from None
        except OSError as error:
            raise SettingsError(
                f"The root {self.root} cannot be read ({error.strerror}): let this user read it, or name another."
            ) from None

    def as_environment(self) -> dict[str, str]:
        """The environment in which a child process reads these settings, and no file."""
        given = {name: getattr(self, name) for name in PARSERS if getattr(self, name) not in (None, ())}
        return {"PLOTINDEX_CONFIG": os.devnull, **{variable(name): _as_text(value) for name, value in given.items()}}


def _as_text(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    # An empty variable counts as unset; "/" is the prefix that is empty.
    if isinstance(value, frozenset):
        return " ".join(sorted(value))
    return " ".join(value) if isinstance(value, tuple) else str(value) or "/"


PARSERS: dict[str, Callable[[str, Any], Any]] = {f.name: f.metadata["parse"] for f in fields(Settings)}


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return "PLOTINDEX_DATABASE_URL" if name == "database" else f"PLOTINDEX_{name.upper()}"


def load_settings(
    options: Mapping[str, object | None],
    environment: Mapping[str, str] = os.environ,
    config: Path | None = None,
    name_option: Callable[[str], str] = lambda name: "--" + name.replace("_", "-"),
) -> Settings:
    """Settings from options, then the environment, then the file, then the defaults: the first that is given counts.

    `name_option` says what an option is called where it was given.

    Raises:
        SettingsError: one is missing, unknown or wrong.
    """
    if sys.platform != "linux":
        raise SettingsError("plotindex runs on Linux: on Windows in WSL, on macOS in a virtual machine.")
    check_names(options, "PlotIndex()")
    values: dict[str, Any] = {}
    named = config or environment.get("PLOTINDEX_CONFIG")
    file = Path(named or CONFIG_FILE)
    for name, value in _read_file(file, required=bool(named)).items():
        values[name] = PARSERS[name](f"{name} in {file}", value)
    for name, parse in PARSERS.items():
        # An empty variable is what a service manager leaves of an unset one.
        if environment.get(variable(name)):
            values[name] = parse(variable(name), environment[variable(name)])
        if options.get(name) is not None:
            values[name] = parse(name_option(name), options[name])
    if "root" not in values:
        raise SettingsError(
            "No root is given: name the directory that holds the sessions with --root or PLOTINDEX_ROOT."
        )
    values.setdefault("state_dir", platformdirs.user_state_path("plotindex"))
    return Settings(**values)


def _read_file(file: Path, *, required: bool) -> dict[str, Any]:
    try:
        content = tomllib.loads(file.read_text())
    except FileNotFoundError:
        if required:
            raise SettingsError(f"The file {file} does not exist: name another one with --config.") from None
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{file} cannot be read as TOML: {error}.") from None
    check_names(content, str(file))
    return content


def check_names(given: Iterable[str], where: str) -> None:
    """Check that there are settings of these names.

    Raises:
        SettingsError: there are none; the message says which one may be meant.
    """
    for name in given:
        if name not in PARSERS:
            # Of equally near ones, that which begins alike.
            near = sorted(get_close_matches(name, PARSERS), key=lambda candidate: candidate[0] != name[0])
            hint = f"do you mean {near[0]}?" if near else f"it can hold {', '.join(PARSERS)}."
            raise SettingsError(f"{where} has an unknown setting {name!r}: {hint}")
