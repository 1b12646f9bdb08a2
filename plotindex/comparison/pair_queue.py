"""Pairs that wait to be compared, shared fairly: no caller keeps those of another one from being compared."""

import time
from collections import Counter, OrderedDict, deque
from collections.abc import Hashable, Iterable
from itertools import islice
from typing import NamedTuple

from plotindex.comparison.difference import Pair

MAX_REQUESTS = 16
"""Comparisons of two sides that wait at once; of more, one waits for its next request."""
MAX_PAIRS = 2_000
"""Pairs of each of these; more are queued by the next request."""
KEEP_SECONDS = 60.0
"""How long after its last request a comparison goes on: its client may have gone."""


class QueuedPair(NamedTuple):
    """A pair, and the caller whose turn it is."""

    caller: str
    pair: Pair


class _Request(NamedTuple):
    """The pairs of a comparison that wait, and until when (monotonic) unless it is asked for again."""

    pairs: deque[Pair]
    until: float


class PairQueue:
    """The next pair is of the caller whose pairs have taken the least time; its requests take turns.

    When there are too many requests, the caller with the most loses its oldest one.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, OrderedDict[Hashable, _Request]] = {}
        self._used: Counter[str] = Counter()
        """Time by caller in nanoseconds, since the queue was last empty."""

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def put(self, caller: str, request: Hashable, pairs: Iterable[Pair]) -> None:
        """Queue these pairs in this order, in place of those of the same request."""
        own = self._waiting.setdefault(caller, OrderedDict())
        if not own:
            # The time in which it had nothing to compare is not made up for.
            others = (self._used[each] for each in self._waiting if each != caller)
            self._used[caller] = max(self._used[caller], min(others, default=0))
        if waiting := deque(islice(pairs, MAX_PAIRS)):
            own[request] = _Request(waiting, time.monotonic() + KEEP_SECONDS)
        else:
            self._drop(caller, request)
        if sum(map(len, self._waiting.values())) > MAX_REQUESTS:
            # Of equals the last, so that nobody loses a request to a caller with as many.
            most = max(reversed(self._waiting), key=lambda each: len(self._waiting[each]))
            self._drop(most, next(iter(self._waiting[most])))

    def take(self) -> QueuedPair | None:
        """The next pair; None if there is none."""
        self._expire()
        if not self._waiting:
            return None
        caller = min(self._waiting, key=self._used.__getitem__)
        own = self._waiting[caller]
        request, waiting = own.popitem(last=False)
        own[request] = waiting
        pair = waiting.pairs.popleft()
        if not waiting.pairs:
            self._drop(caller, request)
        return QueuedPair(caller, pair)

    def charge(self, caller: str, nanoseconds: int) -> None:
        """Count the time that a pair of this caller has taken."""
        self._used[caller] += nanoseconds

    def forget_times(self) -> None:
        """Begin anew, once the queue is empty."""
        self._used.clear()

    def drop(self, caller: str) -> None:
        """Drop all pairs of a caller."""
        self._waiting.pop(caller, None)

    def _expire(self) -> None:
        now = time.monotonic()
        for caller, own in list(self._waiting.items()):
            for request in [request for request, waiting in own.items() if waiting.until < now]:
                self._drop(caller, request)

    def _drop(self, caller: str, request: Hashable) -> None:
        own = self._waiting[caller]
        own.pop(request, None)
        if not own:
            del self._waiting[caller]
