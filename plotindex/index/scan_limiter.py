"""Limits on fallback scans: concurrency, one-second deduplication, per-session fairness."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from hashlib import blake2b

from plotindex.errors import PlotIndexError
from plotindex.system import FairSlots
from plotindex.tree import Plot, PlotKey

RESULT_SECONDS = 1.0
"""How long a result answers further requests for its key."""
MAX_RESULTS = 10_000
MAX_RESULT_COPIES = 16
MAX_CONCURRENT_SCANS = 2

Scan = Callable[[], Sequence[Plot]]
Result = Future[Sequence[Plot]]


class ScansBusyError(PlotIndexError):
    """Too many scans are running; retry in one second."""


class ScanLimiter:
    """The scans of one process. Requests for one key share a scan and, for one second, its result."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # By digest: callers choose how long a name is.
        self._results: OrderedDict[bytes, tuple[float, Result]] = OrderedDict()
        self._slots = FairSlots(MAX_CONCURRENT_SCANS)

    def run(self, key: PlotKey, scan: Scan) -> Sequence[Plot]:
        """The copies that `scan` finds, or the cached or running scan of the same key; at most MAX_RESULT_COPIES.

        Raises:
            ScansBusyError: too many are running.
        """
        digest = _digest(key)
        with self._lock:
            self._drop_old_results()
            _, result = self._results.get(digest, (0.0, None))
            if is_new := result is None:
                self._start(key.session)
                self._results[digest] = time.monotonic(), (result := Future())
        if is_new:
            self._run(key.session, digest, scan, result)
        return result.result()

    @contextmanager
    def slot(self, session: str) -> Iterator[None]:
        """Count a scan that is not shared.

        Raises:
            ScansBusyError: too many are running.
        """
        self._start(session)
        try:
            yield
        finally:
            self._slots.release(session)

    def discard_found(self, key: PlotKey) -> bool:
        """Drop the cached result if it names copies; return whether it did."""
        digest = _digest(key)
        with self._lock:
            _, result = self._results.get(digest, (0.0, None))
            is_found = result is not None and result.done() and not result.exception() and bool(result.result())
            if is_found:
                del self._results[digest]
            return is_found

    def _start(self, session: str) -> None:
        if not self._slots.take(session):
            raise ScansBusyError("Too many scans are running; retry in one second")

    def _run(self, session: str, digest: bytes, scan: Scan, result: Result) -> None:
        try:
            result.set_result(scan()[:MAX_RESULT_COPIES])
        except BaseException as error:
            # Requests that share this scan share its error; the next request scans again.
            with self._lock:
                self._results.pop(digest, None)
            result.set_exception(error)
            raise
        finally:
            self._slots.release(session)

    def _drop_old_results(self) -> None:
        now = time.monotonic()
        while self._results:
            started, result = next(iter(self._results.values()))
            is_old = now - started >= RESULT_SECONDS or len(self._results) > MAX_RESULTS
            if not is_old or not result.done():
                break
            self._results.popitem(last=False)


def _digest(key: PlotKey) -> bytes:
    return blake2b("/".join(key).encode(), digest_size=16).digest()
