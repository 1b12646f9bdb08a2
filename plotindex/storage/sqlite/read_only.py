"""Read an SQLite database that no process has open, without write access.

SQLite's last writer deletes the log, and the next reader has to create one. A reader that may not
can open the file as `immutable` while there is no log: what it reads is valid only if the file is
unchanged afterwards.
"""

import os
import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from plotindex.errors import CatalogError
from plotindex.storage.sqlite.file import open_database_folder
from plotindex.system import closing_fd, permission_denied_error

if TYPE_CHECKING:
    from sqlalchemy import Engine

SETTLE_NS = 2 * 10**9
"""A file changed more recently may change again without another mtime."""
READ_WRITE = "mode=rw"
"""A missing file is an error, not a new empty database. A reader, too, may have to create the -shm file of WAL."""
READ_ONLY = "mode=ro&readonly_shm=1"
"""Beside a process that has the database open."""
IMMUTABLE = "mode=ro&immutable=1"


class FileStamp(NamedTuple):
    """What changes when a closed database is written."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int


class ReadConnection(sqlite3.Connection):
    """A connection, and the stamp of a file that it opened as immutable."""

    stamp: FileStamp | None = None
    engine: "Engine | None" = None
    """SQLAlchemy's engine on it, once that was needed."""

    def __del__(self) -> None:
        # Since Python 3.13 a connection that is not closed explicitly warns, also when the program ends.
        with suppress(sqlite3.ProgrammingError):
            # Where no connection could be opened there is nothing to close.
            self.close()

    def is_stale(self, database: Path) -> bool:
        """Whether an immutable file has changed since it was opened."""
        return self.stamp is not None and self.stamp != stamp_of_closed(database)


def read_mode(database: Path, *, prefer_immutable: bool) -> tuple[str, FileStamp | None]:
    """How to open a database for reading: URI parameters, and the stamp if it is opened as immutable.

    Raises:
        UnusableDatabaseError: permission denied.
        CatalogError: it cannot be opened for a moment.
    """
    if prefer_immutable and (stamp := stamp_of_closed(database)):
        return IMMUTABLE, stamp
    try:
        # In this order: the file may be created meanwhile.
        if not database.exists() or _can_write(database):
            return READ_WRITE, None
    except PermissionError:
        raise permission_denied_error(database) from None
    if stamp := stamp_of_closed(database):
        return IMMUTABLE, stamp
    if _has_log(database):
        return READ_ONLY, None
    # SQLite would create a log where it can: owned by this user, it would lock the others out.
    raise CatalogError(f"The database {database} was closed a moment ago, and this user cannot write: try again.")


def stamp_of_closed(database: Path) -> FileStamp | None:
    """The stamp of a closed database; None while a process has it open, or had a moment ago."""
    if _has_log(database):
        return None
    try:
        status = database.stat()
    except OSError:
        return None
    if time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) < SETTLE_NS:
        return None
    return FileStamp(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def is_in_wal_mode(database: Path) -> bool:
    """Whether the file's header says so (https://www.sqlite.org/fileformat.html, 1.3.3).

    Raises:
        OSError: it cannot be read.
    """
    with open_database_folder(database) as (folder, name), closing_fd(folder.open(name, os.O_RDONLY)) as fd:
        return os.pread(fd, 2, 18) == b"\2\2"


def _can_write(database: Path) -> bool:
    """Whether this process can write the database, and create SQLite's files beside it."""
    return os.access(database, os.R_OK | os.W_OK) and os.access(database.parent, os.W_OK | os.X_OK)


def _has_log(database: Path) -> bool:
    # Of WAL, or of another mode.
    return any(os.path.lexists(database.with_name(database.name + suffix)) for suffix in ("-wal", "-journal"))
