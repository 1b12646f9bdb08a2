"""The service: the watcher's scopes become reconciles, for months on end."""

import logging
import os
import socket
import threading
import time
from collections.abc import Iterable

from plotindex.catalog import Catalog, Heartbeat
from plotindex.errors import CatalogError, RootLostError
from plotindex.layout import collapse, covers, printable
from plotindex.reconcile import Report, reconcile
from plotindex.tree import Tree
from plotindex.watcher import Watcher

HEARTBEAT_SECONDS = 3.0
RETRY_SECONDS = 1.0
"""How long to wait before looking again for a root, a watch or a database that cannot be had."""

GRACE_SECONDS = 1.0
"""How long after a rescan an event may still come that explains a difference."""
MOST_NAMED = 10_000
"""How many troubles are remembered, so as to log each of them once."""

log = logging.getLogger(__name__)


class StopRequested(Exception):  # noqa: N818 - no error: somebody asked
    """Raised between two transactions when the service was asked to stop."""


class Indexer:
    """Keeps the catalogue of one root equal to its tree until it is asked to stop."""

    def __init__(self, tree: Tree, catalog: Catalog, *, rescan_seconds: float, stop: threading.Event) -> None:
        self._tree = tree
        self._catalog = catalog
        self._rescan_seconds = rescan_seconds
        self._stop = stop
        self._watcher = Watcher(tree)
        self._state = Heartbeat(socket.gethostname(), os.getpid(), time.time(), 0.0, "starting")
        self._beat_at = 0.0
        self._rescan_at = 0.0
        self._owed: set[str] = set()
        self._heard: set[str] | None = None
        self._named: set[str] = set()
        self._trouble = ""
        self._replaced: int | None = None

    def run(self) -> None:
        """Watch, then reconcile the whole root, then what changes, until the stop event is set."""
        try:
            while not self._stop.is_set():
                self._step()
        except StopRequested:
            pass
        finally:
            self._watcher.stop()
            self._say("stopped")
            log.info("Stopped.")

    def _step(self) -> None:
        try:
            self._check_database()
            if why := self._watcher.why_deaf():
                self._listen(why)
            elif time.monotonic() >= self._rescan_at:
                self._rescan()
            else:
                self._serve(self._watcher.take(min(HEARTBEAT_SECONDS / 3, self._seconds_to_rescan())))
                self._beat("watching")
        except RootLostError as error:
            self._endure("lost", str(error))
        except CatalogError as error:
            self._endure("blocked", str(error))
            self._begin_anew()
        except OSError as error:
            self._endure("deaf", f"The root cannot be watched: {error.strerror}; it is tried again.")

    def _listen(self, why: str) -> None:
        if self._watcher.is_started:
            log.warning("Watching was lost: %s; it begins anew and everything is looked at again.", why)
        self._beat("starting")
        try:
            self._watcher.start()
        except FileNotFoundError as error:
            raise RootLostError(f"The root {printable(str(self._tree.root))} is not there: mount it again.") from error
        # Watch first, look second: what is drawn in between is seen by either.
        self._rescan_at = 0.0

    def _rescan(self) -> None:
        first = self._state.state != "watching"
        self._heard = set()
        began = time.monotonic()
        report = reconcile(self._tree, self._catalog, [""], progress=self._between)
        seconds = time.monotonic() - began
        self._name(report)
        self._rescan_at = time.monotonic() + self._rescan_seconds
        missed = None if first else self._count_missed(report)
        self._state = self._state._replace(reconciled=time.time(), missed=missed)
        if first:
            log.info(
                "Everything was looked at in %.1f seconds: %d plots in %d sessions; %d added, %d changed, %d removed.",
                *(seconds, report.plots, report.sessions, report.added, report.changed, report.removed),
            )
        if missed:
            log.warning("The rescan found %d plots that the watcher had missed.", missed)
        self._trouble = ""
        self._say("watching")

    def _count_missed(self, report: Report) -> int:
        """How many of the differences found no event tells of, not even a moment later."""
        if report.differing:
            self._serve(self._watcher.take(GRACE_SECONDS))
        heard, self._heard = collapse(self._heard or ()), None
        return sum(not any(covers(scope, path) for scope in heard) for path in report.differing)

    def _between(self, settled: int, to_settle: int) -> None:
        """Called between the transactions of a rescan: what is drawn meanwhile does not wait for its end."""
        self._check_stop(settled, to_settle)
        if self._state.state == "watching":
            self._serve(self._watcher.take(0))

    def _serve(self, scopes: Iterable[str]) -> None:
        self._owed.update(scopes)
        if self._heard is not None:
            self._heard.update(self._owed)
        if "" in self._owed:
            self._owed.clear()
            self._rescan_at = 0.0
        if self._owed:
            self._name(reconcile(self._tree, self._catalog, self._owed, progress=self._check_stop))
            self._owed.clear()

    def _check_stop(self, _settled: int, _to_settle: int) -> None:
        self._beat(self._state.state)

    def _seconds_to_rescan(self) -> float:
        return max(0.0, self._rescan_at - time.monotonic())

    def _beat(self, state: str) -> None:
        if self._stop.is_set():
            raise StopRequested
        if state != self._state.state or time.monotonic() >= self._beat_at:
            self._say(state)

    def _say(self, state: str) -> None:
        """Store how the indexer is; not being able to is what makes readers call the catalogue unwatched."""
        self._beat_at = time.monotonic() + HEARTBEAT_SECONDS
        self._state = self._state._replace(
            state=state,
            heartbeat=time.time(),
            watched=self._watcher.watched,
            watch_limit=self._watcher.limit,
            unwatched=len(self._watcher.unwatched),
            overflows=self._watcher.overflows,
            pending=self._watcher.pending + len(self._owed),
        )
        try:
            self._catalog.beat(self._state, timeout=RETRY_SECONDS)
        except CatalogError as error:
            log.warning("The heartbeat was not stored: %s", error)

    def _endure(self, state: str, trouble: str) -> None:
        """Say once what is wrong, wait, and look at everything again afterwards."""
        if trouble != self._trouble:
            log.error("%s", trouble)
            self._trouble = trouble
        self._rescan_at = 0.0
        self._owed.clear()
        self._beat(state)
        self._stop.wait(RETRY_SECONDS)

    def _check_database(self) -> None:
        """Somebody may have deleted the database, or put another in its place: then everything is owed to that."""
        self._catalog.database.check_file()
        replaced = self._catalog.database.replaced
        if self._replaced is not None and replaced != self._replaced:
            log.warning("The database is another file than before; everything is looked at again.")
            self._begin_anew()
            self._rescan_at = 0.0
        self._replaced = replaced

    def _begin_anew(self) -> None:
        """The plots in the database are a cache: when it was deleted, there is a new one a moment later."""
        try:
            self._catalog.begin(str(self._tree.root), self._tree.layout)
        except CatalogError as error:
            log.debug("still without a catalogue: %s", error)

    def _name(self, report: Report) -> None:
        """Log, once each, what could not be looked at or indexed as it is."""
        troubles = {**{path: str(error.strerror) for path, error in report.unreadable.items()}, **report.odd}
        for path, why in troubles.items():
            line = f"{printable(path) or 'the root'}: {why}"
            if line not in self._named and len(self._named) < MOST_NAMED:
                self._named.add(line)
                log.warning("%s", line)
