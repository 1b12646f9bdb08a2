"""Commit notifications (PostgreSQL LISTEN): one connection per process, shared by all waiters."""

import threading
import time
from collections.abc import Callable

from plotindex.errors import CatalogError
from plotindex.storage.database import POLL_SECONDS
from plotindex.storage.postgres.connections import DedicatedConnection, DriverError
from plotindex.system import call_after_fork

LISTEN_SECONDS = 0.5
"""How often the listener checks whether it is to stop."""
PROBE_SECONDS = 5.0
"""How often it checks that its connection is alive."""
RETRY_SECONDS = 1.0


class CommitListener:
    """Counts the commits reported by the server. Its thread starts with the first waiter."""

    def __init__(self, connect: Callable[[], DedicatedConnection], channel: str) -> None:
        """`channel` is a statement that returns the channel's name."""
        self._connect = connect
        self._channel = channel
        self._reset()
        call_after_fork(self._reset)

    def _reset(self) -> None:
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self.count = 0
        """Commits that were reported, or may have been missed."""
        self._is_listening = False

    def wait(self, seen: int, seconds: float) -> None:
        """Return once `count` differs from `seen`, or after `seconds`; after POLL_SECONDS without a connection."""
        with self._changed:
            if self._thread is None or not self._thread.is_alive():
                self._stop = threading.Event()
                self._thread = threading.Thread(
                    target=self._run, args=(self._stop,), name="plotindex news", daemon=True
                )
                self._thread.start()
            seconds = seconds if self._is_listening else min(seconds, POLL_SECONDS)
            self._changed.wait_for(lambda: self.count != seen, seconds)

    def close(self) -> None:
        """Stop the thread."""
        thread = self._thread
        self._stop.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join(LISTEN_SECONDS * 4)

    def _run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                connection = self._connect()
                try:
                    connection.listen(connection.fetch_value(self._channel))
                    self._listen(connection, stop)
                finally:
                    connection.close()
            except (DriverError, CatalogError):
                stop.wait(RETRY_SECONDS)
            finally:
                self._wake(is_listening=False)

    def _listen(self, connection: DedicatedConnection, stop: threading.Event) -> None:
        # Commits before LISTEN are not reported: waiters look once more.
        self._wake(is_listening=True)
        probe_at = time.monotonic() + PROBE_SECONDS
        while not stop.is_set():
            if connection.has_notification(LISTEN_SECONDS):
                self._wake(is_listening=True)
            if time.monotonic() >= probe_at:
                probe_at = time.monotonic() + PROBE_SECONDS
                connection.fetch_value("SELECT 1")

    def _wake(self, *, is_listening: bool) -> None:
        with self._changed:
            self._is_listening = is_listening
            self.count += 1
            self._changed.notify_all()
