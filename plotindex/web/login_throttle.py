"""Failed logins make the next ones wait, for the caller who failed and for nobody else."""

import threading
import time
from collections import OrderedDict
from ipaddress import IPv6Address, ip_address
from typing import NamedTuple

FREE_ATTEMPTS = 5
MAX_DELAY_SECONDS = 60.0
RESET_SECONDS = 600.0
MAX_CLIENTS = 10_000


class FailureCount(NamedTuple):
    """How often a caller failed, and when last, by `time.monotonic()`."""

    times: int
    last: float


class LoginThrottle:
    """The callers who failed lately. One for each process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures: OrderedDict[str, FailureCount] = OrderedDict()

    def retry_after(self, address: str | None) -> float:
        """For how many seconds that caller is not listened to."""
        times, last = self._failures.get(_client_key(address), FailureCount(0, 0.0))
        if times < FREE_ATTEMPTS:
            return 0.0
        pause = min(MAX_DELAY_SECONDS, 2.0 ** min(times - FREE_ATTEMPTS, 10))
        return max(0.0, last + pause - time.monotonic())

    def record_failure(self, address: str | None) -> None:
        """That caller failed once more."""
        caller, now = _client_key(address), time.monotonic()
        with self._lock:
            known = self._failures.pop(caller, FailureCount(0, now))
            times = known.times if now - known.last < RESET_SECONDS else 0
            self._failures[caller] = FailureCount(times + 1, now)
            while len(self._failures) > MAX_CLIENTS:
                self._failures.popitem(last=False)

    def reset(self, address: str | None) -> None:
        """That caller is in."""
        with self._lock:
            self._failures.pop(_client_key(address), None)


def _client_key(address: str | None) -> str:
    try:
        parsed = ip_address(address or "")
    except ValueError:
        return address or ""
    # One caller has 2**64 addresses of IPv6.
    return str(int(parsed) >> 64) if isinstance(parsed, IPv6Address) else str(parsed)
