"""The write-ahead log of an SQLite database (https://www.sqlite.org/wal.html): its size, and the bound on it."""

import sqlite3
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Connection

from plotindex.errors import CatalogError
from plotindex.storage.statements import driver_of

KEPT_WAL_BYTES = 1 << 26
"""Size to which the log is truncated after a checkpoint."""
MAX_WAL_BYTES = 1 << 30
"""Nothing is appended to a larger log: a reader that never ends would let it fill the disk."""


def wal_bytes(database: Path) -> int:
    """Size of the log."""
    try:
        return database.with_name(f"{database.name}-wal").stat().st_size
    except OSError:
        return 0


def is_large(database: Path) -> bool:
    """Whether the log has reached half of its bound."""
    return wal_bytes(database) > MAX_WAL_BYTES // 2


def wal_problem(database: Path) -> str | None:
    """What is wrong with a log beyond its bound, and the remedy; or None."""
    size = wal_bytes(database)
    if size <= MAX_WAL_BYTES:
        return None
    return (
        f"The log of the database {database} has grown to {size >> 20} MB, because a program holds a read transaction "
        "open: end that program (`fuser -v` on the database names it)."
    )


def limit_size(connection: Connection, database: Path) -> None:
    """Truncate a log that has grown beyond its bound.

    Raises:
        CatalogError: a reader still needs it.
    """
    if wal_problem(database):
        checkpoint(connection, "TRUNCATE")
        if problem := wal_problem(database):
            raise CatalogError(problem)


def reuse(connection: Connection) -> None:
    """Let the next transaction overwrite the log, if readers and the disk allow it, instead of appending."""
    with suppress(sqlite3.Error):
        checkpoint(connection, "RESTART")


def checkpoint(connection: Connection, mode: str) -> int:
    """Copy the log into the database as far as readers allow; return how many bytes remain."""
    driver = driver_of(connection)
    driver.execute("PRAGMA busy_timeout = 0")
    _, logged, done = driver.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
    (page,) = driver.execute("PRAGMA page_size").fetchone()
    return int(max(0, logged - done) * page)
