"""The baseline watchers, each in its own process: `python -m benchmarks.observers NAME ROOT DATABASE`.

Other libraries' recursive watches with what one would write around them: a table of the plots, kept from the events.
It rescans each path of an event and everything below it, so a wrong row means a missing event.
"""

import importlib
import os
import sqlite3
import stat
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirModifiedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer

from plotindex.system.text import is_encodable
from plotindex.tree.grammar import Layout

# No open or read events: unfiltered, its own scans would cause events without end.
EVENTS: list[type[FileSystemEvent]] = [
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
]
TABLE = """
CREATE TABLE plot (
    session TEXT, filename TEXT, project TEXT, size INTEGER, mtime_ns INTEGER, PRIMARY KEY (session, filename, project)
) WITHOUT ROWID
"""


class Table:
    """The plots below a root, updated by events; one transaction for each event."""

    def __init__(self, root: str, database: str) -> None:
        self._root = root
        self._layout = Layout()
        self._connection = sqlite3.connect(database, isolation_level=None, check_same_thread=False)
        for statement in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = NORMAL", TABLE):
            self._connection.execute(statement)

    def update(self, path: str) -> None:
        """Update the rows of a path and everything below it from disk."""
        parts = self._parts(path)
        if not parts or not is_encodable(path):
            return
        rows = list(self._rows(path))
        self._connection.execute("BEGIN IMMEDIATE")
        self._forget(parts)
        self._connection.executemany("INSERT OR REPLACE INTO plot VALUES (?, ?, ?, ?, ?)", rows)
        self._connection.execute("COMMIT")

    def _parts(self, path: str) -> Sequence[str]:
        """Session, project and filename of a path, as far as it goes."""
        return path[len(self._root) :].strip("/").split("/", 2) if path.startswith(self._root + "/") else ()

    def _rows(self, top: str) -> Iterator[tuple[str, str, str, int, int]]:
        # os.walk follows a symlink as its top.
        below = () if Path(top).is_symlink() else os.walk(top)
        files = (f"{place}/{name}" for place, _, names in below for name in names)
        for path in chain([top], files):
            parts = self._parts(path)
            if (
                len(parts) < 3
                or not self._layout.is_project(parts[1])
                or not self._layout.parse_key(parts[0], parts[2])
            ):
                continue
            with suppress(OSError):
                status = os.lstat(path)
                if stat.S_ISREG(status.st_mode):
                    yield parts[0], parts[2], parts[1], status.st_size, status.st_mtime_ns

    def _forget(self, parts: Sequence[str]) -> None:
        where, values = "session = ?", [parts[0]]
        if len(parts) > 1:
            where, values = f"{where} AND project = ?", [*values, parts[1]]
        if len(parts) > 2:
            # All names that start with "folder/": "0" is the character after "/".
            where = f"{where} AND (filename = ? OR filename > ? AND filename < ?)"
            values = [*values, parts[2], parts[2] + "/", parts[2] + "0"]
        self._connection.execute(f"DELETE FROM plot WHERE {where}", values)


class TableUpdater(FileSystemEventHandler):
    """Passes each path of a watchdog event to the table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def on_any_event(self, event: FileSystemEvent) -> None:
        if not isinstance(event, DirModifiedEvent):
            for path in (event.src_path, event.dest_path):
                self._table.update(os.fsdecode(path))


def watchdog(root: str, table: Table) -> None:
    observer = Observer()
    observer.schedule(TableUpdater(table), root, recursive=True, event_filter=EVENTS)
    observer.start()
    print("watching", flush=True)
    while True:
        time.sleep(3600)


def watchfiles(root: str, table: Table) -> None:
    # Imported by name: it may not be installed.
    watch = importlib.import_module("watchfiles").watch
    # The first, empty batch means that watching has started.
    for number, changes in enumerate(watch(root, watch_filter=None, rust_timeout=100, yield_on_timeout=True)):
        if not number:
            print("watching", flush=True)
        for _, path in changes:
            table.update(path)


OBSERVERS: dict[str, Callable[[str, Table], None]] = {"watchdog": watchdog, "watchfiles": watchfiles}

if __name__ == "__main__":
    OBSERVERS[sys.argv[1]](sys.argv[2], Table(sys.argv[2], sys.argv[3]))
