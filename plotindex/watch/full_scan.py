"""Full scans: when one is due, its progress, and what it finds that the watcher has missed."""

import logging
import time
from collections.abc import Iterable
from itertools import zip_longest

from plotindex.index import Report, list_sessions, record_full_scan
from plotindex.storage import IntegrityCheck
from plotindex.tree import ScopeSet, describe_misplaced, start_walk_process
from plotindex.watch.leader_role import Leadership
from plotindex.watch.scheduler import FairScheduler
from plotindex.watch.session_job import Ticket

MAX_QUEUED_SESSIONS = 64
GRACE_SECONDS = 1.0
"""How long after a full scan an event may still arrive that explains a difference."""


log = logging.getLogger(__name__)


class FullScan:
    """One full scan: reconciles the root session by session."""

    def __init__(self, scheduler: FairScheduler, *, is_first: bool) -> None:
        """List the sessions; the first full scan walks them in a second process.

        Raises:
            RootLostError: the root is missing.
            CatalogError: the catalogue cannot be read.
        """
        self._scheduler = scheduler
        self.report = Report()
        self.started = time.monotonic()
        self.ended: float | None = None
        self.required_at: float | None = None
        """When the events were lost that it makes up for."""
        catalog, watches = scheduler.catalog, scheduler.watcher.watches
        # What is unwatched was not missed by the watcher.
        self._reported = ScopeSet([*scheduler.scopes(), *watches.snapshots.sessions()])
        watches.begin_audit()
        names = list_sessions(scheduler.tree, catalog, self.report, watches.add)
        latest = {row.session: number for number, row in enumerate(catalog.latest_sessions())}
        found = {*names, *watches.sessions()}
        # Taken from the end: the latest ones, and between these the new ones. The first ones get the watches.
        known = sorted(found & latest.keys(), key=latest.__getitem__)
        self._names = [name for pair in zip_longest(known, sorted(found - latest.keys())) for name in pair if name]
        self._names.reverse()
        self.report.sessions = watches.expected_sessions = len(self._names)
        self._tickets: list[Ticket] = []
        self._missed_folders: list[str] = []
        if is_first:
            scheduler.walk_process = start_walk_process(scheduler.tree, len(self._names))

    @property
    def is_held_up(self) -> bool:
        """Whether it only waits for busy sessions: those that left work behind after a turn."""
        return (
            not self._names
            and self._scheduler.walk_process is None
            and all(ticket.job.served_at is not None for ticket in self._tickets if not ticket.is_done)
        )

    def add_reported(self, paths: Iterable[str]) -> None:
        """Record scopes reported by the watcher: differences within them were not missed."""
        self._reported.update(paths)

    def step(self) -> bool:
        """Queue more sessions; return whether the full scan is complete."""
        self._tickets = [ticket for ticket in self._tickets if not ticket.is_done]
        while self._names and len(self._tickets) < MAX_QUEUED_SESSIONS:
            self._tickets.append(self._scheduler.scan_session(self._names.pop(), self.report))
        if self._tickets:
            return False
        watches = self._scheduler.watcher.watches
        self._missed_folders = watches.end_audit()
        watches.expected_sessions = 0
        if "" not in self.report.unreadable:
            record_full_scan(self._scheduler.tree, self._scheduler.catalog)
        self.ended = time.monotonic()
        self.close()
        return True

    def close(self) -> None:
        """Stop the second process."""
        if self._scheduler.walk_process is not None:
            self._scheduler.walk_process.close()
            self._scheduler.walk_process = None

    def missed(self) -> tuple[int, int] | None:
        """Number of plots and folders missed by the watcher; None during the grace period."""
        assert self.ended is not None
        candidates = self.report.differing or self._missed_folders
        if candidates and time.monotonic() < self.ended + GRACE_SECONDS:
            return None
        plots = sum(not self._reported.covers(path) for path in self.report.differing)
        return plots, sum(not self._reported.covers(path) for path in self._missed_folders)


class FullScanSchedule:
    """Starts full scans: periodically on the leader, and after events were lost.

    The integrity of the database is checked beside each, which does not wait for that.
    """

    def __init__(self, scheduler: FairScheduler, leadership: Leadership, seconds: float) -> None:
        """`seconds` is the interval of periodic full scans."""
        self._scheduler = scheduler
        self._leadership = leadership
        self._integrity: IntegrityCheck | None = None
        self._seconds = seconds
        self._due = 0.0
        self._started = 0
        self._current: FullScan | None = None
        self.completed = 0
        """Number of the last completed full scan."""
        self.required = 1
        """Number of the full scan that makes up for lost events; the first one does for all before the start."""
        self.required_at: float | None = None
        """When events were first lost that no full scan started since makes up for."""
        self.behind_since: float | None = None
        """When events were first lost that no complete full scan makes up for."""
        self.missed: tuple[int, int] | None = None
        """Number of plots and folders missed by the watcher, from the last full scan that was not required."""
        self.missed_total = 0

    @property
    def is_running(self) -> bool:
        return self._current is not None and self._current.ended is None

    @property
    def is_required(self) -> bool:
        return self.completed < self.required

    @property
    def seconds_to_next(self) -> float:
        has_more = self._current is not None or self._integrity is not None
        return GRACE_SECONDS / 10 if has_more else max(0.0, self._due - time.monotonic())

    def set_interval(self, seconds: float) -> None:
        """Change the interval, also of the full scan that is due next."""
        if self._due > time.monotonic():
            self._due += seconds - self._seconds
        self._seconds = seconds

    def require(self) -> None:
        """Require a full scan that starts from now on, since events were lost or are not available."""
        self.required = self._started + 1
        self.required_at = self.required_at or time.monotonic()
        self.behind_since = self.behind_since or self.required_at
        self._due = 0.0
        self.add_reported([""])

    def restart(self) -> None:
        """Abort the current full scan and require another one."""
        self.close()
        self._current, self.required_at = None, self.behind_since
        self.require()

    def close(self) -> None:
        if self._current is not None:
            self._current.close()

    def add_reported(self, paths: Iterable[str]) -> None:
        """Record scopes reported by the watcher."""
        if self._current is not None:
            self._current.add_reported(paths)

    def start_if_due(self) -> bool:
        """Start a full scan if one is due; return whether it is the required one. Raises as `FullScan` does."""
        if time.monotonic() < self._due or (self._current is not None and not self._is_superseded):
            return False
        self._due = time.monotonic() + self._seconds
        if not self._leadership.is_leader and self.required <= self._started:
            return False
        self._started += 1
        self._current = FullScan(self._scheduler, is_first=not self.completed)
        if self._integrity is None:
            self._integrity = IntegrityCheck(self._scheduler.catalog.database, is_awaited=False)
        self._current.required_at, self.required_at = self.required_at, None
        return self._started == self.required

    @property
    def _is_superseded(self) -> bool:
        """Whether another full scan is required, and the current one waits for busy sessions: others need not wait."""
        return self.required > self._started and self.is_running and bool(self._current and self._current.is_held_up)

    @property
    def delayed_since(self) -> float | None:
        """When events were first lost that no full scan has made up for yet, except in busy sessions."""
        scan = self._current
        running = scan.required_at if scan and self.is_running and not scan.is_held_up else None
        return running or self.required_at

    def step(self) -> FullScan | None:
        """Continue the current full scan; return it when it has just completed.

        Raises:
            DamagedDatabaseError: the database is damaged.
        """
        check, self._integrity = self._integrity, None
        if check is not None and not check.wait():
            self._integrity = check
        scan = self._current
        if scan is None:
            return None
        if scan.ended is not None:
            missed = scan.missed()
            if missed is not None:
                self.missed, self._current = missed, None
                self.missed_total += sum(missed)
                if any(missed):
                    log.warning("The full scan found %d plots and %d folders missed by the watcher.", *missed)
            return None
        if not scan.step():
            return None
        if not scan.report.plots and (misplaced := describe_misplaced(self._scheduler.tree)):
            log.warning("%s", misplaced)
        self.completed = self._started
        self.behind_since = self.required_at
        if self.completed == self.required:
            # Differences are expected after lost events: do not count them as missed.
            self._current = None
        return scan
