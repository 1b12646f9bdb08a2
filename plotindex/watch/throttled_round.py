"""Looking at one session after another, round and round, within a share of the time."""

import time
from collections.abc import Callable, Iterator

from plotindex.watch.scheduler import Ticket

STEP_SECONDS = 0.01
"""How long folders are asked for their times in one step, but of a few folders at least."""


class ThrottledRound:
    """One look after another, again and again: each as soon as the share of the time allows it."""

    def __init__(self, looks: Callable[[str], Iterator[list[str]]]) -> None:
        """`looks` yields the scopes to look at in a session, a few or none at a time."""
        self._looks = looks
        self._current: Iterator[list[str]] = iter(())
        self._left: list[str] = []
        self._due = 0.0
        self.began: float | None = None
        self.targets: list[Ticket] = []
        """What it found, as long as that waits to be looked at."""
        self.seconds = 0.0
        """How long the last whole one took, until the next one began; 0 before there was any."""
        self.rate = 0.0
        """Which share of that it used."""
        self._spent = 0.0
        self._is_done = False

    @property
    def is_open(self) -> bool:
        """Whether not everything has been looked at."""
        return self.began is not None and not self._is_done

    def begin(self, sessions: list[str]) -> None:
        """Begin with all of these anew."""
        now = time.monotonic()
        self.seconds = 0.0 if self.began is None else now - self.began
        self.rate = self._spent / self.seconds if self.seconds else 0.0
        self.began, self._left, self._is_done, self._spent = now, sessions, False, 0.0

    def forget(self) -> None:
        """There is nothing to look at, or everything is looked at anew."""
        self.began, self.seconds = None, 0.0
        self._current, self._left, self.targets = iter(()), [], []

    def age(self) -> float:
        """How old what is known of this kind can be, in seconds."""
        return 0.0 if self.began is None else max(self.seconds, time.monotonic() - self.began)

    def seconds_to_next(self, least: float) -> float:
        """How long there is nothing to do, when a round begins every `least` seconds at most."""
        if self.targets:
            return 0.0
        next_round = 0.0 if self.is_open or self.began is None else self.began + least
        return max(self._due, next_round) - time.monotonic()

    def spend(self, seconds: float, share: float) -> None:
        """So much of its share was used up."""
        self._spent += seconds
        self._due = max(self._due, time.monotonic()) + seconds * (1 / share - 1)

    def step(self, share: float) -> list[str]:
        """Go on until something is found, or for a moment; return the scopes."""
        began = time.monotonic()
        found: list[str] = []
        while not found and time.monotonic() < began + STEP_SECONDS:
            taken = next(self._current, None)
            if taken is not None:
                found = taken
            elif self._left:
                self._current = self._looks(self._left.pop())
            else:
                self._is_done = True
                break
        self.spend(time.monotonic() - began, share)
        return found
