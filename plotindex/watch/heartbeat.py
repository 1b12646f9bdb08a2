"""What the indexer says of itself, every few seconds: to the catalogue, its lock file, and whoever supervises it."""

import logging
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from plotindex.errors import CatalogError
from plotindex.storage import Catalog, Heartbeat
from plotindex.system import SystemdNotifier

HEARTBEAT_SECONDS = 3.0
STORE_SECONDS = 1.0
"""How long one waits for its turn to be written."""

log = logging.getLogger(__name__)


class HeartbeatWriter:
    """One heartbeat after another, of the indexer that this process is."""

    def __init__(self, catalog: Catalog, notifier: SystemdNotifier, tell: Callable[[str], None]) -> None:
        """`tell` is told what is wrong, also where the database cannot be."""
        self._catalog = catalog
        self._notifier = notifier
        self._tell = tell
        self._last = Heartbeat(socket.gethostname(), os.getpid(), time.time(), 0.0, "starting")
        self._due = 0.0
        self._mute = ""
        self.trouble = ""
        """What is wrong, with the remedy; empty while nothing is."""

    @property
    def state(self) -> str:
        return self._last.state

    @property
    def is_well(self) -> bool:
        """Whether everything was looked at once, and is kept up to date since."""
        return self._last.is_healthy

    def note_replaced(self) -> None:
        """Watching begins anew."""
        self._last = self._last._replace(replaced=self._last.replaced + 1)

    def note_reconciled(self) -> None:
        """Everything was looked at."""
        self._last = self._last._replace(reconciled=time.time())

    def is_due(self, state: str) -> bool:
        """Whether it is time for the next one: at once where the state is another one."""
        return state != self.state or time.monotonic() >= self._due

    def say(self, state: str, numbers: dict[str, Any]) -> None:
        """Store how the indexer is; not being able to is what makes readers call the catalogue unwatched."""
        self._due = time.monotonic() + HEARTBEAT_SECONDS
        self._last = self._last._replace(state=state, heartbeat=time.time(), **numbers)
        try:
            self._catalog.store_heartbeat(self._last, timeout=STORE_SECONDS)
            self._mute = ""
        except CatalogError as error:
            if str(error) not in (self._mute, self.trouble):
                log.warning("Cannot store the heartbeat: %s", error)
            self._mute = str(error)
        self._tell(self.trouble or self._mute)
        if self._notifier.is_connected:
            self._notify_systemd()

    def _notify_systemd(self) -> None:
        if self.is_well:
            self._notifier.notify_ready()
        status = self.trouble
        if not status:
            # While they cannot be had, what was said before stays.
            with suppress(CatalogError):
                sessions, plots = self._catalog.counts()
                status = f"{self.state} {self._last.watched:,} folders, {plots:,} plots in {sessions:,} sessions"
        if status:
            self._notifier.notify_status(status)
