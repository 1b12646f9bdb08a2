"""What a maintainer would ask for, in one archive: no secrets, and no names of plots unless they are wanted."""

import importlib.metadata
import io
import json
import os
import platform
import re
import sqlite3
import sys
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from plotindex import __version__
from plotindex.config import Settings, config_file
from plotindex.errors import PlotIndexError
from plotindex.ops.config_report import configuration
from plotindex.ops.doctor.checks import run_checks
from plotindex.ops.doctor.context import Context, open_context
from plotindex.ops.metrics import Metrics
from plotindex.ops.redaction import PathAlias, Redactor
from plotindex.ops.request_counts import read_counts
from plotindex.ops.status import read_status
from plotindex.storage import Catalog
from plotindex.system import escape

TELLS_NAMES = {"root-file-system", "root-folders", "symlinks", "clock"}
"""Checks of doctor whose findings name what lies below the root."""
NOT_SHOWN = "not shown: --names"
KERNEL = (
    "fs/inotify/max_user_watches",
    "fs/inotify/max_user_instances",
    "fs/inotify/max_queued_events",
    "fs/file-max",
    "kernel/osrelease",
    "vm/overcommit_memory",
)
README = """What this archive holds: the version and the machine, the settings and where they came from, what
`plotindex status` and `plotindex doctor` say, the numbers of /metrics, and sizes and modes of the files in the state
folder. Secrets are never in it; names of sessions, projects and plots, and paths only after --names. ROOT, STATE,
DATABASE, CONFIG and HOME stand for these paths, and .. for a folder above.

Logs are not in it. Attach what `journalctl -u 'plotindex*' --since -1h` says, after a look at it: it names plots.
"""


class SupportBundle:
    """One archive in the making: each part by itself, so that what cannot be told leaves the others."""

    def __init__(
        self, settings: Settings, options: Mapping[str, object | None], config: Path | None, names: bool
    ) -> None:
        self._settings = settings
        self._options = options
        self._config = config
        self._names = names

    def parts(self) -> dict[str, str]:
        """The text of each file."""
        with open_context(self._settings) as context:
            catalog = context.catalog
            veil = None if self._names else Redactor(self._places(catalog.database.file))
            makers: dict[str, Callable[[], Any]] = {
                "about.json": about,
                "settings.json": lambda: configuration(self._options, os.environ, self._config).as_json(),
                "status.json": lambda: self._status(catalog),
                "doctor.json": lambda: [self._finding(context, found._asdict()) for found in run_checks(context)],
                "metrics.txt": lambda: numbers(catalog),
                "database.json": lambda: describe_database(catalog),
                "state.json": lambda: list(describe_files(self._settings.state_folder)),
            }
            return {"README.txt": README, **{name: _told(make, veil) for name, make in makers.items()}}

    def _places(self, database: Path | None) -> Iterator[PathAlias]:
        """What stands for which path. Of the root nothing is told: what is below it are names."""
        root, state = self._settings.root, self._settings.state_folder
        config, _ = config_file(os.environ, self._config)
        if self._settings.database and database:
            yield PathAlias(database, "DATABASE")
        yield PathAlias(config.absolute(), "CONFIG")
        yield PathAlias(root, "ROOT", is_cut=True)
        yield PathAlias(state, "STATE")
        if self._settings.database and database:
            yield PathAlias(database.parent, "DATABASE/..")
        with suppress(RuntimeError):
            yield PathAlias(Path.home(), "HOME")
        for path, word in ((state, "STATE"), (root, "ROOT")):
            # /srv or /home tells nothing.
            for level, above in enumerate(path.parents[:-2], 1):
                yield PathAlias(above, word + "/.." * level)

    def _status(self, catalog: Catalog) -> dict[str, Any]:
        recent = read_counts(self._settings.request_counts_folder)
        told = read_status(catalog, self._settings.layout, recent).as_json()
        if not self._names:
            told["left_out"] = len(told["left_out"])
            told["beside"] = len(told["beside"])
            told["indexer"] = {**(told["indexer"] or {}), "host": NOT_SHOWN, "polled": NOT_SHOWN}
        return told

    def _finding(self, context: Context, found: dict[str, str]) -> dict[str, str]:
        if self._names:
            return found
        if found["check"] == "indexer" and context.indexer:
            return {**found, "seen": found["seen"].removesuffix(f" on {escape(context.indexer.host)}")}
        if found["check"] not in TELLS_NAMES:
            return found
        return {**found, "seen": NOT_SHOWN, "remedy": NOT_SHOWN}


def _told(make: Callable[[], Any], veil: Redactor | None) -> str:
    try:
        told = make()
    except (PlotIndexError, OSError, sqlite3.Error) as error:
        told = {"not to be had": str(error)}
    shown = veil.over(told) if veil else told
    return shown if isinstance(shown, str) else json.dumps(shown, indent=2)


def about() -> dict[str, Any]:
    """Which plotindex, on what."""
    required = importlib.metadata.requires("plotindex") or []
    names = [re.split(r"[^\w.-]", requirement)[0] for requirement in required if "extra ==" not in requirement]
    kernel = {name: _read(Path("/proc/sys") / name) for name in KERNEL}
    return {
        "plotindex": __version__,
        "python": sys.version,
        "platform": platform.platform(),
        "sqlite": sqlite3.sqlite_version,
        "processors": os.cpu_count(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "packages": {name: _version(name) for name in sorted(names)},
        "kernel": kernel,
    }


def numbers(catalog: Catalog) -> str:
    """What /metrics says of catalogue and indexer; what servers have counted is in them."""
    return Metrics().exposition(catalog, "")[1].decode()


def describe_database(catalog: Catalog) -> dict[str, Any]:
    """Its schema and sizes: of its rows, only how many there are."""
    return catalog.database.describe()


def describe_files(folder: Path) -> "list[dict[str, Any]]":
    """Mode, owner and size of each file of the state; of thumbnails, how many."""
    described = []
    for path in sorted([folder, *folder.iterdir()]):
        status = path.lstat()
        entry = {"name": "." if path == folder else path.name, "mode": oct(status.st_mode), "size": status.st_size}
        entry |= {"user": status.st_uid, "group": status.st_gid}
        if path.is_dir() and path != folder:
            entry["files"] = len(os.listdir(path))
        described.append(entry)
    return described


def write_archive(file: Path, parts: Mapping[str, str]) -> None:
    """Write the parts as a .tar.gz that its owner alone can read.

    Raises:
        FileExistsError: there is such a file already.
        OSError: it cannot be written.
    """
    fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as target, tarfile.open(fileobj=target, mode="w:gz") as archive:
        for name, text in parts.items():
            content = text.encode(errors="backslashreplace")
            entry = tarfile.TarInfo(f"plotindex-support/{name}")
            entry.size, entry.mtime, entry.mode = len(content), int(time.time()), 0o600
            archive.addfile(entry, io.BytesIO(content))


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
