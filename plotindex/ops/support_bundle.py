"""An archive of diagnostics for maintainers: no secrets, and no names of plots unless requested."""

import importlib.metadata
import io
import json
import os
import platform
import re
import socket
import sqlite3
import stat
import sys
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from plotindex import __version__
from plotindex.config import Settings, config_file
from plotindex.errors import CatalogError, PlotIndexError
from plotindex.ops.config_report import report_config
from plotindex.ops.doctor.checks import run_checks
from plotindex.ops.doctor.context import Context, open_context
from plotindex.ops.metrics import Metrics
from plotindex.ops.redaction import PathAlias, Redactor
from plotindex.ops.request_counts import read_counts
from plotindex.ops.server_address import with_server_address
from plotindex.ops.status import read_status
from plotindex.storage import Catalog
from plotindex.system import escape, open_private_folder

REVEALING_CHECKS = {"root-file-system", "root-folders", "symlinks", "clock"}
"""Checks of doctor whose findings contain names from below the root."""
LOOPBACK = {"localhost", "127.0.0.1", "::1"}
HIDDEN = "not shown: --names"
KERNEL = (
    "fs/inotify/max_user_watches",
    "fs/inotify/max_user_instances",
    "fs/inotify/max_queued_events",
    "fs/file-max",
    "kernel/osrelease",
    "vm/overcommit_memory",
)
README = """This archive contains the version and the machine, the settings and their sources, the output of
`plotindex status` and `plotindex doctor`, the metrics, and sizes and modes of the files in the state folder.
It never contains secrets; names of sessions, projects, plots and hosts, and paths, only with --names. ROOT, STATE,
DATABASE, CONFIG and HOME replace these paths, .. a parent folder, and HOST a host.

Logs are not included. Attach the output of `journalctl -u 'plotindex*' --since -1h`; check it first, it names plots.
"""


class SupportBundle:
    """The files of one archive. A file that cannot be made does not affect the others."""

    def __init__(
        self, settings: Settings, options: Mapping[str, object | None], config: Path | None, names: bool
    ) -> None:
        self._settings = settings
        self._options = options
        self._config = config
        self._names = names

    def files(self) -> dict[str, str]:
        """Each file's text by its name."""
        with open_context(with_server_address(self._settings, self._options)) as context:
            catalog = context.catalog
            redactor = None if self._names else Redactor(self._aliases(catalog.database.file), self._hosts(catalog))
            makers: dict[str, Callable[[], Any]] = {
                "about.json": _about,
                "settings.json": lambda: report_config(self._options, os.environ, self._config).as_json(),
                "status.json": lambda: self._status(catalog),
                "doctor.json": lambda: [self._finding(context, found._asdict()) for found in run_checks(context)],
                "metrics.txt": lambda: str(Metrics().exposition(catalog, "")[1], "utf-8"),
                "database.json": catalog.database.describe,
                "state.json": lambda: _describe_files(self._settings.state_folder),
            }
            return {"README.txt": README, **{name: _render(make, redactor) for name, make in makers.items()}}

    def _aliases(self, database: Path | None) -> Iterator[PathAlias]:
        """The aliases of paths; everything below the root is hidden."""
        root, state = self._settings.root, self._settings.state_folder
        config, _ = config_file(os.environ, self._config)
        if self._settings.database and database:
            yield PathAlias(database, "DATABASE")
        yield PathAlias(config.absolute(), "CONFIG")
        yield PathAlias(root, "ROOT", hides_content=True)
        yield PathAlias(state, "STATE")
        if self._settings.database and database:
            yield PathAlias(database.parent, "DATABASE/..")
        with suppress(RuntimeError):
            yield PathAlias(Path.home(), "HOME")
        for path, word in ((state, "STATE"), (root, "ROOT")):
            # The topmost folder, such as /srv or /home, is not private.
            for level, above in enumerate(path.parents[:-2], 1):
                yield PathAlias(above, word + "/.." * level)

    def _hosts(self, catalog: Catalog) -> Iterator[str]:
        """The names of this host, of the indexers' hosts, of the database's server and of the public URL."""
        yield socket.gethostname()
        yield os.uname().nodename
        with suppress(CatalogError):
            yield from (beat.host for beat in catalog.heartbeats())
        for url in (self._settings.database, self._settings.public_url):
            with suppress(ValueError):
                host = urlsplit(url or "").hostname
                if host and host not in LOOPBACK:
                    yield host

    def _status(self, catalog: Catalog) -> dict[str, Any]:
        counts = read_counts(self._settings.request_counts_folder)
        status = read_status(catalog, self._settings.layout, counts).as_json()
        if not self._names:
            status["left_out"] = len(status["left_out"])
            status["beside"] = len(status["beside"])
            status["indexer"] = {**(status["indexer"] or {}), "host": HIDDEN, "polled": HIDDEN, "busy": HIDDEN}
        return status

    def _finding(self, context: Context, found: dict[str, str]) -> dict[str, str]:
        if self._names:
            return found
        if found["check"] == "indexer" and context.indexer:
            return {**found, "seen": found["seen"].replace(f" on {escape(context.indexer.host)}", "")}
        if found["check"] not in REVEALING_CHECKS:
            return found
        return {**found, "seen": HIDDEN, "remedy": HIDDEN}


def _render(make: Callable[[], Any], redactor: Redactor | None) -> str:
    try:
        content = make()
    except (PlotIndexError, OSError) as error:
        content = {"unavailable": str(error)}
    content = redactor.redact(content) if redactor else content
    return content if isinstance(content, str) else json.dumps(content, indent=2)


def _about() -> dict[str, Any]:
    """The versions of plotindex, its packages and the system."""
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


def _describe_files(folder: Path) -> "list[dict[str, Any]]":
    """Mode, owner and size of each file in the state folder, and the number of files in each subfolder."""
    described = []
    with open_private_folder(folder) as opened:
        for name in [".", *sorted(opened.names())]:
            status = opened.stat(name)
            entry = {"name": name, "mode": oct(status.st_mode), "size": status.st_size}
            entry |= {"user": status.st_uid, "group": status.st_gid}
            if stat.S_ISDIR(status.st_mode) and name != ".":
                entry["files"] = len(opened.names(name))
            described.append(entry)
    return described


def write_archive(file: Path, texts: Mapping[str, str]) -> None:
    """Write the texts as a .tar.gz that only its owner can read.

    Raises:
        FileExistsError: the file exists already.
        OSError: the file cannot be written.
    """
    fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as target, tarfile.open(fileobj=target, mode="w:gz") as archive:
        for name, text in texts.items():
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
