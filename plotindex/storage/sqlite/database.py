"""A catalogue in an SQLite file: read and write transactions, migration, damage."""

import sqlite3
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from plotindex.errors import CatalogError, DamagedDatabaseError
from plotindex.storage.database import Database
from plotindex.storage.pool import ConnectionPool
from plotindex.storage.schema import CATALOGUE, Schema, upgrade
from plotindex.storage.sqlite import wal
from plotindex.storage.sqlite.commit_watcher import CommitWatcher
from plotindex.storage.sqlite.disk_space import DiskSpace
from plotindex.storage.sqlite.errors import damaged, missing, translate
from plotindex.storage.sqlite.file import FileId, create_file, describe, file_id, quarantine
from plotindex.storage.sqlite.open_files import OpenFiles
from plotindex.storage.sqlite.read_only import ReadConnection, is_in_wal_mode
from plotindex.storage.sqlite.schema import create_tables
from plotindex.storage.sqlite.transactions import open_reader, open_writer, read_transaction, write_transaction
from plotindex.storage.sqlite.value_types import has_wrong_types
from plotindex.storage.sqlite.writer_queue import WriterQueue
from plotindex.storage.statements import SQLITE, Connection, Prepared
from plotindex.storage.urls import parse_file_url

_TABLE_NAMES = Prepared("SELECT name FROM sqlite_master WHERE type = 'table'")
BUSY_SECONDS = 60.0
"""How long a writer waits for another program that holds the database."""
DRIVER_ERRORS = (sqlite3.Error, UnicodeDecodeError)
_FREE_PAGES = ("freelist_count", "page_size")
READ_SECONDS = 5.0
"""How long a reader waits for another program that holds the database exclusively."""


class SqliteDatabase(Database):
    """An SQLite database in WAL mode: its idle connections and the queue of its writers."""

    is_shared = False

    def __init__(
        self,
        place: str | Path,
        busy_timeout: float = READ_SECONDS,
        *,
        prefer_immutable: bool = False,
        schema: Schema = CATALOGUE,
    ) -> None:
        """`place` is a database URL, or the file itself, in a folder of plotindex's own.

        `busy_timeout` in seconds is how long a reader waits for another program. `prefer_immutable`:
        read a database that is closed without creating a log beside it.
        """
        self.file = self.path = place if isinstance(place, Path) else parse_file_url(place)
        super().__init__(str(self.path), schema)
        self.queue = WriterQueue(self.path)
        self._commits = CommitWatcher(self.queue.file)
        self._disk_space = DiskSpace(self.path, self._room_inside, is_catalogue=self._is_catalogue)
        self._open_reader = partial(open_reader, self.path, busy_timeout, prefer_immutable=prefer_immutable)
        self._open_writer = partial(open_writer, self.path, busy_timeout)
        self._readers = ConnectionPool(self._open_reader)
        self._writers = ConnectionPool(self._open_writer)
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
        with self._translated(), self.queue.turn(timeout), self._connected_writer() as driver:
            if not wal.limit_size(driver, self.path):
                raise self.mark_damaged()
            with write_transaction(driver, BUSY_SECONDS if timeout is None else timeout) as connection:
                yield connection

    @contextmanager
    def reading(self, *, is_long: bool = False) -> Iterator[Connection]:  # noqa: ARG002 - nothing limits a reader
        with self._translated(), self._connected_reader() as driver:
            try:
                with read_transaction(driver) as connection:
                    yield connection
            finally:
                self._check_unchanged(driver)

    def fetch_one(self, query: Prepared, values: Mapping[str, object]) -> Any:  # noqa: ANN401 - a row of the driver
        readers, opened = self._readers, self._opened
        try:
            driver = readers.take()
            try:
                row = driver.execute(*query.bind(SQLITE, values)).fetchone()
            except BaseException:
                driver.close()
                self._check_unchanged(driver)
                raise
        except DRIVER_ERRORS as error:
            raise self._translate(error, opened) from error
        if readers is self._readers:
            readers.give_back(driver)
        else:
            driver.close()
        if driver.is_stale(self.path):
            self.close()
            return self.fetch_one(query, values)
        return row

    def migrate(self) -> None:
        create_file(self.path)
        with self.queue.turn():
            # Again: the file may have been quarantined meanwhile.
            create_file(self.path)
            self.check_replaced()
            if self.known_revision() == self.schema.revision:
                return
            with (
                self._translated(),
                self._connected_writer() as driver,
                write_transaction(driver, BUSY_SECONDS) as connection,
            ):
                if not self._table_names(connection):
                    create_tables(connection, self.schema)
                else:
                    upgrade(connection.alchemy, self.schema)

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
            is_sound = connection.driver.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
            if not is_sound or (self._is_catalogue and has_wrong_types(connection)):
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
            (pages,), (size,) = (connection.driver.execute(f"PRAGMA {name}").fetchone() for name in _FREE_PAGES)
            return int(pages) * int(size) - wal.unwritten_bytes(connection.driver, self.path)

    def truncate_log(self) -> None:
        """Move the log into the database, and truncate it: deleted rows are no longer in it.

        Raises:
            CatalogError: a reader still needs the log.
        """
        with self._translated(), self.queue.turn(), self._connected_writer() as driver:
            wal.truncate(driver, self.path)

    def pinned_wal_bytes(self) -> int:
        with self._translated(), self.queue.turn(), self._connected_writer() as driver:
            return wal.remaining_bytes(driver)

    def journal_mode(self) -> str:
        """The journal mode: "wal", once a writer has opened the database."""
        with self.reading() as connection:
            (mode,) = connection.driver.execute("PRAGMA journal_mode").fetchone()
            # SQLite reports "delete" for every file that it opens as immutable.
            return "wal" if mode == "delete" and is_in_wal_mode(self.path) else str(mode)

    def describe(self) -> dict[str, Any]:
        with self.reading(is_long=True) as connection:
            return {**describe(connection.driver), "journal_mode": self.journal_mode()}

    def close(self) -> None:
        # The path may lead to another folder now.
        self._commits.close()
        # New pools: connections in use return to the old ones, and are closed then.
        readers, self._readers = self._readers, ConnectionPool(self._open_reader)
        writers, self._writers = self._writers, ConnectionPool(self._open_writer)
        readers.close()
        writers.close()

    @property
    def _is_catalogue(self) -> bool:
        return self.schema is CATALOGUE

    @property
    def _is_own(self) -> bool:
        """Whether the file is certainly plotindex's: by its folder, or since it was open as the catalogue before."""
        return self._is_own_folder or (self._own is not None and self._own == self._opened)

    def _mark_damaged(self, opened: FileId | None) -> DamagedDatabaseError:
        self._damaged = opened
        return damaged(self.path, is_own=self._is_own)

    def _table_names(self, connection: Connection) -> set[str]:
        return set(_TABLE_NAMES.column(connection))

    def _is_plausible(self, connection: Connection) -> bool:
        return not (self._is_catalogue and has_wrong_types(connection, is_quick=True))

    @contextmanager
    def _connected_reader(self) -> Iterator[ReadConnection]:
        readers = self._readers
        driver = readers.take()
        if driver.is_stale(self.path):
            driver.close()
            self.close()
            readers = self._readers
            driver = readers.take()
        with _used(driver):
            yield driver
        readers.give_back(driver) if readers is self._readers else driver.close()

    @contextmanager
    def _connected_writer(self) -> Iterator[ReadConnection]:
        # With the turn held, nobody quarantines the file meanwhile.
        self.check_replaced()
        writers = self._writers
        driver = writers.take()
        with _used(driver):
            yield driver
        writers.give_back(driver) if writers is self._writers else driver.close()

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
        except _driver_errors() as error:
            raise self._translate(error, opened) from error

    def _translate(self, error: Exception, opened: FileId | None) -> CatalogError:
        """The error to raise instead; remembers which file is damaged."""
        translated = translate(error, self.path, is_own=self._is_own)
        if isinstance(translated, DamagedDatabaseError):
            self._damaged = opened
        return translated


@contextmanager
def _used(driver: ReadConnection) -> Iterator[None]:
    """Close a connection that has failed."""
    try:
        yield
    except BaseException:
        driver.close()
        raise


def _driver_errors() -> tuple[type[Exception], ...]:
    """The exceptions of the driver, and of SQLAlchemy if it is in use."""
    alchemy = sys.modules.get("sqlalchemy.exc")
    return (*DRIVER_ERRORS, alchemy.SQLAlchemyError) if alchemy else DRIVER_ERRORS
