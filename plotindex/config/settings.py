"""All settings: types, defaults, and the paths derived from them."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from enum import StrEnum
from hashlib import blake2b
from pathlib import Path
from typing import Any

from plotindex.config import parsers
from plotindex.config.sources import (
    CONFIG_VARIABLE,
    variable_name,
)
from plotindex.errors import SettingsError, UnsafePathError
from plotindex.system import is_postgres_url, make_private_folder, open_private_folder, permission_denied_error
from plotindex.tree import MEDIA_TYPES, Layout


class Polling(StrEnum):
    """The setting `polling`."""

    AUTO = "auto"
    """Poll network and foreign file systems; watch the others."""
    ALWAYS = "always"
    """Watch nothing; poll everything."""
    NEVER = "never"
    """Poll nothing; rely on events and the rescan."""


def _setting(parse: Callable[[str, Any], Any], default: object) -> Any:  # noqa: ANN401 - as dataclasses.field
    return field(default=default, metadata={"parse": parse})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings, parsed. Environment variable: see `variable_name`."""

    root: Path = _setting(parsers.path, None)
    database: str = _setting(parsers.text, None)
    state_dir: Path = _setting(parsers.path, None)
    host: str = _setting(parsers.text, "127.0.0.1")
    port: int = _setting(parsers.integer(1, 65535), 8517)
    url_prefix: str = _setting(parsers.url_path, "/api/smartstat")
    project_pattern: str = _setting(parsers.folder_patterns, "project_*")
    suffixes: frozenset[str] = _setting(parsers.suffixes, frozenset(MEDIA_TYPES))
    ignore: str = _setting(parsers.ignored_names, Layout.ignore)
    rescan_seconds: int = _setting(parsers.integer(1, 10**8), 3600)
    poll_seconds: int = _setting(parsers.integer(1, 10**8), 30)
    polling: str = _setting(parsers.OneOf({"auto": "auto", "always": "always", "never": "never"}), "auto")
    rescan_share: int = _setting(parsers.integer(1, 100), 5)
    max_watches: int | None = _setting(parsers.integer(1, 10**9), None)
    max_plots_per_session: int = _setting(parsers.integer(1, 10**9), 100_000)
    max_depth: int = _setting(parsers.integer(0, 1000), 32)
    max_filename_bytes: int = _setting(parsers.integer(1, 10**6), 1024)
    max_names_mb: int = _setting(parsers.integer(1, 10**6), 64)
    heal: bool = _setting(parsers.OneOf({"on": True, "off": False}), True)
    workers: int = _setting(parsers.integer(1, 256), 1)
    threads: int = _setting(parsers.integer(1, 1024), 4)
    thumbnails_mb: int = _setting(parsers.integer(0, 10**6), 512)
    prerender: bool = _setting(parsers.OneOf({"on": True, "off": False}), True)
    history_mb: int = _setting(parsers.integer(0, 10**8), 1024)
    history_versions: int = _setting(parsers.integer(1, 10**6), 50)
    history_days: int = _setting(parsers.integer(0, 10**5), 90)
    history_dir: Path | None = _setting(parsers.path, None)
    export_mb: int = _setting(parsers.integer(1, 10**6), 1024)
    inspect: bool = _setting(parsers.OneOf({"on": True, "off": False}), True)
    inspect_share: int = _setting(parsers.integer(1, 100), 10)
    x_accel_prefix: str = _setting(parsers.url_path, "")
    public_url: str | None = _setting(parsers.url, None)
    frame_ancestors: str = _setting(parsers.frame_ancestors, "'none'")
    proxies: int = _setting(parsers.integer(0, 10), 0)
    secret_key: tuple[str, ...] = _setting(parsers.secret_keys, ())
    access_log: bool = _setting(parsers.OneOf({"on": True, "off": False}), True)
    log_format: str = _setting(parsers.OneOf({"text": "text", "json": "json"}), "text")

    @property
    def layout(self) -> Layout:
        limits = self.max_depth, self.max_plots_per_session, self.max_filename_bytes, self.max_names_mb << 20
        return Layout(self.project_pattern, self.suffixes, self.ignore, *limits)

    @property
    def state_folder(self) -> Path:
        """The folder of this root's state: outside the root, since scripts can write there."""
        digest = blake2b(os.fsencode(self.root), digest_size=4).hexdigest()
        # File systems limit a name to 255 bytes.
        name = self.root.name.encode()[:200].decode(errors="ignore") or "root"
        return self.state_dir / f"{name}-{digest}"

    @property
    def catalog_location(self) -> str | Path:
        """The catalogue's database: the URL in `database`, or else a file in the state folder."""
        return self.database or self.state_folder / "catalog.db"

    @property
    def is_shared(self) -> bool:
        """Whether the catalogue is on a database server, which several nodes can share."""
        return bool(self.database) and is_postgres_url(self.database)

    @property
    def barrier_folder(self) -> Path:
        """The folder of `plotindex sync`'s barrier files."""
        return self.state_folder / "sync"

    @property
    def thumbnails_folder(self) -> Path:
        return self.state_folder / "thumbnails"

    @property
    def has_history(self) -> bool:
        """Whether earlier versions are kept: on a database server, only in a folder that all nodes share."""
        return self.history_mb > 0 and (self.history_dir is not None or not self.is_shared)

    @property
    def history_folder(self) -> Path:
        """The folder of the bytes of earlier versions. Several roots may have one `history_dir`."""
        return self.state_folder / "history" if self.history_dir is None else self.history_dir / self.state_folder.name

    @property
    def history_location(self) -> str | Path:
        """The database of the history: on a server beside the catalogue, else a file in the state folder."""
        return self.database if self.is_shared else self.state_folder / "history.db"

    @property
    def inspection_lock(self) -> Path:
        """The file that a process locks while it inspects."""
        return self.state_folder / "inspection.lock"

    @property
    def request_counts_folder(self) -> Path:
        """The folder of each server process's request counts of the last minutes."""
        return self.state_folder / "recent"

    @property
    def servers_folder(self) -> Path:
        """The folder in which each running server records its address."""
        return self.state_folder / "servers"

    @property
    def indexer_lock(self) -> Path:
        """The file that the root's one indexer locks. It also holds its status for when the database is unavailable."""
        return self.state_folder / "indexer.lock"

    def check_state_access(self) -> None:
        """Check that this user can access the state folder, if it exists.

        Raises:
            SettingsError: permission denied.
        """
        try:
            (self.state_folder / "any").stat()
        except PermissionError:
            raise permission_denied_error(self.state_folder) from None
        except OSError:
            return

    def make_state_folder(self) -> Path:
        """Create the state folder if missing, private to its owner or to the group that shares its parent; return it.

        Raises:
            SettingsError: it cannot be created.
        """
        self.check_state_access()
        try:
            for folder in (*reversed(self.state_folder.parents), self.state_folder):
                if not folder.exists():
                    make_private_folder(folder)
            with open_private_folder(self.state_folder):
                return self.state_folder
        except UnsafePathError as error:
            raise SettingsError(str(error)) from None
        except OSError as error:
            raise SettingsError(
                f"The state folder {self.state_folder} cannot be created ({error.strerror}): set PLOTINDEX_STATE_DIR."
            ) from None

    def check_root(self) -> None:
        """Check that the root is a readable directory.

        Raises:
            SettingsError: it is not.
        """
        try:
            os.scandir(self.root).close()
        except FileNotFoundError:
            raise SettingsError(f"The root {self.root} is missing: create it, or name another --root.") from None
        except NotADirectoryError:
            raise SettingsError(
                f"The root {self.root} is a file: name the directory that holds the sessions with --root."
            ) from None
        except OSError as error:
            raise SettingsError(
                f"The root {self.root} cannot be read ({error.strerror}): "
                "make it readable for this user (chmod, setfacl), or change --root."
            ) from None

    def as_environment(self) -> dict[str, str]:
        """Environment variables that give a child process these settings, and no configuration file."""
        values = {name: getattr(self, name) for name in PARSERS if getattr(self, name) not in (None, ())}
        variables = {variable_name(name): _as_text(value) for name, value in values.items()}
        return {CONFIG_VARIABLE: os.devnull, **variables}


def _as_text(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, frozenset):
        return " ".join(sorted(value))
    # An empty variable counts as unset, so an empty path, or an empty list of names, is written as "/".
    return " ".join(value) if isinstance(value, tuple) else str(value) or "/"


def default_text(name: str) -> str:
    """The default of a setting, as text."""
    [default] = (field.default for field in fields(Settings) if field.name == name)
    return _as_text(default) if default not in (None, "") else "none"


PARSERS: dict[str, Callable[[str, Any], Any]] = {f.name: f.metadata["parse"] for f in fields(Settings)}
SECRETS = {"secret_key"}
"""Settings whose values are never printed."""
