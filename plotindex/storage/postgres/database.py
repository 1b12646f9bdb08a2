"""The database on a PostgreSQL server, where several indexers and servers on several hosts share one catalogue."""

import atexit
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from plotindex.errors import CatalogError, DamagedDatabaseError
from plotindex.storage.pool import ConnectionPool
from plotindex.storage.postgres.connections import (
    PAUSE_SECONDS,
    Broken,
    Entrance,
    Lone,
    described,
    make_server_engine,
    without_tables,
)
from plotindex.storage.postgres.introspection import described_by, not_believed, revision_of, written_revision
from plotindex.storage.postgres.leader import Election
from plotindex.storage.postgres.notifications import CommitListener
from plotindex.storage.schema import SCHEMA, of_another_schema, upgrade
from plotindex.storage.statements import Prepared
from plotindex.storage.urls import parse_server_url, shown
from plotindex.system import call_after_fork

CHECK_SECONDS = 1.0
"""How often the server is asked whether it is still the one that it was."""


# Each catalogue of a server by itself: it is known by its table.
_CHANNEL = "SELECT 'plotindex ' || to_regclass('catalogue')::oid"
_TELL = text(f"SELECT pg_notify(({_CHANNEL}), '')")


# In one order, so that nobody waits for somebody who waits for him. A statement of its own: the rows are read after it.
_LOCK_SESSIONS = text(
    "SELECT count(pg_advisory_xact_lock(key)) FROM (SELECT DISTINCT hashtextextended(name, "
    "'catalogue'::regclass::oid::bigint) AS key FROM unnest(CAST(:names AS text[])) AS name ORDER BY key) AS keys"
)
_LOCK_SCHEMA = "SELECT pg_advisory_xact_lock(hashtextextended('plotindex migrates ' || current_schema(), 0))"
_LONG = text(f"SET LOCAL statement_timeout = '{PAUSE_SECONDS}s'")
_IDENTITY = "SELECT pg_postmaster_start_time()::text, to_regclass('catalogue')::oid::bigint"
_AHEAD = text("SELECT extract(epoch FROM clock_timestamp())::float8")
_OF_PARENTS: list[object] = []


class PostgresDatabase:
    """A database on a PostgreSQL server. Connects on first use."""

    file: ClassVar[None] = None
    is_shared: ClassVar[bool] = True

    def __init__(self, url: str) -> None:
        self.url = parse_server_url(url)
        self.shown = shown(self.url)
        entrance = Entrance()
        self.reader = make_server_engine(self.url, entrance, read_only=True)
        self.writer = make_server_engine(self.url, entrance, read_only=False)
        self._single = make_server_engine(self.url, entrance, read_only=True, is_pooled=False)
        self._idle: ConnectionPool[Any] = ConnectionPool(self._single)
        self._news = CommitListener(self._connect, _CHANNEL)
        self._election = Election(self._connect)
        self._identity: tuple[Any, ...] | None = None
        self._checked_at = -CHECK_SECONDS
        self.generation = 0
        """How often the server was seen to be another one than before, or begun anew; the first is counted too."""
        atexit.register(self.close)
        call_after_fork(self._forget)

    @property
    def path(self) -> Path:
        """There is none: whoever asks for one has to ask for `file` first."""
        raise TypeError(f"the database {self.shown} is no file")

    @contextmanager
    def writing(self, timeout: float | None = None, sessions: Collection[str] = ()) -> Iterator[Connection]:
        """One write transaction, which holds the locks of these sessions. `timeout` in seconds is for each lock.

        Raises:
            LockTimeoutError: others held one of them for longer.
            ConflictError: nothing was written, since somebody else wrote the same: it can be tried again.
            CatalogError: the database cannot be written.
        """
        with self._translated(), self.writer.connect() as connection, connection.begin():
            if timeout is not None:
                milliseconds = f"{max(1, int(timeout * 1000))}ms"
                connection.execute(text("SELECT set_config('lock_timeout', :told, true)"), {"told": milliseconds})
            if sessions:
                connection.execute(_LOCK_SESSIONS, {"names": list(sessions)})
            yield connection

    def notify(self, connection: Connection) -> None:
        """Let all who wait know, once this transaction is committed, that plots have changed."""
        connection.execute(_TELL)

    @property
    def notifications(self) -> int:
        """How often something was told so far: to be asked before the clock is, and given to `wait`."""
        return self._news.count

    def wait_for_commit(self, seen: int, seconds: float) -> None:
        """Return when more was told, or after so many seconds; sooner while nothing can be heard."""
        self._news.wait(seen, seconds)

    def is_leader(self) -> bool:
        """Whether the indexer that asks is the one that looks at everything now and then, and trims."""
        return self._election.ask()

    @contextmanager
    def reading(self, *, is_long: bool = False) -> Iterator[Connection]:
        """One read transaction: every statement in it sees the same commit. A long one may read every row.

        Raises:
            CatalogError: the database cannot be read.
        """
        with self._translated(), self.reader.connect() as connection, connection.begin():
            if is_long:
                connection.execute(_LONG)
            yield connection

    def fetch_one(self, query: Prepared, values: Mapping[str, object]) -> Any:  # noqa: ANN401 - a row of the driver
        """The first row of a query, or None, outside of any transaction: the look-up and nothing else.

        Raises:
            CatalogError: the database cannot be read.
        """
        return self._fetch(*query.bind(self._single.dialect, values))

    def _fetch(self, question: str, given: tuple[Any, ...] = ()) -> Any:  # noqa: ANN401 - see above
        idle = self._idle
        with self._translated():
            connection = idle.take()
            try:
                row = connection.execute(question, given, prepare=True).fetchone()
            except Broken:
                if not connection.broken:
                    idle.give_back(connection)
                    raise
                # What has ended this one has ended all others; a server that was begun anew lets in again.
                connection.close()
                idle.close()
                connection = idle.take()
                row = connection.execute(question, given, prepare=True).fetchone()
        idle.give_back(connection)
        return row

    def check_replaced(self) -> None:
        """Take note of a server that was begun anew, or that another one took the place of: once a second.

        Raises:
            CatalogError: it cannot be reached, or has no catalogue.
        """
        if time.monotonic() - self._checked_at < CHECK_SECONDS:
            return
        identity = tuple(self._fetch(_IDENTITY))
        if identity[1] is None:
            raise CatalogError(without_tables(self.shown))
        if identity != self._identity:
            self._election.resign()
            self._identity = identity
            self.generation += 1
        self._checked_at = time.monotonic()

    def check_integrity(self) -> None:
        """The server itself says when it reads a bad page."""

    def mark_damaged(self) -> DamagedDatabaseError:
        """What to raise when what is read makes no sense."""
        return not_believed(self.shown)

    def mark_as_own(self) -> None:
        """Nothing is ever set aside on a server."""

    def quarantine(self, timeout: float | None = None) -> bool:  # noqa: ARG002 - as that of `SqliteDatabase`
        """Nothing is ever set aside on a server."""
        return False

    def pinned_wal_bytes(self) -> int:
        """The server keeps its own log."""
        return 0

    def describe(self) -> dict[str, Any]:
        """Its version and sizes, for whoever mends plotindex. Raises CatalogError when they cannot be seen."""
        with self.reading() as connection:
            return described_by(connection)

    def clock_skew(self, connection: Connection) -> float:
        """How far the server's clock is ahead of this host's: heartbeats of several hosts are told by the server's."""
        before = time.time()
        return float(connection.execute(_AHEAD).scalar_one()) - (before + time.time()) / 2

    def require_schema(self) -> None:
        """Check, without changing anything, that the database is of this version's schema.

        Raises:
            CatalogError: it cannot be reached, has no tables, or older ones.
            UnusableDatabaseError: they are newer, or those of another program.
        """
        revision = self._known_revision()
        if revision is None:
            raise CatalogError(without_tables(self.shown))
        if revision != SCHEMA:
            raise of_another_schema(self.shown, revision)

    def check_revision(self, connection: Connection) -> None:
        """Check, within a write transaction, that no other version of plotindex has migrated it meanwhile.

        Raises:
            UnusableDatabaseError: a newer one has.
            CatalogError: an older database was put in its place.
        """
        revision = written_revision(connection)
        if revision != SCHEMA:
            raise of_another_schema(self.shown, revision)

    def migrate(self) -> None:
        """Bring the tables to this version's schema; several hosts may do so at once.

        Raises:
            CatalogError: the database cannot be reached.
            UnusableDatabaseError: it is of a newer plotindex, of another program, or of another encoding.
        """
        if self._known_revision() == SCHEMA:
            return
        with self._translated(), self.writer.connect() as connection:
            # An index on very many rows takes its time.
            upgrade(connection, _LOCK_SCHEMA, "SET LOCAL statement_timeout = 0", "SET LOCAL lock_timeout = 0")

    def close(self) -> None:
        self._news.close()
        self._election.resign()
        self._idle.close()
        for engine in (self.reader, self.writer, self._single):
            engine.dispose()
        atexit.unregister(self.close)

    def _forget(self) -> None:
        """In a forked child: leave the parent's connections alone, also from being closed."""
        _OF_PARENTS.append((self.reader.pool, self.writer.pool, self._election))
        self.reader.dispose(close=False)
        self.writer.dispose(close=False)
        self._election = Election(self._connect)

    def _connect(self, idle_seconds: float = 0.0) -> Lone:
        with self._translated():
            return Lone(self._single, idle_seconds)

    def _known_revision(self) -> str | None:
        with self.reading() as connection:
            return revision_of(connection, self.shown)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Say what SQLAlchemy and the driver say in one sentence."""
        try:
            yield
        except (SQLAlchemyError, Broken, UnicodeEncodeError) as error:
            raise described(error, self.shown) from error
