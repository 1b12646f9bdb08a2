"""Those who wait for the next commit are woken: one connection of a process listens for all of them."""

import threading
import time
from collections.abc import Callable

from plotindex.errors import CatalogError
from plotindex.storage.postgres.connections import Broken, Lone
from plotindex.system import call_after_fork

ASK_SECONDS = 0.05
"""How often whoever waits looks for himself while nothing can be heard."""
LISTEN_SECONDS = 0.5
"""How often the listener looks whether it is to end."""
PROOF_SECONDS = 5.0
"""How often it asks whether its connection is one still."""
RETRY_SECONDS = 1.0


class CommitListener:
    """That something was committed, by the notifications of the server. Nobody listens before somebody waits."""

    def __init__(self, connect: Callable[[], Lone], channel: str) -> None:
        """`channel` is a question that the server answers with the channel's name."""
        self._connect = connect
        self._channel = channel
        self._reset()
        call_after_fork(self._reset)

    def _reset(self) -> None:
        self._heard = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self.count = 0
        """How often something was told, or may have been."""
        self.is_listening = False

    def wait(self, count: int, seconds: float) -> None:
        """Return as soon as `count` is no longer what it was, or after so many seconds; sooner where nobody listens."""
        with self._heard:
            if self._thread is None or not self._thread.is_alive():
                self._stop = threading.Event()
                self._thread = threading.Thread(
                    target=self._listen, args=(self._stop,), name="plotindex news", daemon=True
                )
                self._thread.start()
            seconds = seconds if self.is_listening else min(seconds, ASK_SECONDS)
            self._heard.wait_for(lambda: self.count != count, seconds)

    def close(self) -> None:
        """Listen no more."""
        thread = self._thread
        self._stop.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join(LISTEN_SECONDS * 4)

    def _listen(self, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                connection = self._connect()
                try:
                    connection.listen(connection.ask(self._channel))
                    self._hear(connection, stop)
                finally:
                    connection.close()
            except (Broken, CatalogError):
                stop.wait(RETRY_SECONDS)
            finally:
                self._tell(is_listening=False)

    def _hear(self, connection: Lone, stop: threading.Event) -> None:
        # What was told before is not heard: whoever waits looks once more.
        self._tell(is_listening=True)
        proof_at = time.monotonic() + PROOF_SECONDS
        while not stop.is_set():
            if connection.hears(LISTEN_SECONDS):
                self._tell(is_listening=True)
            if time.monotonic() >= proof_at:
                proof_at = time.monotonic() + PROOF_SECONDS
                connection.ask("SELECT 1")

    def _tell(self, *, is_listening: bool) -> None:
        with self._heard:
            self.is_listening = is_listening
            self.count += 1
            self._heard.notify_all()
