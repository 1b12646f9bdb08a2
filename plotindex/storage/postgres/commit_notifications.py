"""Commit notifications of PostgreSQL (LISTEN)."""

import threading
import time
from collections.abc import Callable

from plotindex.errors import CatalogError
from plotindex.storage.commit_notifications import CommitNotifications
from plotindex.storage.postgres.connections import DedicatedConnection, DriverError

LISTEN_SECONDS = 0.5
"""How often the listener checks whether it is to stop."""
PROBE_SECONDS = 5.0
"""How often it checks that its connection is alive."""


class CommitListener(CommitNotifications):
    """Receives what the server reports, by a connection of its own."""

    def __init__(self, connect: Callable[[], DedicatedConnection], channel: str) -> None:
        """`channel` is a statement that returns the channel's name."""
        self._connect = connect
        self._channel = channel
        super().__init__()

    def _receive(self, stop: threading.Event) -> None:
        try:
            connection = self._connect()
            try:
                connection.listen(connection.fetch_value(self._channel))
                self._listen(connection, stop)
            finally:
                connection.close()
        except (DriverError, CatalogError):
            return

    def _listen(self, connection: DedicatedConnection, stop: threading.Event) -> None:
        # Commits before LISTEN are not reported: waiters look once more.
        self._wake()
        probe_at = time.monotonic() + PROBE_SECONDS
        while not stop.is_set():
            if connection.has_notification(LISTEN_SECONDS):
                self._wake()
            if time.monotonic() >= probe_at:
                probe_at = time.monotonic() + PROBE_SECONDS
                connection.fetch_value("SELECT 1")
