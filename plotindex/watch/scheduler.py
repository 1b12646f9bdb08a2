"""Sessions take turns: one that draws, renames or deletes without pause waits for itself alone."""

import time
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from plotindex.index import Report, ScopeDiff, write_batch
from plotindex.storage import Catalog, Change, Histogram
from plotindex.tree import MAX_SCOPES_PER_SESSION, HardLinkedPlot, Row, Scope, Tree, WalkProcess, collapse
from plotindex.watch.watcher import Watcher

TURN_SECONDS = 0.005
"""How long one session is looked at before the next one's turn."""
STEP_SECONDS = 0.02
"""How long sessions are looked at before what was found is written."""
STEP_PLOTS = 500
"""After so many plots it is written in any case."""
REST_SECONDS = 1.0
"""For so long a session that needed more than one turn does not come first again."""
WIDEN_SECONDS = 60.0
MOST_BUSY = 10_000
PARALLEL_WALK_PLOTS = 4_000
"""The same, and rows that one transaction writes at most, while a scout looks at everything."""
STEP_CHANGES = 250
"""Rows that one transaction writes at most while several sessions wait."""
BRISK_SECONDS = 0.005
BRISK_PLOTS = 50
"""As the above, while some session comes anew now and then: it waits for no more than such a step of the others."""


class SessionJob:
    """What waits to be looked at in one session, and how far the look has come."""

    def __init__(self, session: str) -> None:
        self.session = session
        self.waiting: set[str] = set()
        self.since = 0.0
        """When the oldest of what waits came, by `time.monotonic()`."""
        self.rescan: Report | None = None
        """Whom a look at the whole session is for, when a rescan asked for it."""
        self.rounds = 0
        """How often all that waited at one moment has been dealt with."""
        self.ready: deque[ScopeDiff] = deque()
        """Looks that are to be written."""
        self.scopes: list[str] = []
        self.entered: set[str] = set()
        self.closed: dict[str, OSError] = {}
        self._began = 0.0
        self._amount = 0
        self._todo: deque[Scope] = deque()
        self._look: ScopeDiff | None = None

    @property
    def in_round(self) -> bool:
        return bool(self._todo or self._look or self.ready)

    @property
    def has_to_look(self) -> bool:
        return bool(self._todo or self._look)

    @property
    def oldest(self) -> float:
        return self._began if self.in_round else self.since

    @property
    def next_round(self) -> int:
        """The number of rounds after which all that is here now has been dealt with."""
        return self.rounds + self.in_round + bool(self.waiting)

    def wait_for(self, paths: Iterable[str]) -> None:
        """Let more scopes wait; very many are the whole session."""
        self.waiting.update(paths)
        if self.session in self.waiting or len(self.waiting) > MAX_SCOPES_PER_SESSION:
            self.waiting = {self.session}

    def begin_round(self, tree: Tree) -> None:
        """Take on all that waits; what comes from now on is for the next round."""
        self.scopes = collapse(self.waiting)
        parsed = map(tree.layout.parse_scope, self.scopes)
        self._todo = deque(scope for scope in parsed if scope is not None and scope.session)
        self._began, self.waiting = self.since, set()
        self.entered, self.closed = set(), {}

    @property
    def is_full(self) -> bool:
        """Whether so much is ready that it is to be written first."""
        return self._amount >= STEP_PLOTS

    def look(self, tree: Tree, watcher: Watcher, report: Report, until: float, walk_process: WalkProcess | None) -> int:
        """Look on until `time.monotonic()` is past `until` or enough is ready; return how much came to that.

        `walk_process` is for a rescan.
        """

        def on_folder(path: str, fd: int) -> None:
            self.entered.add(path)
            watcher.watches.enter(path, fd)

        before = self._amount
        with tree.open_reader() as reader:
            while self.has_to_look and not self.is_full:
                if self._look is None:
                    scope = self._todo.popleft()
                    mine, ahead = report, None
                    if scope.project is None and self.rescan is not None:
                        mine, ahead, self.rescan = self.rescan, walk_process, None
                    self._look = ScopeDiff(reader, scope, mine, on_folder=on_folder, walker=ahead)
                if not self._look.scan(until):
                    break
                self.closed.update(self._look.closed)
                self.ready.append(self._look)
                self._amount += self._look.plots + 1
                self._look = None
                if time.monotonic() >= until:
                    break
        return self._amount - before

    def settled(self, looks: Collection[ScopeDiff]) -> None:
        """These of its looks have been written."""
        self.ready = deque(look for look in self.ready if look not in looks)
        self._amount = sum(look.plots + 1 for look in self.ready)

    def close(self) -> None:
        if self._look is not None:
            self._look.close()


class Ticket(NamedTuple):
    """A job and how many rounds of it are awaited."""

    job: SessionJob
    rounds: int

    @property
    def is_reached(self) -> bool:
        return self.job.rounds >= self.rounds


class StepResult(NamedTuple):
    """What one step found out."""

    changes: list[Change]
    added: list[Row]
    """Plots where the catalogue knew none, but for those that are among the changes."""
    linked: list[HardLinkedPlot]
    linked_anew: list[HardLinkedPlot]
    """Those of them that something was told of, not found by a rescan."""

    def and_then(self, later: "StepResult") -> "StepResult":
        return StepResult(
            self.changes + later.changes,
            self.added + later.added,
            self.linked + later.linked,
            self.linked_anew + later.linked_anew,
        )


class FairScheduler:
    """All that waits to be looked at. In each step those who come anew are served, then some of those who go on."""

    def __init__(self, tree: Tree, catalog: Catalog, watcher: Watcher) -> None:
        self._tree = tree
        self._catalog = catalog
        self._watcher = watcher
        self._jobs: dict[str, SessionJob] = {}
        self._fresh: deque[SessionJob] = deque()
        self._others: deque[SessionJob] = deque()
        self._busy: dict[str, float] = {}
        """When a session last needed more than one turn."""
        self._fresh_at = -REST_SECONDS
        self._widened: dict[str, float] = {}
        self.walk_process: WalkProcess | None = None
        """Looks at the sessions of a rescan, where there is one."""
        self.report = Report(delay=Histogram())
        """What was seen and done, but for rescans."""

    def __len__(self) -> int:
        """How many sessions wait."""
        return len(self._jobs)

    @property
    def pending(self) -> int:
        """How many scopes wait."""
        return sum(len(job.waiting) + len(job.scopes) * job.in_round for job in self._jobs.values())

    @property
    def behind(self) -> float:
        """For how many seconds the scope that waits longest has waited."""
        now = time.monotonic()
        return max((now - job.oldest for job in self._jobs.values()), default=0.0)

    def scopes(self) -> list[str]:
        """All that waits or is being looked at."""
        return [path for job in self._jobs.values() for path in (*job.waiting, *(job.scopes if job.in_round else ()))]

    def add(self, scopes: Mapping[str, Iterable[str]], *, is_rescan: bool = False) -> list[Ticket]:
        """Let scopes wait, each under its session; return what to wait for until they have been dealt with."""
        now = time.monotonic()
        targets = []
        for session, paths in scopes.items():
            job = self._jobs.get(session)
            if job is None:
                job = self._jobs[session] = SessionJob(session)
                # Who needed more than one turn a moment ago is not first again.
                comes_anew = not is_rescan and now - self._busy.get(session, -REST_SECONDS) >= REST_SECONDS
                (self._fresh if comes_anew else self._others).append(job)
            if not job.waiting:
                job.since = now
            job.wait_for(paths)
            targets.append(Ticket(job, job.next_round))
        return targets

    def rescan(self, session: str, report: Report) -> Ticket:
        """Let a whole session wait, and tell `report` of it."""
        (target,) = self.add({session: [session]}, is_rescan=True)
        target.job.rescan = report
        return target

    def targets(self) -> list[Ticket]:
        """What to wait for until all that waits now has been dealt with."""
        return [Ticket(job, job.next_round) for job in self._jobs.values()]

    def step(self) -> StepResult:
        """Serve those who come anew, then some of the others, in at most some 0.1 seconds.

        Raises as `reconcile` does.
        """
        now = time.monotonic()
        if self._fresh:
            self._fresh_at = now
        is_brisk = now - self._fresh_at < REST_SECONDS
        fresh = self._serve(self._fresh, STEP_SECONDS, STEP_PLOTS)
        usual = PARALLEL_WALK_PLOTS if self.walk_process else STEP_PLOTS
        others = self._serve(self._others, *((BRISK_SECONDS, BRISK_PLOTS) if is_brisk else (STEP_SECONDS, usual)))
        return fresh.and_then(others)

    def take_report(self) -> Report:
        """What was seen and done since the last call, but for rescans."""
        taken = replace(self.report)
        # The report itself stays: looks that have begun still tell it what they find.
        vars(self.report).update(vars(Report(delay=Histogram())))
        return taken

    def clear(self) -> None:
        """Forget all that waits: everything will be looked at instead."""
        for job in self._jobs.values():
            job.close()
        self._jobs.clear()
        self._fresh.clear()
        self._others.clear()

    def _serve(self, queue: deque[SessionJob], seconds: float, most: int) -> StepResult:
        until = time.monotonic() + seconds
        served: dict[str, SessionJob] = {}
        again: deque[SessionJob] = deque()
        plots = 0
        while (queue or again) and plots < most and (now := time.monotonic()) < until:
            job = (queue or again).popleft()
            served[job.session] = job
            if not job.in_round:
                job.begin_round(self._tree)
            more = job.look(self._tree, self._watcher, self.report, min(until, now + TURN_SECONDS), self.walk_process)
            plots += more
            if job.has_to_look and not job.is_full:
                again.append(job)
            if self.walk_process and plots and not more:
                # It waits for the scout; what is there can be written meanwhile.
                break
        step = self._settle(served, most)
        for job in served.values():
            self._put_back(job)
        return step

    def _settle(self, served: Mapping[str, SessionJob], most: int) -> StepResult:
        # The small ones first: a large one takes several transactions.
        looks = deque(sorted((look for job in served.values() for look in job.ready), key=lambda look: look.plots))
        if not looks:
            return StepResult([], [], [], [])
        linked = [each for look in looks for each in look.linked]
        linked_anew = [each for look in looks if look.report is self.report for each in look.linked]
        usual = STEP_PLOTS * 2 if len(self._jobs) == 1 else STEP_CHANGES
        most_changes = usual if most == STEP_PLOTS else most
        finished, changes, added, roomy = write_batch(looks, self._tree, self._catalog, most_changes)
        self._widen(roomy)
        done = set(finished)
        for session in {look.session for look in finished}:
            served[session].settled(done)
        return StepResult(changes, added, linked, linked_anew)

    def _widen(self, sessions: Iterable[str]) -> None:
        """Look at these as a whole, but each only once a minute."""
        now = time.monotonic()
        self._widened = {name: when for name, when in self._widened.items() if now - when < WIDEN_SECONDS}
        for session in sessions:
            if session not in self._widened:
                self._widened[session] = now
                self.add({session: [session]}, is_rescan=True)

    def _put_back(self, job: SessionJob) -> None:
        if not job.in_round:
            self._watcher.watches.leave(job.scopes, job.entered, job.closed)
            job.rounds += 1
            if not job.waiting:
                del self._jobs[job.session]
                return
        self._others.append(job)
        now = time.monotonic()
        self._busy[job.session] = now
        if len(self._busy) > MOST_BUSY:
            self._busy = {name: when for name, when in self._busy.items() if now - when < REST_SECONDS}
