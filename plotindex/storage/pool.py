"""A pool of idle connections for look-ups, for any driver."""

from collections import deque
from typing import Generic, Protocol, TypeVar

from sqlalchemy import Engine

from plotindex.system import call_after_fork


class Closable(Protocol):
    """A connection of any driver."""

    def close(self) -> None: ...


T = TypeVar("T", bound=Closable)


class ConnectionPool(Generic[T]):
    """Connections for look-ups that nobody uses now. SQLAlchemy's own pool costs as much as the look-up itself."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._kept: deque[T] = deque()
        call_after_fork(self._forget)

    def take(self) -> T:
        """One of them, or a new one; its taker gives it back, or closes it when it has failed."""
        try:
            return self._kept.pop()
        except IndexError:
            pooled = self._engine.raw_connection()
            pooled.detach()
            connection: T = pooled.dbapi_connection  # type: ignore[assignment]  # SQLAlchemy's protocol
            return connection

    def give_back(self, connection: T) -> None:
        """Keep it for the next one."""
        self._kept.append(connection)

    def close(self) -> None:
        """Close all that are not in use."""
        while self._kept:
            self._kept.pop().close()

    def _forget(self) -> None:
        """In a forked child: leave the parent's connections alone, also from being closed."""
        _OF_PARENTS.append(self._kept)
        self._kept = deque()
        self._engine.dispose(close=False)


_OF_PARENTS: list[object] = []
