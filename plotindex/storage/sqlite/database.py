"""The database: engines, pragmas, the writers' queue, migrations."""

import sqlite3
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy import Connection, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from plotindex.errors import CatalogError, DamagedDatabaseError, UnusableDatabaseError
from plotindex.storage.pool import ConnectionPool
from plotindex.storage.schema import SCHEMA, known_revisions, of_another_schema, upgrade
from plotindex.storage.sqlite import wal
from plotindex.storage.sqlite.engine import begin_waiting, make_engine, parse_url
from plotindex.storage.sqlite.file import Identity, create_file, damaged, described, identity_of, missing, quarantine
from plotindex.storage.sqlite.immutable import ReadConnection, is_in_wal_mode
from plotindex.storage.sqlite.writer_queue import WriterQueue
from plotindex.storage.statements import Prepared
from plotindex.storage.tables import metadata

BUSY_SECONDS = 60.0
"""How long a writer waits for a program that is not plotindex and holds the database."""
ASK_SECONDS = 0.05
"""How often whoever waits for a commit asks for it."""
READ_SECONDS = 5.0
"""How long a reader waits for one that holds it for itself alone."""


class SqliteDatabase:
    """One SQLite database in WAL mode: a read engine, a write engine and the queue of its writers.

    Nothing is opened or created before it is used.
    """

    is_shared: ClassVar[bool] = False
    """Whether indexers and servers of several hosts use it at once."""

    def __init__(self, place: str | Path, patience: float = READ_SECONDS, *, prefer_immutable: bool = False) -> None:
        """`place` is a database URL, or the file itself, in a folder that is plotindex's own.

        `patience` in seconds is how long a reader waits for a program that is not plotindex. A guest
        makes no log beside a database that nobody has open, to read it.
        """
        self.url = URL.create("sqlite", database=str(place)) if isinstance(place, Path) else parse_url(place)
        assert self.url.database is not None
        self.path = Path(self.url.database)
        self.file: Path | None = self.path
        """The same, where callers know many kinds of databases: None for one that is no file."""
        self.shown = str(self.path)
        """As it is named in messages, without any password."""
        self.queue = WriterQueue(self.path)
        self.reader = make_engine(self.url, patience, read_only=True, prefer_immutable=prefer_immutable)
        self.writer = make_engine(self.url, patience, read_only=False)
        self._idle: ConnectionPool[ReadConnection] = ConnectionPool(self.reader)
        self._is_own_place = isinstance(place, Path)
        self._opened: Identity | None = None
        self._recognised: Identity | None = None
        self._damaged: Identity | None = None
        self.generation = 0
        """How often the file was seen to be another one than before; the first is counted too."""

    @contextmanager
    def writing(
        self,
        timeout: float | None = None,
        sessions: Collection[str] = (),  # noqa: ARG002 - one lock is for all of them
    ) -> Iterator[Connection]:
        """One write transaction, begun with the lock held. `timeout` in seconds is for the queue and the lock.

        Raises:
            LockTimeoutError: others held the catalogue for longer.
            CatalogError: the database cannot be written.
        """
        with self._translated(), self.queue.turn(timeout), self._connected_writer() as connection:
            wal.bound(connection, self.path)
            busy = BUSY_SECONDS if timeout is None else timeout
            with begin_waiting(connection, busy):
                yield connection

    def notify(self, connection: Connection) -> None:
        """Nobody listens: who waits for the next commit asks for it."""

    @property
    def notifications(self) -> int:
        """Nothing is told."""
        return 0

    def wait_for_commit(self, seen: int, seconds: float) -> None:  # noqa: ARG002 - as that of a server's database
        """Let somebody who waits for the next commit wait before he asks again."""
        time.sleep(min(seconds, ASK_SECONDS))

    def is_leader(self) -> bool:
        """Whether the indexer that asks is the one that looks at everything now and then: there is one."""
        return True

    def clock_skew(self, connection: Connection) -> float:  # noqa: ARG002 - as that of a server's database
        """How far the database's clock is ahead of this host's: it has none of its own."""
        return 0.0

    def pinned_wal_bytes(self) -> int:
        """How much of the log cannot be put into the database, since a reader still sees what was before it.

        Raises:
            CatalogError: the database cannot be written.
        """
        with self._translated(), self.queue.turn(), self._connected_writer() as connection:
            return wal.checkpoint(connection, "PASSIVE")

    def check_replaced(self) -> None:
        """Let go of a database file that was deleted or replaced: what is open is no longer what its path leads to.

        Raises:
            CatalogError: there is none any more.
            DamagedDatabaseError: it was found to be damaged: no more of it is believed.
        """
        found = identity_of(self.path)
        if found != self._opened:
            self.close()
            self._opened = found
            self.generation += 1
        if found is None:
            raise CatalogError(missing(self.path))
        if found == self._damaged:
            raise damaged(self.path, is_own=self._is_own)

    def check_integrity(self) -> None:
        """Read every page: what is damaged would answer with nonsense. Half a second for a million plots.

        Raises:
            DamagedDatabaseError: it is.
            CatalogError: it cannot be read.
        """
        # Until it is read, another file may have taken its place.
        opened = self._opened
        with self.reading() as connection:
            if connection.execute(text("PRAGMA quick_check(1)")).scalar() != "ok":
                raise self._damaged_as(opened)

    def journal_mode(self) -> str:
        """How SQLite keeps a transaction that is not finished: "wal", once a writer has opened it.

        Raises:
            CatalogError: the database cannot be read.
        """
        with self.reading() as connection:
            told = str(connection.execute(text("PRAGMA journal_mode")).scalar())
            # Of a file that it takes for one that does not change SQLite says so whatever the mode.
            return "wal" if told == "delete" and is_in_wal_mode(self.path) else told

    def mark_damaged(self) -> DamagedDatabaseError:
        """What to raise when what is read makes no sense."""
        return self._damaged_as(self._opened)

    def _damaged_as(self, opened: Identity | None) -> DamagedDatabaseError:
        self._damaged = opened
        return damaged(self.path, is_own=self._is_own)

    def mark_as_own(self) -> None:
        """The file that is open is a catalogue of plotindex: should it be damaged one day, it may be set aside."""
        self._recognised = self._opened

    def quarantine(self, timeout: float | None = None) -> bool:
        """Rename a database that was found to be damaged and is surely plotindex's; return False where it is not.

        Raises:
            LockTimeoutError: others held the catalogue for longer than `timeout` seconds.
            CatalogError: the system refuses.
        """
        if self._damaged is None or not self._is_own:
            return False
        with self.queue.turn(timeout):
            self.close()
            # Another process may have been first: what is there now is its new one.
            if identity_of(self.path) == self._damaged:
                quarantine(self.path)
        return True

    @contextmanager
    def reading(self, *, is_long: bool = False) -> Iterator[Connection]:  # noqa: ARG002 - it may take its time
        """One read transaction: every statement in it sees the same commit. A long one may read every row.

        Raises:
            CatalogError: the database is missing or cannot be read.
        """
        with self._translated(), self._connected_reader() as connection:
            try:
                with connection.begin():
                    yield connection
            finally:
                self._check_rest(_driver_of(connection))

    def fetch_one(self, query: Prepared, values: Mapping[str, object]) -> Any:  # noqa: ANN401 - a row of the driver
        """The first row of a query, or None, outside of any transaction: the look-up and nothing else.

        Raises:
            CatalogError: the database is missing or cannot be read.
        """
        idle = self._idle
        with self._translated():
            connection = idle.take()
            try:
                row = connection.execute(*query.bind(self.reader.dialect, values)).fetchone()
            except BaseException:
                connection.close()
                self._check_rest(connection)
                raise
        if idle is self._idle:
            idle.give_back(connection)
        else:
            connection.close()
        if connection.is_outdated(self.path):
            self.close()
            return self.fetch_one(query, values)
        return row

    def revision(self) -> str | None:
        """The schema revision of the database, or None when it has none yet.

        Raises:
            CatalogError: there is no database, or it is none.
        """
        with self.reading() as connection:
            if "alembic_version" not in _tables(connection):
                return None
            return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()

    def require_schema(self) -> None:
        """Check, without changing anything, that the database is of this version's schema.

        Raises:
            CatalogError: it is missing or older.
            UnusableDatabaseError: it is newer, or of another program.
        """
        revision = self._known_revision()
        if revision is None:
            raise CatalogError(
                f"The database {self.path} has no tables yet: start `plotindex watch`, or run `plotindex migrate`."
            )
        if revision != SCHEMA:
            raise of_another_schema(self.path, revision)

    def check_revision(self, connection: Connection) -> None:
        """Check, within a write transaction, that no other version of plotindex has migrated it meanwhile.

        Raises:
            UnusableDatabaseError: a newer one has.
            CatalogError: an older database was put in its place.
        """
        driver = connection.connection.driver_connection
        assert driver is not None
        (revision,) = driver.execute("SELECT version_num FROM alembic_version").fetchone() or ("",)
        if revision != SCHEMA:
            raise of_another_schema(self.path, revision)

    def migrate(self) -> None:
        """Create the database, or bring its schema to this version's, in one transaction.

        Raises:
            UnusableDatabaseError: the file is no database of plotindex, or one of a newer version.
            CatalogError: it cannot be written.
        """
        create_file(self.path)
        with self.queue.turn():
            # Once more: it may have been set aside meanwhile.
            create_file(self.path)
            self.check_replaced()
            if self._known_revision() == SCHEMA:
                return
            with self._translated(), self.writer.connect() as connection:
                upgrade(connection)

    def close(self) -> None:
        # A new one: what is in use now is closed when it comes back to the old one.
        idle, self._idle = self._idle, ConnectionPool(self.reader)
        idle.close()
        self.reader.dispose()
        self.writer.dispose()

    def _known_revision(self) -> str | None:
        """The revision of a database that this version can use or migrate; None for one that is empty."""
        revision = self.revision()
        if revision is None:
            with self.reading() as connection:
                others = _tables(connection) - {"alembic_version"}
            if others:
                raise UnusableDatabaseError(
                    f"{self.path} is a database of another program: name another file with --database."
                )
        elif revision not in known_revisions():
            raise of_another_schema(self.path, revision)
        elif revision == SCHEMA and not self._has_all_tables():
            raise self.mark_damaged()
        return revision

    def _has_all_tables(self) -> bool:
        with self.reading() as connection:
            return _tables(connection) >= set(metadata.tables)

    @property
    def _is_own(self) -> bool:
        """Whether the file is surely plotindex's: by its place, or since it was open here as the catalogue."""
        return self._is_own_place or (self._recognised is not None and self._recognised == self._opened)

    @contextmanager
    def _connected_reader(self) -> Iterator[Connection]:
        connection = self.reader.connect()
        if _driver_of(connection).is_outdated(self.path):
            connection.close()
            self.close()
            connection = self.reader.connect()
        with connection:
            yield connection

    def _check_rest(self, reader: ReadConnection) -> None:
        """Check that nobody wrote a database that was opened as one that does not change."""
        if reader.is_outdated(self.path):
            raise CatalogError(f"The database {self.path} was written while it was read: ask again.")

    @contextmanager
    def _connected_writer(self) -> Iterator[Connection]:
        # Within one's turn: nobody sets the file aside meanwhile.
        self.check_replaced()
        with self.writer.connect() as connection:
            yield connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Say what SQLAlchemy and the driver say in one sentence, and remember which file is damaged."""
        opened = self._opened
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error, UnicodeDecodeError) as error:
            told = described(error, self.path, is_own=self._is_own)
            if isinstance(told, DamagedDatabaseError):
                self._damaged = opened
            raise told from error


def _driver_of(connection: Connection) -> ReadConnection:
    driver = connection.connection.driver_connection
    assert isinstance(driver, ReadConnection)
    return driver


def _tables(connection: Connection) -> set[str]:
    return set(connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'")).scalars())
