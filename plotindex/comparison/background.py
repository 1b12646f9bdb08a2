"""Compare pairs while nobody waits for the answer, and remember the results."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from typing import Self

from plotindex.comparison.compare import NotComparedError, PairComparer
from plotindex.comparison.difference import GONE, NEW, SAME, Pair, PlotDifference
from plotindex.comparison.pair_queue import PairQueue, QueuedPair
from plotindex.config import Settings
from plotindex.errors import PlotIndexError
from plotindex.history.access import History
from plotindex.index import Lookup
from plotindex.rendering.renderer_client import RendererClient
from plotindex.rendering.thumbnails import make_cache
from plotindex.system import call_after_fork

MAX_REMEMBERED = 5_000
"""Results in memory: 1 to 10 KB each."""


class BackgroundComparer:
    """Compares pairs in one thread, which runs while any are queued, with a renderer of its own. Thread-safe.

    The renderer has a low priority. In a forked child nothing is queued.
    """

    def __init__(self, comparer: PairComparer, is_stopping: Callable[[], bool] = lambda: False) -> None:
        """While `is_stopping`, no further pair is compared."""
        self._comparer = comparer
        self._is_stopping = is_stopping
        self._renderer = RendererClient()
        self._remembered: OrderedDict[Pair, PlotDifference] = OrderedDict()
        self._is_running = False
        self._reset()
        call_after_fork(self._reset)

    @classmethod
    def from_settings(
        cls, settings: Settings, lookup: Lookup, history: History, is_stopping: Callable[[], bool] = lambda: False
    ) -> Self:
        cache = make_cache(settings)
        return cls(PairComparer(lookup.tree, lookup.catalog.database, history, cache), is_stopping)

    def known(self, pair: Pair) -> PlotDifference | None:
        """How a pair differs, if that is known without reading a plot."""
        with self._lock:
            found = self._remembered.get(pair)
            if found is not None:
                self._remembered.move_to_end(pair)
                return found
        found = self._comparer.known(pair)
        if found is not None and found not in (NEW, GONE, SAME):
            self._remember(pair, found)
        return found

    def queue(self, caller: str, request: Hashable, pairs: Iterable[Pair]) -> None:
        """Compare these pairs in this order, in place of those that this caller queued before under this name."""
        with self._lock:
            if not self._is_stopping():
                self._queued.put(caller, request, pairs)
            if self._queued and not self._is_running:
                self._is_running = True
                threading.Thread(target=self._run, name="compare", daemon=True).start()

    def _run(self) -> None:
        try:
            while (queued := self._next()) is not None:
                started = time.monotonic_ns()
                self._compare(*queued)
                with self._lock:
                    self._queued.charge(queued.caller, time.monotonic_ns() - started)
        except BaseException:
            self._is_running = False
            raise

    def _compare(self, caller: str, pair: Pair) -> None:
        # What cannot be compared now is queued again by the next request.
        try:
            self._remember(pair, self._comparer.compare(pair, self._renderer))
        except NotComparedError:
            with self._lock:
                self._queued.drop(caller)
        except (PlotIndexError, OSError):
            pass

    def _next(self) -> QueuedPair | None:
        """The next pair that is not known."""
        with self._lock:
            while not self._is_stopping() and (queued := self._queued.take()):
                if queued.pair not in self._remembered:
                    return queued
            self._is_running = False
            self._queued.forget_times()
            # Its memory is not needed until the next request.
            self._renderer.close()
            return None

    def _remember(self, pair: Pair, difference: PlotDifference) -> None:
        with self._lock:
            self._remembered[pair] = difference
            if len(self._remembered) > MAX_REMEMBERED:
                self._remembered.popitem(last=False)

    def _reset(self) -> None:
        """Start without a thread: in a forked child, that of the parent does not run."""
        self._lock = threading.Lock()
        self._queued = PairQueue()
        self._is_running = False
