"""The threads for requests, shared fairly: no caller keeps another one waiting for long."""

import asyncio
from collections import Counter, deque


class FairTurns:
    """A bounded number of turns, for the event loop. One caller has at most some of them at a time.

    The next turn is for a caller with the fewest; among these, for the one whose last turn began first.
    """

    def __init__(self, turns: int, each: int) -> None:
        """`each`: the most turns that one caller has at a time."""
        self._free = turns
        self._each = each
        self._running: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        """By caller, the one whose last turn began first in front."""

    @property
    def is_in_use(self) -> bool:
        """Whether somebody has a turn. Thread-safe."""
        return bool(self._running)

    def ask(self, caller: str) -> asyncio.Future[None]:
        """A future that is done once the turn begins, perhaps at once. Pass it to `give_up` in the end."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(caller, deque()).append(turn)
        self._begin_next()
        return turn

    def give_up(self, caller: str, turn: asyncio.Future[None]) -> None:
        """End a turn that has begun, or do without it."""
        if turn.done():
            self._free += 1
            self._running[caller] -= 1
            if not self._running[caller]:
                del self._running[caller]
            self._begin_next()
            return
        own = self._waiting[caller]
        own.remove(turn)
        if not own:
            del self._waiting[caller]

    def _begin_next(self) -> None:
        caller = min(self._waiting, key=self._running.__getitem__, default=None)
        if caller is None or not self._free or self._running[caller] >= self._each:
            return
        own = self._waiting.pop(caller)
        self._free -= 1
        self._running[caller] += 1
        own.popleft().set_result(None)
        if own:
            # Behind the others.
            self._waiting[caller] = own
