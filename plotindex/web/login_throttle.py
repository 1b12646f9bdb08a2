"""Failed logins make the next ones wait, for the caller who failed and for nobody else."""

import threading
import time
from collections import OrderedDict
from ipaddress import IPv6Address, ip_address
from typing import NamedTuple

FREE_FAILURES = 5
LONGEST_SECONDS = 60.0
FORGOTTEN_SECONDS = 600.0
MOST_CALLERS = 10_000


class Failures(NamedTuple):
    """How often a caller failed, and when last, by `time.monotonic()`."""

    times: int
    last: float


class Throttle:
    """The callers who failed lately. One for each process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures: OrderedDict[str, Failures] = OrderedDict()

    def seconds_left(self, address: str | None) -> float:
        """For how many seconds that caller is not listened to."""
        times, last = self._failures.get(_caller(address), Failures(0, 0.0))
        if times < FREE_FAILURES:
            return 0.0
        pause = min(LONGEST_SECONDS, 2.0 ** min(times - FREE_FAILURES, 10))
        return max(0.0, last + pause - time.monotonic())

    def note_failure(self, address: str | None) -> None:
        """That caller failed once more."""
        caller, now = _caller(address), time.monotonic()
        with self._lock:
            known = self._failures.pop(caller, Failures(0, now))
            times = known.times if now - known.last < FORGOTTEN_SECONDS else 0
            self._failures[caller] = Failures(times + 1, now)
            while len(self._failures) > MOST_CALLERS:
                self._failures.popitem(last=False)

    def forget(self, address: str | None) -> None:
        """That caller is in."""
        with self._lock:
            self._failures.pop(_caller(address), None)


def _caller(address: str | None) -> str:
    try:
        parsed = ip_address(address or "")
    except ValueError:
        return address or ""
    # One caller has 2**64 addresses of IPv6.
    return str(int(parsed) >> 64) if isinstance(parsed, IPv6Address) else str(parsed)
