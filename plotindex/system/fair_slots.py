"""Slots for costly work, shared between sessions: none may hold all of them while another one wants one."""

import threading
import time

FAIR_SECONDS = 3.0
"""How long after another session was refused, or took the last slot, none may have all: longer than `Retry-After`."""


class FairSlots:
    """A number of slots. Thread-safe; nobody waits for a slot."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._lock = threading.Lock()
        self._holders: list[str] = []
        self._latest = ""
        self._fair_until = 0.0

    def take(self, session: str) -> bool:
        """Take a slot, and `release` it later; False if there is none for this session now."""
        with self._lock:
            now, free = time.monotonic(), self._count - len(self._holders)
            is_contended = now < self._fair_until
            # With one slot only, sessions take turns.
            has_share = session in (self._holders or [self._latest])
            if (not free and session not in self._holders) or (free == 1 and is_contended and not has_share):
                self._fair_until = now + FAIR_SECONDS
            if not free or (free == 1 and is_contended and has_share):
                return False
            self._holders.append(session)
            self._latest = session
            return True

    def release(self, session: str) -> None:
        with self._lock:
            self._holders.remove(session)
