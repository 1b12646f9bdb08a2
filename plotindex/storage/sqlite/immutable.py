"""A database at rest, for those who cannot write beside it.

SQLite's last writer takes the log with it, and who reads next has to make a new one. Who cannot, may read the file as
one that does not change (`immutable`) for as long as there is no log: each reading is believed only when the file is,
after it, still what it was when it was opened.
"""

import os
import sqlite3
import time
from pathlib import Path
from typing import NamedTuple

from plotindex.errors import CatalogError
from plotindex.system import permission_denied_error

SETTLED_NS = 2 * 10**9
"""A file that was changed so recently may change again without another time."""
WRITABLE = "mode=rw"
"""A missing file is an error, not a new empty database. A reader, too, may have to create the -shm file of WAL."""
BESIDE_WRITERS = "mode=ro&readonly_shm=1"
AT_REST = "mode=ro&immutable=1"


class Rest(NamedTuple):
    """What changes when a database that nobody had open is written."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int


class ReadConnection(sqlite3.Connection):
    """A connection that only reads."""

    rest: Rest | None = None
    """How the database rested when it was opened as one that does not change."""

    def is_outdated(self, database: Path) -> bool:
        """Whether what it reads may no longer be what the database holds."""
        return self.rest is not None and self.rest != rest_of(database)


def way_to_read(database: Path) -> tuple[str, Rest | None]:
    """How to open a database in order to read it, as part of an SQLite URI; and how it rests, where that is to last.

    Raises:
        UnusableDatabaseError: this user may not.
        CatalogError: this process cannot, for a moment.
    """
    try:
        if can_write(database) or not database.exists():
            return WRITABLE, None
    except PermissionError:
        raise permission_denied_error(database) from None
    rest = rest_of(database)
    if rest is not None:
        return AT_REST, rest
    if _has_log(database):
        return BESIDE_WRITERS, None
    # SQLite would make a log, where it can: it would be this user's, and lock the others out.
    raise CatalogError(f"The database {database} was closed a moment ago, and this user cannot write: ask again.")


def rest_of(database: Path) -> Rest | None:
    """How the database rests; None while somebody has it open, or had a moment ago."""
    if _has_log(database):
        return None
    try:
        status = database.stat()
    except OSError:
        return None
    if time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) < SETTLED_NS:
        return None
    return Rest(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def is_in_wal_mode(database: Path) -> bool:
    """Whether the file says so itself (https://www.sqlite.org/fileformat.html, 1.3.3).

    Raises:
        OSError: it cannot be read.
    """
    with database.open("rb") as file:
        return file.read(20)[18:] == b"\2\2"


def can_write(database: Path) -> bool:
    """Whether this process can write the database, and make SQLite's files beside it."""
    return os.access(database, os.R_OK | os.W_OK) and os.access(database.parent, os.W_OK | os.X_OK)


def _has_log(database: Path) -> bool:
    # Of WAL, or of another mode.
    return any(os.path.lexists(database.with_name(database.name + suffix)) for suffix in ("-wal", "-journal"))
