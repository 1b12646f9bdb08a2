"""Rate limit for failed logins, per client address."""

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
    """Consecutive failures of one client; `last` by `time.monotonic()`."""

    failures: int
    last: float


class LoginThrottle:
    """Exponential backoff after failed logins. One per process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures: OrderedDict[str, FailureCount] = OrderedDict()

    def retry_after(self, address: str | None) -> float:
        """Seconds until the client may try again; 0 if it may now."""
        count, last = self._failures.get(client_key(address), FailureCount(0, 0.0))
        if count < FREE_ATTEMPTS:
            return 0.0
        delay = min(MAX_DELAY_SECONDS, 2.0 ** min(count - FREE_ATTEMPTS, 10))
        return max(0.0, last + delay - time.monotonic())

    def record_failure(self, address: str | None) -> None:
        """Count a failed login."""
        client, now = client_key(address), time.monotonic()
        with self._lock:
            previous = self._failures.pop(client, FailureCount(0, now))
            count = previous.failures if now - previous.last < RESET_SECONDS else 0
            self._failures[client] = FailureCount(count + 1, now)
            while len(self._failures) > MAX_CLIENTS:
                self._failures.popitem(last=False)

    def reset(self, address: str | None) -> None:
        """Clear the failures of a client, after a successful login."""
        with self._lock:
            self._failures.pop(client_key(address), None)


def client_key(address: str | None) -> str:
    """What clients are told apart by: the address, or the /64 of an IPv6 address."""
    try:
        parsed = ip_address(address or "")
    except ValueError:
        return address or ""
    # A client typically has a whole /64 of IPv6.
    return str(int(parsed) >> 64) if isinstance(parsed, IPv6Address) else str(parsed)
