"""Pairs that wait to be compared, shared fairly: no caller keeps those of another one from being compared."""

from collections import Counter, OrderedDict, deque
from collections.abc import Hashable, Iterable
from itertools import islice
from typing import NamedTuple

from plotindex.comparison.difference import Pair

MAX_REQUESTS = 16
"""Comparisons of two sides that wait at once; of more, one waits for its next request."""
MAX_PAIRS = 2_000
"""Pairs of each of these; more are queued by the next request."""


class QueuedPair(NamedTuple):
    """A pair, and the caller whose turn it is."""

    caller: str
    pair: Pair


class PairQueue:
    """The next pair is of the caller whose pairs have taken the least time; its requests take turns.

    When there are too many requests, the caller with the most loses its oldest one.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, OrderedDict[Hashable, deque[Pair]]] = {}
        self._used: Counter[str] = Counter()
        """Time by caller in nanoseconds, since the queue was last empty."""

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def put(self, caller: str, request: Hashable, pairs: Iterable[Pair]) -> None:
        """Queue these pairs in this order, in place of those of the same request."""
        self._drop(caller, request)
        waiting = deque(islice(pairs, MAX_PAIRS))
        if not waiting:
            return
        if caller not in self._waiting:
            # The time in which it had nothing to compare is not made up for.
            least = min((self._used[each] for each in self._waiting), default=0)
            self._used[caller] = max(self._used[caller], least)
        self._waiting.setdefault(caller, OrderedDict())[request] = waiting
        if sum(map(len, self._waiting.values())) > MAX_REQUESTS:
            # Of equals the last, so that nobody loses a request to a caller with as many.
            most = max(reversed(self._waiting), key=lambda each: len(self._waiting[each]))
            self._drop(most, next(iter(self._waiting[most])))

    def take(self) -> QueuedPair:
        """The next pair. The queue must not be empty."""
        caller = min(self._waiting, key=self._used.__getitem__)
        own = self._waiting[caller]
        request, waiting = own.popitem(last=False)
        own[request] = waiting
        pair = waiting.popleft()
        if not waiting:
            self._drop(caller, request)
        return QueuedPair(caller, pair)

    def charge(self, caller: str, nanoseconds: int) -> None:
        """Count the time that a pair of this caller has taken."""
        self._used[caller] += nanoseconds

    def forget_times(self) -> None:
        """Begin anew, once the queue is empty."""
        self._used.clear()

    def clear(self) -> None:
        """Drop all pairs."""
        self._waiting.clear()

    def _drop(self, caller: str, request: Hashable) -> None:
        own = self._waiting.get(caller)
        if own is None:
            return
        own.pop(request, None)
        if not own:
            del self._waiting[caller]
