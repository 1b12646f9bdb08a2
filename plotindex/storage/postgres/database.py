"""A catalogue on a PostgreSQL server, which indexers and servers on several hosts share."""

import atexit
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection as SqlAlchemyConnection
from sqlalchemy.exc import SQLAlchemyError

from plotindex.errors import DamagedDatabaseError
from plotindex.storage.database import Database, no_tables
from plotindex.storage.pool import ConnectionPool
from plotindex.storage.postgres.commit_notifications import CommitListener
from plotindex.storage.postgres.connections import (
    PAUSE_SECONDS,
    CircuitBreaker,
    DedicatedConnection,
    DriverError,
    make_server_engine,
)
from plotindex.storage.postgres.errors import damaged, translate
from plotindex.storage.postgres.introspection import describe_server, table_names
from plotindex.storage.postgres.leader_election import LeaderElection
from plotindex.storage.schema import CATALOGUE, Schema, upgrade
from plotindex.storage.statements import POSTGRES, Connection, Prepared
from plotindex.storage.urls import parse_server_url, without_password
from plotindex.system import call_after_fork

CHECK_SECONDS = 1.0
"""How often to check that the server is still the same one."""


# A catalogue is identified by its table: a server may have several.
_CHANNEL = "SELECT 'plotindex ' || to_regclass('catalogue')::oid"
_NOTIFY = f"SELECT pg_notify(({_CHANNEL}), '')"


# In one order, so that no two writers deadlock. A statement of its own: the rows are read after it.
_LOCK_SESSIONS = (
    "SELECT count(pg_advisory_xact_lock(key)) FROM (SELECT DISTINCT hashtextextended(name, "
    "'catalogue'::regclass::oid::bigint) AS key FROM unnest(CAST(%s AS text[])) AS name ORDER BY key) AS keys"
)
_LOCK_SCHEMA = "SELECT pg_advisory_xact_lock(hashtextextended('plotindex migrates ' || current_schema(), 0))"
_LONG = f"SET LOCAL statement_timeout = '{PAUSE_SECONDS}s'"
_IDENTITY = "SELECT pg_postmaster_start_time()::text, to_regclass('catalogue')::oid::bigint"
_NOW = "SELECT extract(epoch FROM clock_timestamp())::float8"
_OF_PARENTS: list[object] = []


class PostgresDatabase(Database):
    """A database on a PostgreSQL server."""

    is_shared = True

    def __init__(self, url: str, schema: Schema = CATALOGUE) -> None:
        parsed = parse_server_url(url)
        super().__init__(without_password(parsed), schema)
        self.url = parsed
        breaker = CircuitBreaker()
        self.reader = make_server_engine(parsed, breaker, read_only=True)
        self.writer = make_server_engine(parsed, breaker, read_only=False)
        self._single = make_server_engine(parsed, breaker, read_only=True, is_pooled=False)
        self._idle: ConnectionPool[Any] = ConnectionPool(self._open_single)
        self._commits = CommitListener(self._connect, _CHANNEL)
        self._election = LeaderElection(self._connect)
        self._identity: tuple[Any, ...] | None = None
        self._checked_at = -CHECK_SECONDS
        atexit.register(self.close)
        call_after_fork(self._forget)

    @contextmanager
    def writing(self, timeout: float | None = None, sessions: Collection[str] = ()) -> Iterator[Connection]:
        with self._translated(), self.writer.connect() as alchemy, alchemy.begin():
            connection = _connection_of(alchemy)
            if timeout is not None:
                milliseconds = f"{max(1, int(timeout * 1000))}ms"
                connection.driver.execute("SELECT set_config('lock_timeout', %s, true)", (milliseconds,))
            if sessions:
                connection.driver.execute(_LOCK_SESSIONS, (list(sessions),))
            yield connection

    @contextmanager
    def reading(self, *, is_long: bool = False) -> Iterator[Connection]:
        with self._translated(), self.reader.connect() as alchemy, alchemy.begin():
            connection = _connection_of(alchemy)
            if is_long:
                connection.driver.execute(_LONG)
            yield connection

    def fetch_one(self, query: Prepared, values: Mapping[str, object]) -> Any:  # noqa: ANN401 - a row of the driver
        return self._fetch(*query.bind(POSTGRES, values))

    def _fetch(self, statement: str, parameters: tuple[Any, ...] = ()) -> Any:  # noqa: ANN401 - see above
        idle = self._idle
        with self._translated():
            connection = idle.take()
            try:
                row = connection.execute(statement, parameters, prepare=True).fetchone()
            except DriverError:
                if not connection.broken:
                    idle.give_back(connection)
                    raise
                # Whatever ended this connection has ended all others; a restarted server accepts new ones.
                connection.close()
                idle.close()
                connection = idle.take()
                row = connection.execute(statement, parameters, prepare=True).fetchone()
        idle.give_back(connection)
        return row

    def migrate(self) -> None:
        if self.known_revision() == self.schema.revision:
            return
        with self._translated(), self.writer.connect() as connection:
            # Several hosts may migrate at once; an index over many rows takes long.
            unlimited = "SET LOCAL statement_timeout = 0", "SET LOCAL lock_timeout = 0"
            upgrade(connection, self.schema, (_LOCK_SCHEMA, *unlimited))

    def check_replaced(self) -> None:
        """Detect, once a second, that the server was restarted or is another one."""
        if time.monotonic() - self._checked_at < CHECK_SECONDS:
            return
        identity = tuple(self._fetch(_IDENTITY))
        if identity[1] is None:
            raise no_tables(self.shown)
        if identity != self._identity:
            self._election.resign()
            self._identity = identity
            self.generation += 1
        self._checked_at = time.monotonic()

    def mark_damaged(self) -> DamagedDatabaseError:
        return damaged(self.shown)

    def notify(self, connection: Connection) -> None:
        connection.driver.execute(_NOTIFY)

    def is_leader(self) -> bool:
        return self._election.check()

    def clock_skew(self, connection: Connection) -> float:
        before = time.time()
        return float(connection.driver.execute(_NOW).fetchone()[0]) - (before + time.time()) / 2

    def describe(self) -> dict[str, Any]:
        with self.reading() as connection:
            return describe_server(connection)

    def close(self) -> None:
        self._commits.close()
        self._election.resign()
        self._idle.close()
        for engine in (self.reader, self.writer, self._single):
            engine.dispose()
        atexit.unregister(self.close)

    def _table_names(self, connection: Connection) -> set[str]:
        return table_names(connection, self.shown)

    def _forget(self) -> None:
        """In a forked child: neither use nor close the parent's connections."""
        _OF_PARENTS.append((self.reader.pool, self.writer.pool, self._election))
        self.reader.dispose(close=False)
        self.writer.dispose(close=False)
        self._election = LeaderElection(self._connect)

    def _open_single(self) -> Any:  # noqa: ANN401 - of the driver
        pooled = self._single.raw_connection()
        pooled.detach()
        return pooled.dbapi_connection

    def _connect(self, idle_seconds: float = 0.0) -> DedicatedConnection:
        with self._translated():
            return DedicatedConnection(self._single, idle_seconds)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Raise errors of SQLAlchemy and the driver as CatalogError."""
        try:
            yield
        except (SQLAlchemyError, DriverError, UnicodeEncodeError) as error:
            raise translate(error, self.shown) from error


def _connection_of(alchemy: SqlAlchemyConnection) -> Connection:
    return Connection(alchemy.connection.driver_connection, POSTGRES, lambda _: alchemy)
