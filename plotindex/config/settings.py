"""The one reader of options, environment and plotindex.toml."""

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from hashlib import blake2b
from itertools import chain
from pathlib import Path
from typing import Any

import platformdirs

from plotindex.config import parsers
from plotindex.config.sources import Given, from_environment, from_file, from_options, nearest, option_of, variable
from plotindex.errors import SettingsError
from plotindex.system import is_postgres_url, make_private_folder, permission_denied_error
from plotindex.tree import MEDIA_TYPES, Layout


class Polling(StrEnum):
    """The setting `polling`."""

    AUTO = "auto"
    """Poll what lies on network and foreign file systems."""
    ALWAYS = "always"
    """Watch nothing; poll everything."""
    NEVER = "never"
    """Rely on events alone, and on the rescan."""


def _setting(parse: Callable[[str, Any], Any], default: object) -> Any:  # noqa: ANN401 - as dataclasses.field
    return field(default=default, metadata={"parse": parse})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every setting, checked. In the environment: `PLOTINDEX_` + upper case; `database` is PLOTINDEX_DATABASE_URL."""

    root: Path = _setting(parsers.path, None)
    database: str = _setting(parsers.text, None)
    state_dir: Path = _setting(parsers.path, None)
    host: str = _setting(parsers.text, "127.0.0.1")
    port: int = _setting(parsers.whole(1, 65535), 8517)
    url_prefix: str = _setting(parsers.prefix, "/api/smartstat")
    project_pattern: str = _setting(parsers.pattern, "project_*")
    suffixes: frozenset[str] = _setting(parsers.suffixes, frozenset(MEDIA_TYPES))
    rescan_seconds: int = _setting(parsers.whole(1, 10**8), 3600)
    poll_seconds: int = _setting(parsers.whole(1, 10**8), 30)
    polling: str = _setting(parsers.OneOf({"auto": "auto", "always": "always", "never": "never"}), "auto")
    rescan_share: int = _setting(parsers.whole(1, 100), 5)
    max_watches: int | None = _setting(parsers.whole(1, 10**9), None)
    max_plots_per_session: int = _setting(parsers.whole(1, 10**9), 100_000)
    max_depth: int = _setting(parsers.whole(0, 1000), 32)
    heal: bool = _setting(parsers.OneOf({"on": True, "off": False}), True)
    workers: int = _setting(parsers.whole(1, 256), 1)
    threads: int = _setting(parsers.whole(1, 1024), 4)
    thumbnails_mb: int = _setting(parsers.whole(0, 10**6), 512)
    x_accel_prefix: str = _setting(parsers.prefix, "")
    public_url: str | None = _setting(parsers.url, None)
    proxies: int = _setting(parsers.whole(0, 10), 0)
    secret_key: tuple[str, ...] = _setting(parsers.keys, ())
    access_log: bool = _setting(parsers.OneOf({"on": True, "off": False}), True)
    log_format: str = _setting(parsers.OneOf({"text": "text", "json": "json"}), "text")

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
    def is_shared(self) -> bool:
        """Whether the catalogue lies on a server, where several nodes share it."""
        return bool(self.database) and is_postgres_url(self.database)

    @property
    def barrier_folder(self) -> Path:
        """Where `plotindex sync` asks the indexer."""
        return self.state_folder / "sync"

    @property
    def thumbnails_folder(self) -> Path:
        return self.state_folder / "thumbnails"

    @property
    def recent_folder(self) -> Path:
        """Where each server tells what it has answered in the last minutes."""
        return self.state_folder / "recent"

    @property
    def indexer_lock(self) -> Path:
        """What the one indexer of this root holds, and tells of itself where the database cannot."""
        return self.state_folder / "indexer.lock"

    def check_state(self) -> None:
        """Check that this user may see the state, if there is any.

        Raises:
            SettingsError: it is closed to this user.
        """
        try:
            (self.state_folder / "any").stat()
        except PermissionError:
            raise permission_denied_error(self.state_folder) from None
        except OSError:
            return

    def make_state_folder(self) -> Path:
        """The state folder, made when it is not there, for its owner alone or the group that shares the one above.

        Raises:
            SettingsError: it cannot be made.
        """
        self.check_state()
        try:
            # Each by itself: the mode is only for the last one, and who can write its parent can replace it.
            for folder in reversed(self.state_folder.parents):
                if not folder.exists():
                    folder.mkdir(mode=0o700, exist_ok=True)
            make_private_folder(self.state_folder)
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


def default_of(name: str) -> str:
    """What a setting is when nothing is given, as text."""
    [default] = (field.default for field in fields(Settings) if field.name == name)
    return _as_text(default) if default not in (None, "") else "none"


PARSERS: dict[str, Callable[[str, Any], Any]] = {f.name: f.metadata["parse"] for f in fields(Settings)}
SECRETS = {"secret_key"}
"""Settings whose values are shown nowhere."""


def load_settings(
    options: Mapping[str, object | None],
    environment: Mapping[str, str] = os.environ,
    config: Path | None = None,
    name_option: Callable[[str], str] = option_of,
) -> Settings:
    """Settings from options, then the environment, then the file, then the defaults: the first that is given counts.

    `name_option` says what an option is called where it was given.

    Raises:
        SettingsError: one is missing, unknown or wrong, or two contradict each other.
    """
    if sys.platform != "linux":
        raise SettingsError("plotindex runs on Linux: on Windows in WSL, on macOS in a virtual machine.")
    check_names(options, "PlotIndex()")
    sources = (
        from_file(environment, config),
        from_environment(PARSERS, environment),
        from_options(options, name_option),
    )
    return make_settings({given.name: parse(given) for given in chain(*sources)})


def parse(given: Given) -> Any:  # noqa: ANN401 - of any type that a setting has
    """The value of a setting.

    Raises:
        SettingsError: there is no such setting, or it cannot have that value.
    """
    if given.name not in PARSERS:
        check_names([given.name], given.called.removeprefix(f"{given.name} in "))
    return PARSERS[given.name](given.called, given.value)


def make_settings(values: Mapping[str, Any]) -> Settings:
    """Settings of these values, and the defaults.

    Raises:
        SettingsError: there is no root, or two contradict each other.
    """
    if "root" not in values:
        raise SettingsError(
            "No root is given: name the directory that holds the sessions with --root or PLOTINDEX_ROOT."
        )
    settings = Settings(**{"state_dir": values.get("state_dir") or _own_state(), **values})
    if settings.x_accel_prefix and f"{settings.url_prefix}/plots/".startswith(f"{settings.x_accel_prefix}/"):
        raise SettingsError(
            f"x_accel_prefix {settings.x_accel_prefix} takes the place of {settings.url_prefix}/plots, where callers "
            "ask for plots: name a path that nothing else has, such as /plotindex-files."
        )
    return settings


def _own_state() -> Path:
    """Where this user's programs keep their state.

    Raises:
        SettingsError: nobody knows, as of a user without a home.
    """
    try:
        return platformdirs.user_state_path("plotindex")
    except RuntimeError:
        raise SettingsError("This user has no home to keep the state in: set PLOTINDEX_STATE_DIR.") from None


def check_names(given: Iterable[str], where: str) -> None:
    """Check that there are settings of these names.

    Raises:
        SettingsError: there are none; the message says which one may be meant.
    """
    for name in given:
        if name not in PARSERS:
            near = nearest(name, PARSERS)
            hint = f"do you mean {near}?" if near else f"it can hold {', '.join(PARSERS)}."
            raise SettingsError(f"{where} has an unknown setting {name!r}: {hint}")
