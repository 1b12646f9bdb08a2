"""Commit notifications: one thread of a process receives them for all of its waiters."""

import threading
from abc import ABC, abstractmethod

from plotindex.system import call_after_fork

POLL_SECONDS = 0.05
"""How often a waiting client polls a database without notifications."""
RETRY_SECONDS = 1.0
"""Pause after the notifications have failed."""
CLOSE_SECONDS = 2.0
"""How long `close` waits for the thread."""


class CommitNotifications(ABC):
    """Counts the commits of a database. Its thread starts with the first waiter."""

    def __init__(self) -> None:
        self._reset()
        call_after_fork(self._reset)

    def _reset(self) -> None:
        """Also in a forked child, which has no thread."""
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self.count = 0
        """Commits that were reported, or may have been missed."""
        self._is_listening = False

    def wait(self, seen: int, seconds: float) -> bool:
        """Wait until `count` differs from `seen`; return whether there may be new commits.

        False after `seconds` without one. True after POLL_SECONDS while commits are not reported.
        """
        with self._changed:
            if self._thread is None or not self._thread.is_alive():
                self._stop = threading.Event()
                self._thread = threading.Thread(
                    target=self._run, args=(self._stop,), name="plotindex news", daemon=True
                )
                self._thread.start()
            is_listening = self._is_listening
            is_counted = self._changed.wait_for(
                lambda: self.count != seen, seconds if is_listening else min(seconds, POLL_SECONDS)
            )
            return is_counted or not is_listening

    def close(self) -> None:
        """Stop the thread. The next waiter starts another one."""
        thread = self._thread
        self._stop.set()
        self._interrupt()
        if thread is not None and thread is not threading.current_thread():
            thread.join(CLOSE_SECONDS)

    def _run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                self._receive(stop)
            finally:
                self._wake(is_listening=False)
            stop.wait(RETRY_SECONDS)

    @abstractmethod
    def _receive(self, stop: threading.Event) -> None:
        """Call `_wake` once commits are reported, and for each of them; return after `stop`, or where it fails."""

    def _interrupt(self) -> None:  # noqa: B027 - some look often
        """Make `_receive` look at `stop`."""

    def _wake(self, *, is_listening: bool = True) -> None:
        with self._changed:
            self._is_listening = is_listening
            self.count += 1
            self._changed.notify_all()
