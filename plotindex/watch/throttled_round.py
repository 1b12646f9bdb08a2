"""Repeated rounds over all sessions, throttled to a share of one core."""

import time
from collections.abc import Callable, Iterator

from plotindex.watch.session_job import Ticket

STEP_SECONDS = 0.01
"""Time for one step, but one chunk of folders at least."""


class ThrottledRound:
    """One round after another; after each step it pauses so that its time stays within the share."""

    def __init__(self, find: Callable[[str], Iterator[list[str]]]) -> None:
        """`find` yields lists, possibly empty, of the scopes of a session to reconcile."""
        self._find = find
        self._current: Iterator[list[str]] = iter(())
        self._sessions: list[str] = []
        self._due = 0.0
        self.started: float | None = None
        self.tickets: list[Ticket] = []
        """Of the scopes found that are not reconciled yet."""
        self.seconds = 0.0
        """Duration of the last complete round, until the next one started; 0 before."""
        self.rate = 0.0
        """The share of that time that was used."""
        self._used = 0.0
        self._is_complete = False

    @property
    def is_open(self) -> bool:
        return self.started is not None and not self._is_complete

    def start(self, sessions: list[str]) -> None:
        """Start a round over these sessions, the last one first."""
        now = time.monotonic()
        self.seconds = 0.0 if self.started is None else now - self.started
        self.rate = self._used / self.seconds if self.seconds else 0.0
        self.started, self._sessions, self._is_complete, self._used = now, sessions, False, 0.0

    def reset(self) -> None:
        self.started, self.seconds = None, 0.0
        self._current, self._sessions, self.tickets = iter(()), [], []

    def age(self) -> float:
        """The maximum age of the results, in seconds."""
        return 0.0 if self.started is None else max(self.seconds, time.monotonic() - self.started)

    def seconds_to_next(self, interval: float) -> float:
        """Time until the next step, if rounds start at least `interval` seconds apart."""
        if self.tickets:
            return 0.0
        next_round = 0.0 if self.is_open or self.started is None else self.started + interval
        return max(self._due, next_round) - time.monotonic()

    def charge(self, seconds: float, share: float) -> None:
        """Count time that was used for this round."""
        self._used += seconds
        self._due = max(self._due, time.monotonic()) + seconds * (1 / share - 1)

    def step(self, share: float) -> list[str]:
        """Continue until scopes are found or the step's time is over; return the scopes."""
        start = time.monotonic()
        found: list[str] = []
        while not found and time.monotonic() < start + STEP_SECONDS:
            scopes = next(self._current, None)
            if scopes is not None:
                found = scopes
            elif self._sessions:
                self._current = self._find(self._sessions.pop())
            else:
                self._is_complete = True
                break
        self.charge(time.monotonic() - start, share)
        return found
