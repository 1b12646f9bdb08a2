"""The write-ahead log of an SQLite database (https://www.sqlite.org/wal.html): its size, and the bound on it."""

import os
import sqlite3
import time
from pathlib import Path

from plotindex.errors import CatalogError
from plotindex.storage.sqlite.disk_space import file_bytes, free_bytes, reserve_bytes, wal_bytes

KEPT_WAL_BYTES = 1 << 26
"""Size to which the log is truncated after a checkpoint."""
MAX_WAL_BYTES = 1 << 30
"""Nothing is appended to a larger log: a reader that never ends would let it fill the disk."""
MAX_WAL_SHARE = 1 / 4
"""The same, of a small disk."""

TRUNCATE_SECONDS = 10.0
RETRY_SECONDS = 0.05


def max_wal_bytes(database: Path) -> int:
    """The bound on the log."""
    try:
        disk = os.statvfs(database.parent)
    except OSError:
        return MAX_WAL_BYTES
    return min(MAX_WAL_BYTES, int(disk.f_blocks * disk.f_frsize * MAX_WAL_SHARE))


def is_large(database: Path) -> bool:
    """Whether the log has reached half of its bound."""
    return wal_bytes(database) > max_wal_bytes(database) // 2


def wal_problem(database: Path) -> str | None:
    """What is wrong with a log beyond its bound, and the remedy; or None."""
    return _pinned(database) if wal_bytes(database) > max_wal_bytes(database) else None


def limit_size(driver: sqlite3.Connection, database: Path) -> bool:
    """Let the next transaction overwrite a log that is beyond its bound, or whose disk is nearly full.

    A checkpoint must always have room for the pages that only the log has: without it the log would stay for good.
    Return False if it has none, although the log is large: then only a new database helps.

    Raises:
        CatalogError: a reader still needs the log.
        sqlite3.Error: the disk is full.
    """
    problem = wal_problem(database)
    if not problem and _has_room(driver, database):
        return True
    try:
        is_pinned, _ = _checkpoint(driver, "TRUNCATE" if problem else "RESTART")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_FULL and is_large(database):
            return False
        raise
    if is_pinned and (wal_problem(database) or not _has_room(driver, database, is_pinned=True)):
        raise CatalogError(_pinned(database))
    return True


def unwritten_bytes(driver: sqlite3.Connection, database: Path) -> int:
    """By how much a checkpoint extends the database."""
    (pages,), (size,) = (driver.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "page_size"))
    return max(0, int(pages * size) - file_bytes(database))


def truncate(driver: sqlite3.Connection, database: Path) -> None:
    """Move the whole log into the database, and truncate it.

    Raises:
        CatalogError: a reader still needs the log after TRUNCATE_SECONDS.
    """
    deadline = time.monotonic() + TRUNCATE_SECONDS
    while _checkpoint(driver, "TRUNCATE")[0]:
        if time.monotonic() >= deadline:
            raise CatalogError(_pinned(database))
        time.sleep(RETRY_SECONDS)


def remaining_bytes(driver: sqlite3.Connection) -> int:
    """Checkpoint the log as far as readers allow; return how many bytes remain."""
    _, remaining = _checkpoint(driver, "PASSIVE")
    return remaining


def _has_room(driver: sqlite3.Connection, database: Path, *, is_pinned: bool = False) -> bool:
    """Whether the reserve is free besides the room for a checkpoint.

    Half of it while the log is pinned: removals go on. As much as a small log has, which a reader pins for a moment.
    """
    try:
        free, reserve = free_bytes(database.parent), reserve_bytes(database.parent)
    except OSError:
        # SQLite reports it.
        return True
    log = wal_bytes(database)
    beyond = free - (min(reserve // 2, log) if is_pinned else reserve)
    return beyond >= log or beyond >= unwritten_bytes(driver, database)


def _pinned(database: Path) -> str:
    return (
        f"The log of the database {database} has grown to {wal_bytes(database) >> 20} MB, because a program holds a "
        "read transaction open: end that program (`fuser -v` on the database names it)."
    )


def _checkpoint(driver: sqlite3.Connection, mode: str) -> tuple[bool, int]:
    """Copy the log into the database; return whether a reader prevents a part of it, and how many bytes remain."""
    driver.execute("PRAGMA busy_timeout = 0")
    is_busy, logged, done = driver.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
    (page,) = driver.execute("PRAGMA page_size").fetchone()
    return bool(is_busy), int(max(0, logged - done) * page)
