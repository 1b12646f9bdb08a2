"""What a flood of unknown names may cost: few scans at once, none twice within a second, no session all of them."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from hashlib import blake2b

from plotindex.errors import PlotIndexError
from plotindex.tree import Plot, PlotKey

REMEMBERED_SECONDS = 1.0
"""How long the result of a scan stands for the next request of the same key."""
MAX_RESULTS = 10_000
REMEMBERED_COPIES = 16
SCANS_AT_ONCE = 2
CONTENDED_SECONDS = 3.0
"""For so long after another session was refused none may have all scans: longer than `Retry-After`."""

Scan = Callable[[], Sequence[Plot]]
Result = Future[Sequence[Plot]]


class ScansBusyError(PlotIndexError):
    """As many scans as may run at once are running; ask again in a second."""


class ScanLimiter:
    """The scans of one process. Requests for one key share a scan and, for a second, its result."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # By digest: how long a name is, is up to the caller.
        self._known: OrderedDict[bytes, tuple[float, Result]] = OrderedDict()
        self._running: list[str] = []
        self._contended_until = 0.0

    def share(self, key: PlotKey, scan: Scan) -> Sequence[Plot]:
        """What `scan` finds, or what one for the same key found less than a second ago; the first few copies.

        Raises:
            ScansBusyError: too many are running.
        """
        name = _digest(key)
        with self._lock:
            self._forget_old()
            _, result = self._known.get(name, (0.0, None))
            if mine := result is None:
                self._begin(key.session)
                self._known[name] = time.monotonic(), (result := Future())
        if mine:
            self._run(key.session, name, scan, result)
        return result.result()

    @contextmanager
    def slot(self, session: str) -> Iterator[None]:
        """One of the few scans, for something that nobody else asks for.

        Raises:
            ScansBusyError: too many are running.
        """
        with self._lock:
            self._begin(session)
        try:
            yield
        finally:
            with self._lock:
                self._running.remove(session)

    def forget_found(self, key: PlotKey) -> bool:
        """Forget a result that named copies; return whether there was one."""
        name = _digest(key)
        with self._lock:
            _, result = self._known.get(name, (0.0, None))
            found = result is not None and result.done() and not result.exception() and bool(result.result())
            if found:
                del self._known[name]
            return found

    def _begin(self, session: str) -> None:
        now = time.monotonic()
        is_running = session in self._running
        is_full = len(self._running) >= SCANS_AT_ONCE
        if is_full and not is_running:
            self._contended_until = now + CONTENDED_SECONDS
        if is_full or (is_running and now < self._contended_until):
            raise ScansBusyError("Too many plots are being looked for; ask again in a second")
        self._running.append(session)

    def _run(self, session: str, name: bytes, scan: Scan, result: Result) -> None:
        try:
            result.set_result(scan()[:REMEMBERED_COPIES])
        except BaseException as error:
            # Whoever shares this scan shares its failure; the next request tries again.
            with self._lock:
                self._known.pop(name, None)
            result.set_exception(error)
            raise
        finally:
            with self._lock:
                self._running.remove(session)

    def _forget_old(self) -> None:
        now = time.monotonic()
        while self._known:
            started, result = next(iter(self._known.values()))
            is_old = now - started >= REMEMBERED_SECONDS or len(self._known) > MAX_RESULTS
            if not is_old or not result.done():
                break
            self._known.popitem(last=False)


def _digest(key: PlotKey) -> bytes:
    return blake2b("/".join(key).encode(), digest_size=16).digest()
