"""Engines for an SQLite file: how connections are opened and configured, and how transactions begin."""

import sqlite3
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Transaction, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError

from plotindex.storage.sqlite.connect import connect
from plotindex.storage.sqlite.disk_space import reserve_bytes
from plotindex.storage.sqlite.errors import is_busy
from plotindex.storage.sqlite.read_only import READ_WRITE, read_mode
from plotindex.storage.sqlite.wal import KEPT_WAL_BYTES
from plotindex.storage.statements import driver_of

CHECKPOINT_PAGES = 8_192
"""Pages of the log after which SQLite checkpoints it, which waits for the disk."""
PAGE_BYTES = 8_192
SIGNAL_SECONDS = 0.25
"""Longest single wait inside SQLite, which blocks signals while it waits for another program."""


def make_engine(url: URL, busy_timeout: float, *, read_only: bool, prefer_immutable: bool = False) -> Engine:
    """An engine for one SQLite file; its parameters are those of `SqliteDatabase`."""
    path = Path(url.database or "")
    engine = create_engine(
        url,
        pool_reset_on_return=None if read_only else "rollback",
        connect_args={"timeout": busy_timeout, "check_same_thread": False},
    )

    @event.listens_for(engine, "do_connect")
    def open_file(_dialect: object, _record: object, _args: object, parameters: dict[str, Any]) -> sqlite3.Connection:
        # A reader opens the file for writing where it may, but query_only refuses every write.
        mode, stamp = read_mode(path, prefer_immutable=prefer_immutable) if read_only else (READ_WRITE, None)
        connection = connect(path, mode, **parameters)
        connection.stamp = stamp
        return connection

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: object) -> None:
        # Transactions are begun below: the driver would commit before each CREATE TABLE.
        connection.isolation_level = None
        if read_only:
            connection.execute("PRAGMA query_only = ON")
        else:
            # Of a new database: long rows fit better on large pages, and there are fewer of them.
            connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            # The reserve of a small disk must hold what a checkpoint moves into the database.
            reserve = reserve_bytes(path.parent)
            connection.execute(f"PRAGMA journal_size_limit = {min(KEPT_WAL_BYTES, reserve)}")
            connection.execute(f"PRAGMA wal_autocheckpoint = {max(1, min(CHECKPOINT_PAGES, reserve // PAGE_BYTES))}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine


def begin_with_timeout(connection: Connection, seconds: float) -> Transaction:
    """Begin a transaction; wait so long for another program that holds the database."""
    driver_of(connection).execute(f"PRAGMA busy_timeout = {int(min(seconds, SIGNAL_SECONDS) * 1000)}")
    deadline = time.monotonic() + seconds
    while True:
        try:
            return connection.begin()
        except OperationalError as error:
            if not is_busy(error) or time.monotonic() >= deadline:
                raise
