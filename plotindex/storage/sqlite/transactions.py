"""Connections to an SQLite file: how they are opened and configured, and how transactions begin and end."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from plotindex.storage.sqlite.connect import connect
from plotindex.storage.sqlite.disk_space import reserve_bytes
from plotindex.storage.sqlite.errors import is_busy
from plotindex.storage.sqlite.read_only import READ_WRITE, ReadConnection, read_mode
from plotindex.storage.sqlite.wal import KEPT_WAL_BYTES
from plotindex.storage.statements import SQLITE, Connection

if TYPE_CHECKING:
    from sqlalchemy import Connection as SqlAlchemyConnection

CHECKPOINT_PAGES = 8_192
"""Pages of the log after which SQLite checkpoints it, which waits for the disk."""
PAGE_BYTES = 8_192
SIGNAL_SECONDS = 0.25
"""Longest single wait inside SQLite, which blocks signals while it waits for another program."""


def open_reader(path: Path, busy_timeout: float, *, prefer_immutable: bool) -> ReadConnection:
    """A connection that refuses every write; its parameters are those of `SqliteDatabase`."""
    # It opens the file for writing where it may: SQLite may have to create files beside it.
    mode, stamp = read_mode(path, prefer_immutable=prefer_immutable)
    connection = _open(path, mode, busy_timeout)
    connection.stamp = stamp
    connection.execute("PRAGMA query_only = ON")
    return connection


def open_writer(path: Path, busy_timeout: float) -> ReadConnection:
    """A connection for writing."""
    connection = _open(path, READ_WRITE, busy_timeout)
    # Of a new database: long rows fit better on large pages, and there are fewer of them.
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    # The reserve of a small disk must hold what a checkpoint moves into the database.
    reserve = reserve_bytes(path.parent)
    connection.execute(f"PRAGMA journal_size_limit = {min(KEPT_WAL_BYTES, reserve)}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {max(1, min(CHECKPOINT_PAGES, reserve // PAGE_BYTES))}")
    return connection


def _open(path: Path, mode: str, busy_timeout: float) -> ReadConnection:
    # Transactions are begun below: the driver would commit before each CREATE TABLE.
    return connect(path, mode, timeout=busy_timeout, check_same_thread=False, isolation_level=None)


@contextmanager
def read_transaction(driver: ReadConnection) -> Iterator[Connection]:
    """A transaction in which every statement sees the same commit."""
    driver.execute("BEGIN")
    with _transaction(driver) as connection:
        yield connection


@contextmanager
def write_transaction(driver: ReadConnection, seconds: float) -> Iterator[Connection]:
    """A transaction for writing. Waits `seconds` for another program that holds the database."""
    driver.execute(f"PRAGMA busy_timeout = {int(min(seconds, SIGNAL_SECONDS) * 1000)}")
    deadline = time.monotonic() + seconds
    while True:
        try:
            driver.execute("BEGIN IMMEDIATE")
            break
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() >= deadline:
                raise
    with _transaction(driver) as connection:
        yield connection


@contextmanager
def _transaction(driver: ReadConnection) -> Iterator[Connection]:
    connection = Connection(driver, SQLITE, _open_alchemy)
    try:
        yield connection
        driver.commit()
    except BaseException:
        driver.rollback()
        raise
    finally:
        connection.end()


def _open_alchemy(driver: ReadConnection) -> "SqlAlchemyConnection":
    # Slow to import, and not needed for statements in text.
    from plotindex.storage.sqlite.alchemy import open_alchemy  # noqa: PLC0415 - see above

    return open_alchemy(driver)
