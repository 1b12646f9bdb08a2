"""The log beside an SQLite database (https://www.sqlite.org/wal.html): how large it is, and that it stays bounded."""

from pathlib import Path

from sqlalchemy import Connection

from plotindex.errors import CatalogError

MAX_WAL_BYTES = 1 << 30
"""Beyond this nothing is added to it: a reader that never ends would let it fill the disk."""


def wal_bytes(database: Path) -> int:
    """How large the log is now."""
    try:
        return database.with_name(f"{database.name}-wal").stat().st_size
    except OSError:
        return 0


def is_long(database: Path) -> bool:
    """Whether it has grown so much that whoever reads for long should end first."""
    return wal_bytes(database) > MAX_WAL_BYTES // 2


def wal_problem(database: Path) -> str | None:
    """What to do about a log that has grown beyond its bound, or None."""
    size = wal_bytes(database)
    if size <= MAX_WAL_BYTES:
        return None
    return (
        f"The log of the database {database} has grown to {size >> 20} MB, since a program reads in one transaction "
        "without end: end that program (`fuser -v` on the database names it)."
    )


def bound(connection: Connection, database: Path) -> None:
    """Empty a log that has grown beyond its bound.

    Raises:
        CatalogError: a reader still needs what is in it.
    """
    if wal_problem(database):
        checkpoint(connection, "TRUNCATE")
        if trouble := wal_problem(database):
            raise CatalogError(trouble)


def checkpoint(connection: Connection, mode: str) -> int:
    """Put the log into the database as far as readers allow; return how many bytes of it had to stay."""
    driver = connection.connection.driver_connection
    assert driver is not None
    driver.execute("PRAGMA busy_timeout = 0")
    _, logged, done = driver.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
    (page,) = driver.execute("PRAGMA page_size").fetchone()
    return int(max(0, logged - done) * page)
