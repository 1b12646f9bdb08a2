"""Fair scheduling between sessions: a busy session delays only itself.

A slice is the time for which one session is scanned before the next one. A turn is the slices of a session in one step;
the young sessions share one turn. A step gives turns to sessions and writes what they found. A round covers the scopes
that a session had queued at its start, in one or more turns.
"""

import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from plotindex.index import Report, write_batch
from plotindex.storage import Catalog, Change, Histogram
from plotindex.tree import Row, Tree, WalkProcess
from plotindex.watch.hardlinks import LinkScan
from plotindex.watch.session_job import STEP_PLOTS, SessionJob, Ticket
from plotindex.watch.watcher import Watcher

SLICE_SECONDS = 0.005
"""Time slice of one session."""
STEP_SECONDS = 0.02
"""Time for scanning before the diffs are written."""
BUSY_SECONDS = 1.0
"""For how long a session counts as busy after a turn that left work behind."""
WIDEN_SECONDS = 60.0
"""Least time between two rescans of a session that has room for more plots again."""
MAX_BUSY = 10_000
YOUNG_SECONDS = 30.0
"""A session without a previous watch counts as young for this time up to twice this time."""
SCAN_PLOTS = 4_000
"""Plots per step and rows per transaction during the first full scan."""
STEP_CHANGES = 250
"""Rows per transaction while several sessions wait."""
SHORT_SECONDS = 0.005
SHORT_PLOTS = 50
"""Per-step limits of busy sessions while others have changes, so that these wait for one turn at most."""


class StepResult(NamedTuple):
    """What one step changed and found."""

    changes: list[Change]
    added: list[Row]
    """New plots, except those among the changes."""
    linked: list[LinkScan]


class FairScheduler:
    """Queues scopes by session.

    Each step serves the sessions with new changes, then some of the busy ones, some of those that are rescanned, and
    some of the young ones. The young ones share one turn, so that a flood of new sessions delays only new sessions.
    """

    def __init__(self, tree: Tree, catalog: Catalog, watcher: Watcher) -> None:
        self.tree = tree
        self.catalog = catalog
        self.watcher = watcher
        self._jobs: dict[str, SessionJob] = {}
        self._new: deque[SessionJob] = deque()
        self._others: deque[SessionJob] = deque()
        """Busy sessions."""
        self._rescans: deque[SessionJob] = deque()
        self._young: deque[SessionJob] = deque()
        self._young_names: tuple[set[str], set[str]] = set(), set()
        """The young sessions of this period and of the one before."""
        self._period_end = 0.0
        self._busy: dict[str, float] = {}
        """Session -> end of its last turn that left work behind."""
        self._new_at = -BUSY_SECONDS
        self._roomy: set[str] = set()
        """Sessions at their limit of plots that have room for more again."""
        self._widened: dict[str, float] = {}
        """Session -> when it was last queued for that."""
        self.walk_process: WalkProcess | None = None
        """Walks ahead during an indexer's first full scan, if that has many sessions."""
        self.report = Report(delay=Histogram())
        """Results of all scans except full scans."""

    def __len__(self) -> int:
        """Number of waiting sessions."""
        return len(self._jobs)

    @property
    def pending(self) -> int:
        """Number of waiting scopes."""
        return sum(len(job.queued) + len(job.scopes) * job.in_round for job in self._jobs.values())

    @property
    def delay(self) -> float:
        """Seconds since the oldest waiting scope was added."""
        now = time.monotonic()
        return max((now - job.waiting_since for job in self._jobs.values()), default=0.0)

    @property
    def turn_delay(self) -> float:
        """Seconds for which a session has waited for a turn, except young ones.

        If this is short, a session waits long because of its own changes alone.
        """
        now = time.monotonic()
        jobs = (job for job in self._jobs.values() if not job.is_young)
        return max((now - max(job.waiting_since, job.served_at or 0.0) for job in jobs), default=0.0)

    @property
    def slowest(self) -> str:
        """The session whose scopes have waited longest; "" if none waits."""
        return min(self._jobs.values(), key=lambda job: job.waiting_since).session if self._jobs else ""

    def scopes(self) -> list[str]:
        """All scopes that are queued or being scanned."""
        return [path for job in self._jobs.values() for path in (*job.queued, *(job.scopes if job.in_round else ()))]

    def add(self, scopes: Mapping[str, Iterable[str]], *, is_rescan: bool = False) -> list[Ticket]:
        """Queue scopes by session. A rescan is served after the sessions with changes."""
        return [self._job(session, is_rescan=is_rescan).add(paths) for session, paths in scopes.items()]

    def scan_session(self, session: str, report: Report) -> Ticket:
        """Queue a whole session; `report` receives the results."""
        job = self._job(session, is_rescan=True)
        job.scan_report = report
        return job.add([session])

    def widen(self) -> None:
        """Queue sessions that have room for more plots again, each once a minute at most."""
        if not self._roomy:
            return
        now = time.monotonic()
        self._widened = {name: when for name, when in self._widened.items() if now - when < WIDEN_SECONDS}
        due = self._roomy - self._widened.keys()
        self._roomy -= due
        self._widened |= dict.fromkeys(due, now)
        self.add({session: [session] for session in due}, is_rescan=True)

    def tickets(self) -> list[Ticket]:
        """Tickets for all queued scopes."""
        return [job.ticket() for job in self._jobs.values()]

    def step(self) -> StepResult:
        """Serve sessions with new changes, then busy ones, rescans and young ones, for up to about 0.1 seconds.

        Raises as `reconcile` does.
        """
        now = time.monotonic()
        if self._new or self._young:
            self._new_at = now
        is_short = now - self._new_at < BUSY_SECONDS
        result = StepResult([], [], [])
        self._serve(self._new, STEP_SECONDS, STEP_PLOTS, result)
        max_plots = SCAN_PLOTS if self.walk_process else STEP_PLOTS
        self._serve(self._others, *((SHORT_SECONDS, SHORT_PLOTS) if is_short else (STEP_SECONDS, STEP_PLOTS)), result)
        short_plots = STEP_PLOTS if self.walk_process else SHORT_PLOTS
        self._serve(self._rescans, *((SHORT_SECONDS, short_plots) if is_short else (STEP_SECONDS, max_plots)), result)
        has_others = len(self._jobs) > len(self._young)
        self._serve(self._young, SLICE_SECONDS if has_others else STEP_SECONDS, STEP_PLOTS, result)
        return result

    def clear(self) -> None:
        """Discard all queued jobs."""
        for job in self._jobs.values():
            job.close()
        self._jobs.clear()
        self._new.clear()
        self._others.clear()
        self._rescans.clear()
        self._young.clear()
        self._roomy.clear()

    def _job(self, session: str, *, is_rescan: bool) -> SessionJob:
        job = self._jobs.get(session)
        if job is None:
            now = time.monotonic()
            job = self._jobs[session] = SessionJob(session)
            job.is_rescan = is_rescan
            job.is_young = not is_rescan and self._is_young(session, now)
            self._queue_of(job, now).append(job)
        elif job.is_rescan and not is_rescan:
            # Its changes do not wait for the other rescans.
            self._rescans.remove(job)
            job.is_rescan = False
            self._queue_of(job, time.monotonic()).append(job)
        return job

    def _queue_of(self, job: SessionJob, now: float) -> deque[SessionJob]:
        if job.is_young or job.is_rescan:
            return self._young if job.is_young else self._rescans
        is_busy = now - self._busy.get(job.session, -BUSY_SECONDS) < BUSY_SECONDS
        return self._others if is_busy else self._new

    def _is_young(self, session: str, now: float) -> bool:
        """Whether a session was first watched or polled recently."""
        if now >= self._period_end:
            self._young_names = set(), self._young_names[0]
            self._period_end = now + YOUNG_SECONDS
        recent, before = self._young_names
        if session in recent or session in before:
            return True
        if self.watcher.watches.knows(session):
            return False
        recent.add(session)
        return True

    def _serve(self, queue: deque[SessionJob], seconds: float, max_plots: int, result: StepResult) -> None:
        until = time.monotonic() + seconds
        served: dict[str, SessionJob] = {}
        again: deque[SessionJob] = deque()
        plots = 0
        while (queue or again) and plots < max_plots and (now := time.monotonic()) < until:
            job = (queue or again).popleft()
            served[job.session] = job
            if not job.in_round:
                job.start_round(self.tree)
            watches, slice_end = self.watcher.watches, min(until, now + SLICE_SECONDS)
            scanned = job.scan(self.tree, watches, self.report, slice_end, self.walk_process)
            plots += scanned
            result.linked.extend(job.take_linked())
            if job.is_scanning and not job.is_full:
                again.append(job)
            if self.walk_process and plots and not scanned:
                # The job waits for the walk process: write the diffs meanwhile.
                break
        self._write(served, max_plots, result)
        for job in served.values():
            self._requeue(job)

    def _write(self, served: Mapping[str, SessionJob], max_plots: int, result: StepResult) -> None:
        # Small diffs first: a large one takes several transactions.
        diffs = deque(sorted((diff for job in served.values() for diff in job.diffs), key=lambda diff: diff.plots))
        if not diffs:
            return
        usual = STEP_PLOTS * 2 if len(self._jobs) == 1 else STEP_CHANGES
        max_changes = usual if max_plots == STEP_PLOTS else max_plots
        finished, changes, added, roomy = write_batch(diffs, self.tree, self.catalog, max_changes)
        self._roomy.update(roomy)
        written = set(finished)
        for session in {diff.session for diff in finished}:
            served[session].remove(written)
        result.changes.extend(changes)
        result.added.extend(added)

    def _requeue(self, job: SessionJob) -> None:
        job.served_at = time.monotonic()
        if not job.in_round:
            self.watcher.watches.prune(job.scopes, job.entered, job.unreadable)
            job.rounds += 1
            if not job.queued:
                del self._jobs[job.session]
                return
        if job.is_young or job.is_rescan:
            self._queue_of(job, job.served_at).append(job)
            return
        self._others.append(job)
        now = self._busy[job.session] = job.served_at
        if len(self._busy) > MAX_BUSY:
            self._busy = {name: when for name, when in self._busy.items() if now - when < BUSY_SECONDS}


def take_report(report: Report) -> Report:
    """Return a copy of a report and reset it in place, since diffs under way still hold it."""
    taken = replace(report)
    vars(report).update(vars(Report(delay=Histogram())))
    return taken
