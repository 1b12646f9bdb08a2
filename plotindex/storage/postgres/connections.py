"""Connections to PostgreSQL: how long each of them waits, what they wait with, and what the server's errors mean."""

import threading
import time
from typing import Any

import psycopg
from sqlalchemy import Engine, NullPool, create_engine, event
from sqlalchemy.engine import URL

from plotindex.errors import CatalogError, ConflictError, LockTimeoutError, UnusableDatabaseError
from plotindex.system import printable

CONNECT_SECONDS = 3
"""How long a server may take to let somebody in; libpq waits at least for two."""
READ_SECONDS, WRITE_SECONDS = 10, 60
"""How long one statement of a reader, or of a writer, may take, its waiting for others included."""
PAUSE_SECONDS = 600
"""How long a reader may pause, one who reads a long list page by page, say; and how long a look at every row takes."""
CUT_OFF_SECONDS = 5
"""After so long without any answer of the network a connection is broken."""
REST_SECONDS = 1.0
REST_SHARE = 3
"""For so long after nobody was let in nobody tries again, and so many times as long as that took: requests wait for
it, and are answered by scans meanwhile."""
KEPT = 4
"""How many connections are kept that nobody uses. There are never more of them than threads that use one."""

LOCKED = {"55P03"}
CONFLICTS = {"40P01", "40001"}
REMEDIES = {
    "25006": "name the server that can be written, by target_session_attrs=read-write in the address",
    "28000": "mend the name of the role in --database",
    "28P01": "mend the password in --database",
    "3D000": "create it (`createdb --owner ROLE NAME`), or mend --database",
    "42501": "let this role own the database",
    "53100": "make room on the server's disk",
    "53300": "raise max_connections, or let fewer workers and threads serve",
    "57014": "ask again when the server has less to do",
}
"""What mends it, by SQLSTATE (https://www.postgresql.org/docs/current/errcodes-appendix.html)."""
STAYS = {"42501"}
"""What stays so until somebody acts."""

Broken = psycopg.Error
"""What the driver raises."""


class Entrance:
    """Where connections are made. After nobody was let in it is closed for a moment, then one alone tries again."""

    def __init__(self) -> None:
        self._closed_until = 0.0
        self._why: Exception | None = None
        self._is_tried = False
        self._lock = threading.Lock()

    def connect(self, given: dict[str, Any]) -> "psycopg.Connection[Any]":
        began = time.monotonic()
        with self._lock:
            if self._why is not None:
                if self._is_tried or began < self._closed_until:
                    raise type(self._why)(*self._why.args)
                self._is_tried = True
        why: Exception | None = None
        try:
            return psycopg.connect(**given)
        except psycopg.Error as error:
            why = error
            raise
        finally:
            with self._lock:
                now = time.monotonic()
                self._why, self._is_tried = why, False
                self._closed_until = now + max(REST_SECONDS, REST_SHARE * (now - began))


def make_server_engine(url: URL, entrance: Entrance, *, read_only: bool, is_pooled: bool = True) -> Engine:
    """An engine for a database of a PostgreSQL server. One that is not pooled has no transactions either."""
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
    # Texts that the driver takes as they are compiled: by position, as `Prepared` gives the values.
    common: dict[str, Any] = {"connect_args": connect, "paramstyle": "format", "use_native_hstore": False}
    if is_pooled:
        engine = create_engine(url, **common, pool_size=KEPT, max_overflow=-1, pool_pre_ping=True)
    else:
        engine = create_engine(url, **common, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    seconds, idle = (READ_SECONDS, PAUSE_SECONDS) if read_only else (WRITE_SECONDS, WRITE_SECONDS)
    isolation = "REPEATABLE READ, READ ONLY" if read_only else "READ COMMITTED, READ WRITE"

    @event.listens_for(engine, "do_connect")
    def enter(_dialect: object, _record: object, _args: object, given: dict[str, Any]) -> Any:  # noqa: ANN401 - psycopg's
        return entrance.connect(given)

    @event.listens_for(engine, "connect")
    def configure(connection: "psycopg.Connection[Any]", _record: object) -> None:
        # Told to the server itself, since poolers such as PgBouncer let no `options` through.
        was, connection.autocommit = connection.autocommit, True
        connection.execute(
            f"SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL {isolation}; "
            f"SET statement_timeout = '{seconds}s'; SET idle_in_transaction_session_timeout = '{idle}s'; "
            # The server's side of it: nobody is waited for who was cut off while he held a lock.
            f"SET tcp_keepalives_idle = {CUT_OFF_SECONDS}; SET tcp_keepalives_interval = 1; "
            f"SET tcp_keepalives_count = {CUT_OFF_SECONDS}"
        )
        connection.autocommit = was

    return engine


class Lone:
    """One connection outside every pool: what it holds is held as long as it lives. Every method raises `Broken`."""

    def __init__(self, engine: Engine, idle_seconds: float = 0.0) -> None:
        """The server ends it after so many seconds without a question."""
        pooled = engine.raw_connection()
        pooled.detach()
        self._connection: psycopg.Connection[Any] = pooled.dbapi_connection  # type: ignore[assignment]  # psycopg's
        if idle_seconds:
            self.ask("SELECT set_config('idle_session_timeout', %s, false)", f"{int(idle_seconds * 1000)}ms")

    def ask(self, question: str, *given: object) -> Any:  # noqa: ANN401 - whatever the server answers
        """The first value of the answer."""
        row = self._connection.execute(question.encode(), given).fetchone()
        return row[0] if row else None

    def listen(self, channel: str) -> None:
        """Hear what is told on a channel, which is a word."""
        self._connection.execute(f'LISTEN "{channel}"'.encode())

    def hears(self, seconds: float) -> bool:
        """Whether anything is told within that time."""
        return any(True for _ in self._connection.notifies(timeout=seconds, stop_after=1))

    def close(self) -> None:
        self._connection.close()


def described(error: Exception, shown: str) -> CatalogError:
    """What SQLAlchemy or the driver says about the database that is shown so."""
    origin = getattr(error, "orig", None) or error
    reason = printable(str(origin).partition("\n")[0].strip() or type(origin).__name__)
    state = getattr(origin, "sqlstate", None) or _state_of(reason)
    if state in LOCKED:
        return LockTimeoutError("Another process is writing the catalogue.")
    if state in CONFLICTS:
        return ConflictError(f"The database {shown} could not do two things at once ({reason}).")
    if state == "42P01":
        return CatalogError(without_tables(shown))
    if isinstance(origin, psycopg.OperationalError) and state not in REMEDIES:
        return CatalogError(f"The database {shown} cannot be reached ({reason}): start its server, or mend --database.")
    remedy = f": {REMEDIES[state]}" if state in REMEDIES else ""
    kind = UnusableDatabaseError if state in STAYS else CatalogError
    return kind(f"The database {shown} cannot be used ({reason}){remedy}.")


def _state_of(reason: str) -> str | None:
    """The SQLSTATE of a refusal to let somebody in, of which libpq tells only the words."""
    words = {"28P01": "password authentication failed", "3D000": "does not exist", "53300": "too many clients"}
    return next((state for state, said in words.items() if "FATAL" in reason and said in reason), None)


def without_tables(shown: str) -> str:
    return f"The database {shown} has no tables yet: start `plotindex watch`, or run `plotindex migrate`."
