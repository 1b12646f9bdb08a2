"""Engines and connections of SQLite: pragmas, transactions, waiting for other programs, forks."""

import os
import sqlite3
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Transaction, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError

from plotindex.errors import SettingsError
from plotindex.storage.sqlite.file import is_busy
from plotindex.storage.sqlite.immutable import AT_REST, WRITABLE, ReadConnection, Rest, rest_of, way_to_read
from plotindex.storage.urls import EXAMPLES, parse

KEPT_WAL_BYTES = 1 << 26
"""What the log of the database keeps of a disk once its content is in the database."""
CHECKPOINT_PAGES = 8_192
"""After so many pages of the log they are put into the database: each time the disk is waited for."""
PAGE_BYTES = 8_192
SIGNAL_SECONDS = 0.25
"""How often whoever waits for another program hears signals: SQLite, waiting by itself, lets none through."""


def make_engine(url: URL, patience: float, *, read_only: bool, prefer_immutable: bool = False) -> Engine:
    """An engine for one SQLite file. `patience` in seconds is for a program that is not plotindex and holds it."""
    path = Path(url.database or "")
    engine = create_engine(
        url,
        pool_reset_on_return=None if read_only else "rollback",
        connect_args={"timeout": patience, "check_same_thread": False},
    )

    @event.listens_for(engine, "do_connect")
    def open_file(_dialect: object, _record: object, _args: object, parameters: dict[str, Any]) -> sqlite3.Connection:
        # Who reads keeps the file open for writing where he can, but query_only refuses every write.
        way, rest = _way_to_read(path, prefer_immutable=prefer_immutable) if read_only else (WRITABLE, None)
        connection = sqlite3.connect(f"file:{_quoted(str(path))}?{way}", uri=True, factory=ReadConnection, **parameters)
        connection.rest = rest
        return connection

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: object) -> None:
        # Transactions are begun below, not guessed by the driver: it would commit before each CREATE TABLE.
        connection.isolation_level = None
        if read_only:
            connection.execute("PRAGMA query_only = ON")
        else:
            # Of a new database: in longer rows there is more room on larger pages, and there are fewer of them.
            connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(f"PRAGMA journal_size_limit = {KEPT_WAL_BYTES}")
            connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine


def _way_to_read(path: Path, *, prefer_immutable: bool) -> tuple[str, Rest | None]:
    rest = rest_of(path) if prefer_immutable else None
    return (AT_REST, rest) if rest else way_to_read(path)


def begin_waiting(connection: Connection, seconds: float) -> Transaction:
    """Begin a transaction; wait at most so long for a program that is not plotindex."""
    driver = connection.connection.driver_connection
    assert driver is not None
    driver.execute(f"PRAGMA busy_timeout = {int(min(seconds, SIGNAL_SECONDS) * 1000)}")
    deadline = time.monotonic() + seconds
    while True:
        try:
            return connection.begin()
        except OperationalError as error:
            if not is_busy(error) or time.monotonic() >= deadline:
                raise


def parse_url(url: str) -> URL:
    """A database URL with the absolute path of its file.

    Raises:
        SettingsError: it is none, or of something that cannot be the catalogue.
    """
    parsed = parse(url)
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite"):
        raise SettingsError(f"The catalogue cannot be kept in {parsed.drivername}: write {EXAMPLES}.")
    if not parsed.database or parsed.database == ":memory:" or parsed.database.startswith("file:"):
        raise SettingsError(
            "The catalogue must be a file, seen by indexer and server: write sqlite:////absolute/path/catalog.db."
        )
    return parsed.set(database=os.path.abspath(parsed.database))


def _quoted(path: str) -> str:
    """A path inside an SQLite URI (https://www.sqlite.org/uri.html)."""
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
