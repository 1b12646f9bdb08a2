"""A catalogue in an SQLite file: read and write transactions, migration, damage."""

import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from plotindex.errors import CatalogError, DamagedDatabaseError
from plotindex.storage.database import Database
from plotindex.storage.pool import ConnectionPool
from plotindex.storage.schema import SCHEMA, upgrade
from plotindex.storage.sqlite import wal
from plotindex.storage.sqlite.disk_space import DiskSpace
from plotindex.storage.sqlite.engine import begin_with_timeout, make_engine
from plotindex.storage.sqlite.errors import damaged, missing, translate
from plotindex.storage.sqlite.file import FileId, create_file, describe, file_id, quarantine
from plotindex.storage.sqlite.open_files import OpenFiles
from plotindex.storage.sqlite.read_only import ReadConnection, is_in_wal_mode
from plotindex.storage.sqlite.writer_queue import WriterQueue
from plotindex.storage.statements import Prepared, driver_of
from plotindex.storage.urls import parse_file_url

BUSY_SECONDS = 60.0
"""How long a writer waits for another program that holds the database."""
DRIVER_ERRORS = (SQLAlchemyError, sqlite3.Error, UnicodeDecodeError)
_FREE_PAGES = ("freelist_count", "page_size")
READ_SECONDS = 5.0
"""How long a reader waits for another program that holds the database exclusively."""


class SqliteDatabase(Database):
    """An SQLite database in WAL mode: a read engine, a write engine and the queue of its writers."""

    is_shared = False

    def __init__(
        self, place: str | Path, busy_timeout: float = READ_SECONDS, *, prefer_immutable: bool = False
    ) -> None:
        """`place` is a database URL, or the file itself, in a folder of plotindex's own.

        `busy_timeout` in seconds is how long a reader waits for another program. `prefer_immutable`:
        read a database that is closed without creating a log beside it.
        """
        url = URL.create("sqlite", database=str(place)) if isinstance(place, Path) else parse_file_url(place)
        assert url.database is not None
        super().__init__(url, url.database)
        self.file = self.path = Path(url.database)
        self.queue = WriterQueue(self.path)
        self._disk_space = DiskSpace(self.path, self._room_inside)
        self.reader = make_engine(url, busy_timeout, read_only=True, prefer_immutable=prefer_immutable)
        self.writer = make_engine(url, busy_timeout, read_only=False)
        self._idle: ConnectionPool[ReadConnection] = ConnectionPool(self.reader)
        self._is_own_folder = isinstance(place, Path)
        self._files = OpenFiles(self.path)
        self._opened: FileId | None = None
        self._own: FileId | None = None
        self._damaged: FileId | None = None

    @contextmanager
    def writing(
        self,
        timeout: float | None = None,
        sessions: Collection[str] = (),  # noqa: ARG002 - one lock is for all of them
    ) -> Iterator[Connection]:
        with self._translated(), self.queue.turn(timeout), self._connected_writer() as connection:
            if not wal.limit_size(connection, self.path):
                raise self.mark_damaged()
            with begin_with_timeout(connection, BUSY_SECONDS if timeout is None else timeout):
                yield connection

    @contextmanager
    def reading(self, *, is_long: bool = False) -> Iterator[Connection]:  # noqa: ARG002 - nothing limits a reader
        with self._translated(), self._connected_reader() as connection:
            try:
                with connection.begin():
                    yield connection
            finally:
                self._check_unchanged(driver_of(connection))

    def fetch_one(self, query: Prepared, values: Mapping[str, object]) -> Any:  # noqa: ANN401 - a row of the driver
        idle, opened = self._idle, self._opened
        try:
            connection = idle.take()
            try:
                row = connection.execute(*query.bind(self.reader.dialect, values)).fetchone()
            except BaseException:
                connection.close()
                self._check_unchanged(connection)
                raise
        except DRIVER_ERRORS as error:
            raise self._translate(error, opened) from error
        if idle is self._idle:
            idle.give_back(connection)
        else:
            connection.close()
        if connection.is_stale(self.path):
            self.close()
            return self.fetch_one(query, values)
        return row

    def migrate(self) -> None:
        create_file(self.path)
        with self.queue.turn():
            # Again: the file may have been quarantined meanwhile.
            create_file(self.path)
            self.check_replaced()
            if self.known_revision() == SCHEMA:
                return
            with self._translated(), self.writer.connect() as connection:
                upgrade(connection)

    def check_replaced(self) -> None:
        if self._files.check():
            self.close()
            self.generation += 1
        found = self._opened = self._files.database_id
        if found is None:
            raise CatalogError(missing(self.path))
        if found == self._damaged:
            raise damaged(self.path, is_own=self._is_own)

    def check_integrity(self) -> None:
        # Half a second for a million plots: meanwhile the file may be replaced.
        opened = self._opened
        with self.reading() as connection:
            if connection.execute(text("PRAGMA quick_check(1)")).scalar() != "ok":
                raise self._mark_damaged(opened)

    def mark_damaged(self) -> DamagedDatabaseError:
        return self._mark_damaged(self._opened)

    def mark_as_own(self) -> None:
        self._own = self._opened

    def quarantine(self, timeout: float | None = None) -> bool:
        if self._damaged is None or not self._is_own:
            return False
        with self.queue.turn(timeout):
            self.close()
            # Another process may have been first: then the file here is its new one.
            if file_id(self.path) == self._damaged:
                quarantine(self.path)
        return True

    def space_problem(self, growth: int = 0) -> str:
        return self._disk_space.problem(growth)

    def _room_inside(self) -> int:
        """Bytes of the pages in the file that rows have left, less those that only the log has."""
        with self.reading() as connection:
            pages, size = (connection.execute(text(f"PRAGMA {name}")).scalar_one() for name in _FREE_PAGES)
            return int(pages) * int(size) - wal.unwritten_bytes(driver_of(connection), self.path)

    def pinned_wal_bytes(self) -> int:
        with self._translated(), self.queue.turn(), self._connected_writer() as connection:
            return wal.remaining_bytes(connection)

    def journal_mode(self) -> str:
        """The journal mode: "wal", once a writer has opened the database."""
        with self.reading() as connection:
            mode = str(connection.execute(text("PRAGMA journal_mode")).scalar())
            # SQLite reports "delete" for every file that it opens as immutable.
            return "wal" if mode == "delete" and is_in_wal_mode(self.path) else mode

    def describe(self) -> dict[str, Any]:
        with self.reading(is_long=True) as connection:
            return {**describe(driver_of(connection)), "journal_mode": self.journal_mode()}

    def close(self) -> None:
        # A new pool: connections in use return to the old one, and are closed then.
        idle, self._idle = self._idle, ConnectionPool(self.reader)
        idle.close()
        self.reader.dispose()
        self.writer.dispose()

    @property
    def _is_own(self) -> bool:
        """Whether the file is certainly plotindex's: by its folder, or since it was open as the catalogue before."""
        return self._is_own_folder or (self._own is not None and self._own == self._opened)

    def _mark_damaged(self, opened: FileId | None) -> DamagedDatabaseError:
        self._damaged = opened
        return damaged(self.path, is_own=self._is_own)

    def _table_names(self, connection: Connection) -> set[str]:
        return set(connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'")).scalars())

    @contextmanager
    def _connected_reader(self) -> Iterator[Connection]:
        connection = self.reader.connect()
        if driver_of(connection).is_stale(self.path):
            connection.close()
            self.close()
            connection = self.reader.connect()
        with connection:
            yield connection

    @contextmanager
    def _connected_writer(self) -> Iterator[Connection]:
        # With the turn held, nobody quarantines the file meanwhile.
        self.check_replaced()
        with self.writer.connect() as connection:
            yield connection

    def _check_unchanged(self, reader: ReadConnection) -> None:
        """Check that a database opened as immutable was not written meanwhile."""
        if reader.is_stale(self.path):
            raise CatalogError(f"The database {self.path} was written while it was read: try again.")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Raise errors of SQLAlchemy and the driver as CatalogError."""
        opened = self._opened
        try:
            yield
        except DRIVER_ERRORS as error:
            raise self._translate(error, opened) from error

    def _translate(self, error: Exception, opened: FileId | None) -> CatalogError:
        """The error to raise instead; remembers which file is damaged."""
        translated = translate(error, self.path, is_own=self._is_own)
        if isinstance(translated, DamagedDatabaseError):
            self._damaged = opened
        return translated
