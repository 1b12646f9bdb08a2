"""A pool of idle connections, for any driver."""

from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from plotindex.system import call_after_fork


class Closable(Protocol):
    """A connection of any driver."""

    def close(self) -> None: ...


T = TypeVar("T", bound=Closable)


class ConnectionPool(Generic[T]):
    """Idle connections. SQLAlchemy's own pool costs as much time as a lookup."""

    def __init__(self, connect: Callable[[], T]) -> None:
        self._connect = connect
        self._idle: deque[T] = deque()
        call_after_fork(self._forget)

    def take(self) -> T:
        """An idle connection, or a new one. The caller gives it back, or closes it after a failure."""
        try:
            return self._idle.pop()
        except IndexError:
            return self._connect()

    def give_back(self, connection: T) -> None:
        self._idle.append(connection)

    def close(self) -> None:
        """Close all idle connections."""
        while self._idle:
            self._idle.pop().close()

    def _forget(self) -> None:
        """In a forked child: neither use nor close the parent's connections."""
        _OF_PARENTS.append(self._idle)
        self._idle = deque()


_OF_PARENTS: list[object] = []
