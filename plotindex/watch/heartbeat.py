"""The indexer's heartbeat: its state and numbers, for the catalogue, the lock file and systemd."""

import logging
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress

from plotindex.errors import CatalogError
from plotindex.storage import Catalog, Heartbeat
from plotindex.system import SystemdNotifier

HEARTBEAT_SECONDS = 3.0
STORE_SECONDS = 1.0
"""Timeout for the write to the catalogue."""

log = logging.getLogger(__name__)


class HeartbeatWriter:
    """Writes the heartbeats of this process."""

    def __init__(self, catalog: Catalog, notifier: SystemdNotifier, report: Callable[[str], None]) -> None:
        """`report` receives the current problem, also while the database is unavailable."""
        self._catalog = catalog
        self._notifier = notifier
        self._report = report
        self.last = Heartbeat(socket.gethostname(), os.getpid(), time.time(), 0.0, "starting")
        self._due = 0.0
        self._store_error = ""
        self.problem = ""
        """What is wrong, with the fix; empty if nothing is."""

    def count_restart(self) -> None:
        """Count a restart of the watcher."""
        self.last = self.last._replace(replaced=self.last.replaced + 1)

    def record_full_scan(self) -> None:
        self.last = self.last._replace(reconciled=time.time())

    def is_due(self, state: str) -> bool:
        """Whether the next heartbeat is due; a new state is reported at once."""
        return state != self.last.state or time.monotonic() >= self._due

    def write(self, heartbeat: Heartbeat, self_test_problem: str = "") -> None:
        """Write a heartbeat. If the catalogue cannot store it, readers treat the catalogue as unwatched."""
        problem = self.problem or self_test_problem
        self._due = time.monotonic() + HEARTBEAT_SECONDS
        self.last = heartbeat._replace(heartbeat=time.time())
        try:
            self._catalog.store_heartbeat(self.last, timeout=STORE_SECONDS)
            self._store_error = ""
        except CatalogError as error:
            if str(error) not in (self._store_error, problem):
                log.warning("Cannot store the heartbeat: %s", error)
            self._store_error = str(error)
        self._report(problem or self._store_error)
        if self._notifier.is_connected:
            self._notify_systemd(problem)

    def _notify_systemd(self, problem: str) -> None:
        if self.last.is_healthy:
            self._notifier.notify_ready()
        status = problem
        if not status:
            # Keep the last status while the catalogue is unavailable.
            with suppress(CatalogError):
                sessions, plots = self._catalog.counts()
                status = f"{self.last.state} {self.last.watched:,} folders, {plots:,} plots in {sessions:,} sessions"
        if status:
            self._notifier.notify_status(status)
