"""Changes on their way from one thread to another: scopes, and the barriers behind them."""

import threading
from collections.abc import Iterable
from typing import NamedTuple

from plotindex.tree import ScopeSet


class Changes(NamedTuple):
    """Scopes that may have changed, and the barriers created after these changes."""

    scopes: ScopeSet
    barriers: list[str]


class ChangeQueue:
    """Collects changes until they are taken. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._arrived = threading.Condition(self._lock)
        self._changes = Changes(ScopeSet(), [])

    def __len__(self) -> int:
        return self._changes.scopes.count + len(self._changes.barriers)

    def put(self, scopes: Iterable[str], barriers: Iterable[str] = ()) -> None:
        with self._lock:
            changes = self._changes
            was_empty = not (changes.scopes or changes.barriers)
            changes.scopes.update(scopes)
            changes.barriers.extend(barriers)
            if was_empty:
                self._arrived.notify()

    def take(self, timeout: float) -> Changes:
        """Return all changes, at once if there are any, otherwise after up to `timeout` seconds."""
        with self._arrived:
            self._arrived.wait_for(self.__len__, timeout)
            taken, self._changes = self._changes, Changes(ScopeSet(), [])
            return taken
