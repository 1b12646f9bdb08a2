"""A root and its watcher, plotindex or another, observed through the watcher's table."""

import importlib.util
import json
import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import count
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import psutil

from benchmarks.drawing import Drawn
from benchmarks.processes import BenchmarkSite

PLOTINDEX = "plotindex"
WATCHDOG = "watchdog's observer"
WATCHFILES = "watchfiles"
UNWATCHED = "unwatched"
"""Watches nothing: the baseline."""
MODULES = {WATCHDOG: "watchdog", WATCHFILES: "watchfiles"}

QUIET_SECONDS = 2.0
"""A watcher without `sync` counts as done when its table has not changed for so long."""
SETTLE_SECONDS = 60
SEEN = "SELECT 1 FROM plot WHERE session = ? AND filename = ? AND project = ? AND size = ? AND mtime_ns = ?"
MAX_FOLDERS = 32
"""plotindex's `max_depth`; deeper plots do not count."""
SUFFIXES = (".png", ".jpg", ".jpeg", ".svg", ".gif", ".webp")

Plots = dict[str, tuple[int, int]]
"""Path below the root -> size and mtime_ns."""


class Settled(NamedTuple):
    """Whether and when a watcher caught up."""

    at: float
    """Time of the answer, or of the last change."""
    well: bool


class WatchedRoot:
    """A root, the process that watches it, and its table."""

    def __init__(self, name: str, site: BenchmarkSite, process: psutil.Process, database: str) -> None:
        self.name = name
        self.site = site
        self.process = process
        # Each statement sees the newest commit.
        self._connection = sqlite3.connect(f"file:{quote(database)}?mode=ro", uri=True, isolation_level=None)
        self._logs = count()

    @property
    def root(self) -> Path:
        return self.site.root

    def sees(self, path: str, status: os.stat_result) -> bool:
        """Whether the table has the current version of a plot."""
        session, project, filename = path.split("/", 2)
        key = (session, filename, project, status.st_size, status.st_mtime_ns)
        return self._connection.execute(SEEN, key).fetchone() is not None

    def plots(self) -> Plots:
        """The rows of the table."""
        rows = self._connection.execute("SELECT session, project, filename, size, mtime_ns FROM plot")
        return {
            f"{session}/{project}/{filename}": (size, mtime_ns)
            for session, project, filename, size, mtime_ns in rows
            if filename.count("/") <= MAX_FOLDERS
        }

    def settle(self) -> Settled:
        """Wait until the watcher has caught up."""
        if self.name == PLOTINDEX:
            done = self.site.run("plotindex", "sync", "--timeout", str(SETTLE_SECONDS), check=False)
            return Settled(time.perf_counter(), not done.returncode)
        began = changed = time.perf_counter()
        version = self._version()
        while (now := time.perf_counter()) - changed < QUIET_SECONDS and now - began < SETTLE_SECONDS:
            time.sleep(0.01)
            if version != (version := self._version()):
                changed = time.perf_counter()
        return Settled(changed, now - changed >= QUIET_SECONDS)

    def _version(self) -> int:
        """A number that changes with each commit of another connection."""
        return int(self._connection.execute("PRAGMA data_version").fetchone()[0])

    @contextmanager
    def drawing(self, kind: str, root: Path) -> Iterator[list[Drawn]]:
        """Draw below a root meanwhile; the result is appended to the list on exit."""
        drawn: list[Drawn] = []
        log = f"{kind}-{next(self._logs)}.log"
        number = ("1000",) if kind == "steady" else ()
        with self.site.started("benchmarks.drawing", kind, str(root), *number, log=log) as process:
            self.site.wait_for_output(process, log)
            yield drawn
        drawn.append(Drawn(*json.loads((self.site.folder / log).read_text().splitlines()[-1])))

    def close(self) -> None:
        self._connection.close()


def is_installed(name: str) -> bool:
    return name not in MODULES or importlib.util.find_spec(MODULES[name]) is not None


@contextmanager
def watched(name: str, site: BenchmarkSite) -> Iterator[WatchedRoot]:
    """Start a watcher, and wait until it has scanned the root."""
    with ExitStack() as stack:
        log = f"{MODULES.get(name, name)}.log"
        if name == PLOTINDEX:
            process = stack.enter_context(site.started("plotindex", "watch", log=log))
            site.wait_until_watching()
            database = json.loads(site.run("plotindex", "status", "--json").stdout)["database"]
        else:
            database = str(site.folder / "observer.db")
            command = ("benchmarks.observers", MODULES[name], str(site.root), database)
            process = stack.enter_context(site.started(*command, log=log))
            site.wait_for_output(process, log)
        yield stack.enter_context(closing(WatchedRoot(name, site, process, database)))


def walk(root: Path) -> Plots:
    """The plots below a root, found without code of plotindex."""
    found = {}
    for place, _, names in os.walk(root):
        for name in names:
            path = f"{place}/{name}"
            parts = path[len(str(root)) + 1 :].split("/")
            stem, dot, suffix = name.rpartition(".")
            if (
                not 3 <= len(parts) <= MAX_FOLDERS + 3
                or not parts[1].startswith("project_")
                or not stem
                or dot + suffix.lower() not in SUFFIXES
            ):
                continue
            status = os.lstat(path)
            # Names that are not UTF-8 are never indexed.
            if stat.S_ISREG(status.st_mode) and path.encode(errors="ignore") == os.fsencode(path):
                found["/".join(parts)] = status.st_size, status.st_mtime_ns
    return found
