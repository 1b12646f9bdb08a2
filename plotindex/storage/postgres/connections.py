"""Connections to PostgreSQL: their timeouts, and what they do while the server is away."""

import threading
import time
from typing import Any

import psycopg
from sqlalchemy import Engine, NullPool, create_engine, event
from sqlalchemy.engine import URL

CONNECT_SECONDS = 3
"""Timeout of a new connection; libpq waits for two at least."""
READ_SECONDS, WRITE_SECONDS = 10, 60
"""Timeouts of one statement of a reader and of a writer, including its wait for locks."""
PAUSE_SECONDS = 600
"""How long a reader may pause between the pages of a list; also the timeout of a statement that reads every row."""
CUT_OFF_SECONDS = 5
"""A connection without an answer from the network for so long is broken."""
MIN_OPEN_SECONDS = 1.0
OPEN_SHARE = 3
"""After a failure no connection is tried for MIN_OPEN_SECONDS, or OPEN_SHARE times as long as the failure took:
requests wait for it, and are answered by scans meanwhile."""
POOL_SIZE = 4
"""Idle connections that are kept. There are never more connections than threads that use one."""

DriverError = psycopg.Error
"""Raised by the driver."""


class CircuitBreaker:
    """Makes connections. After a failure it refuses at once for a moment, then lets one thread try."""

    def __init__(self) -> None:
        self._open_until = 0.0
        self._error: Exception | None = None
        self._is_trying = False
        self._lock = threading.Lock()

    def connect(self, parameters: dict[str, Any]) -> "psycopg.Connection[Any]":
        started = time.monotonic()
        with self._lock:
            if self._error is not None:
                if self._is_trying or started < self._open_until:
                    raise type(self._error)(*self._error.args)
                self._is_trying = True
        failure: Exception | None = None
        try:
            return psycopg.connect(**parameters)
        except psycopg.Error as error:
            failure = error
            raise
        finally:
            with self._lock:
                now = time.monotonic()
                self._error, self._is_trying = failure, False
                self._open_until = now + max(MIN_OPEN_SECONDS, OPEN_SHARE * (now - started))


def make_server_engine(url: URL, breaker: CircuitBreaker, *, read_only: bool, is_pooled: bool = True) -> Engine:
    """An engine for a database on a PostgreSQL server. One that is not pooled has no transactions either."""
    connect: dict[str, Any] = {
        "client_encoding": "utf8",
        "fallback_application_name": "plotindex",
        "connect_timeout": CONNECT_SECONDS,
        "keepalives_idle": CUT_OFF_SECONDS,
        "keepalives_interval": 1,
        "keepalives_count": CUT_OFF_SECONDS,
        "tcp_user_timeout": CUT_OFF_SECONDS * 1000,
    }
    connect = {name: value for name, value in connect.items() if name not in url.query}
    # Parameters by position, as `Prepared` binds them.
    common: dict[str, Any] = {"connect_args": connect, "paramstyle": "format", "use_native_hstore": False}
    if is_pooled:
        engine = create_engine(url, **common, pool_size=POOL_SIZE, max_overflow=-1, pool_pre_ping=True)
    else:
        engine = create_engine(url, **common, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    seconds, idle = (READ_SECONDS, PAUSE_SECONDS) if read_only else (WRITE_SECONDS, WRITE_SECONDS)
    isolation = "REPEATABLE READ, READ ONLY" if read_only else "READ COMMITTED, READ WRITE"

    @event.listens_for(engine, "do_connect")
    def connect_server(_dialect: object, _record: object, _args: object, parameters: dict[str, Any]) -> Any:  # noqa: ANN401 - psycopg's
        return breaker.connect(parameters)

    @event.listens_for(engine, "connect")
    def configure(connection: "psycopg.Connection[Any]", _record: object) -> None:
        # By statements, since poolers such as PgBouncer do not pass `options` on.
        autocommit, connection.autocommit = connection.autocommit, True
        connection.execute(
            f"SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL {isolation}; "
            f"SET statement_timeout = '{seconds}s'; SET idle_in_transaction_session_timeout = '{idle}s'; "
            # The server's side: it releases the locks of a client that was cut off.
            f"SET tcp_keepalives_idle = {CUT_OFF_SECONDS}; SET tcp_keepalives_interval = 1; "
            f"SET tcp_keepalives_count = {CUT_OFF_SECONDS}"
        )
        connection.autocommit = autocommit

    return engine


class DedicatedConnection:
    """One connection outside every pool: its locks last as long as it. Every method raises `DriverError`."""

    def __init__(self, engine: Engine, idle_seconds: float = 0.0) -> None:
        """The server closes it after so many seconds without a statement; 0: never."""
        pooled = engine.raw_connection()
        pooled.detach()
        self._connection: psycopg.Connection[Any] = pooled.dbapi_connection  # type: ignore[assignment]  # psycopg's
        if idle_seconds:
            self.fetch_value("SELECT set_config('idle_session_timeout', %s, false)", f"{int(idle_seconds * 1000)}ms")

    def fetch_value(self, statement: str, *parameters: object) -> Any:  # noqa: ANN401 - whatever the server returns
        """The first value of the first row, or None."""
        row = self._connection.execute(statement.encode(), parameters).fetchone()
        return row[0] if row else None

    def listen(self, channel: str) -> None:
        self._connection.execute(f'LISTEN "{channel}"'.encode())

    def has_notification(self, seconds: float) -> bool:
        """Wait for a notification; return whether one has arrived in time."""
        return any(True for _ in self._connection.notifies(timeout=seconds, stop_after=1))

    def close(self) -> None:
        self._connection.close()
