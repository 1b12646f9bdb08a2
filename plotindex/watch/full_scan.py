"""Looks at everything, in turns with what changes meanwhile, and a count of what the watcher had missed."""

import time
from collections.abc import Callable, Iterable

from plotindex.index import Report, list_sessions, record_full_scan
from plotindex.storage import Catalog, IntegrityCheck
from plotindex.tree import ScopeSet, Tree, start_walk_process
from plotindex.watch.scheduler import FairScheduler, Ticket
from plotindex.watch.watcher import Watcher

SESSIONS_AT_ONCE = 64
STEP_SECONDS = 0.05
"""How long a step waits at most, when all but the database was looked at."""
GRACE_SECONDS = 1.0
"""How long after the look an event may still come that explains a difference."""


class FullScan:
    """A full reconcile that is under way: the root session by session."""

    def __init__(
        self,
        tree: Tree,
        catalog: Catalog,
        turns: FairScheduler,
        watcher: Watcher,
        check: Callable[[], IntegrityCheck],
        *,
        is_first: bool,
    ) -> None:
        """List the sessions; the first one, for which everybody waits, has a second process to look at them.

        `check` begins to read the database.

        Raises:
            RootLostError: the root is not there.
            CatalogError: the catalogue cannot be read.
        """
        self._tree = tree
        self._catalog = catalog
        self._turns = turns
        self._watcher = watcher
        self.report = Report()
        self.began = time.monotonic()
        self.ended: float | None = None
        watches = watcher.watches
        # Where nobody watches, nobody has missed anything: not in these, and of the root no new session.
        self._explained = ScopeSet([*turns.scopes(), *watches.stamps.sessions()])
        watches.begin_audit()
        names = list_sessions(tree, catalog, self.report, watches.enter)
        self._soundness = check()
        latest = {row.session: number for number, row in enumerate(catalog.latest_sessions())}
        # From the end: those that nobody knows, then those in which something was drawn last. They have first choice
        # of the watches.
        self._names = sorted({*names, *watches.sessions()}, key=lambda name: (latest.get(name, -1), name), reverse=True)
        self.report.sessions = watches.expected = len(self._names)
        self._targets: list[Ticket] = []
        self._unwatched: list[str] = []
        if is_first:
            turns.walk_process = start_walk_process(tree, len(self._names))

    def explain(self, paths: Iterable[str]) -> None:
        """Take note of scopes that the watcher told of: what is different there, it has not missed."""
        self._explained.update(paths)

    def go_on(self) -> bool:
        """Let more sessions wait for their turn; return whether all have had it.

        Raises:
            DamagedDatabaseError: the database is damaged.
        """
        self._soundness.wait()
        self._targets = [target for target in self._targets if not target.is_reached]
        while self._names and len(self._targets) < SESSIONS_AT_ONCE:
            self._targets.append(self._turns.rescan(self._names.pop(), self.report))
        if not self._targets and self._soundness.wait(STEP_SECONDS):
            self._unwatched = self._watcher.watches.end_audit()
            self._watcher.watches.expected = 0
            if "" not in self.report.unreadable:
                record_full_scan(self._tree, self._catalog)
            self.ended = time.monotonic()
            self.close()
        return self.ended is not None

    def close(self) -> None:
        """End the second process."""
        if self._turns.walk_process is not None:
            self._turns.walk_process.close()
            self._turns.walk_process = None

    def missed(self) -> tuple[int, int] | None:
        """How many plots and folders no event told of, not even a moment later; None while it is too early to say."""
        assert self.ended is not None
        doubtful = self.report.differing or self._unwatched
        if doubtful and time.monotonic() < self.ended + GRACE_SECONDS:
            return None
        plots = sum(not self._explained.covers(path) for path in self.report.differing)
        return plots, sum(not self._explained.covers(path) for path in self._unwatched)


class FullScanSchedule:
    """When everything is looked at: now and then, and whenever events were lost."""

    def __init__(self, tree: Tree, catalog: Catalog, turns: FairScheduler, watcher: Watcher, seconds: float) -> None:
        self._parts = tree, catalog, turns, watcher, self._check
        self._database = catalog.database
        self._soundness: IntegrityCheck | None = None
        self._seconds = seconds
        self._due = 0.0
        self._begun = 0
        self._current: FullScan | None = None
        self.done = 0
        """How many came to their end."""
        self.owed = 1
        """The number of the one that makes up for what was lost; the first does for what came before it."""
        self.owed_since: float | None = None
        self.is_elected = True
        """Whether this indexer is the one that looks at everything now and then; what it owes each looks at itself."""
        self.missed: tuple[int, int] | None = None
        """How many plots and folders the watcher had missed, as the last one found that was not owed."""

    @property
    def is_going_on(self) -> bool:
        return self._current is not None and self._current.ended is None

    @property
    def seconds_to_next(self) -> float:
        return max(0.0, self._due - time.monotonic()) if self._current is None else GRACE_SECONDS / 10

    def set_seconds(self, seconds: float) -> None:
        """Look at everything so often from now on; the next one is due so long after the last one began."""
        if self._due > time.monotonic():
            self._due += seconds - self._seconds
        self._seconds = seconds

    def owe(self) -> None:
        """Events were lost, or never came: one that begins from now on makes up for them."""
        self.owed = self._begun + 1
        self.owed_since = self.owed_since or time.monotonic()
        self._due = 0.0
        self.explain([""])

    def forget(self) -> None:
        """Give up the one that is going on; another one is owed."""
        self.close()
        self._current = None
        self.owe()

    def close(self) -> None:
        """End what the one that is going on has started."""
        if self._current is not None:
            self._current.close()

    def explain(self, paths: Iterable[str]) -> None:
        """Take note of what the watcher told of."""
        if self._current is not None:
            self._current.explain(paths)

    def begin(self) -> bool:
        """Begin one if one is due; return whether it makes up for what was lost. Raises as `FullScan` does."""
        if self._current is not None or time.monotonic() < self._due:
            return False
        self._due = time.monotonic() + self._seconds
        if not self.is_elected and self.owed <= self._begun:
            return False
        self._begun += 1
        self._current = FullScan(*self._parts, is_first=not self.done)
        return self._begun == self.owed

    def _check(self) -> IntegrityCheck:
        """A check of the database: the one that goes on, if the look it was for has been given up."""
        if self._soundness is None or self._soundness.is_done:
            self._soundness = IntegrityCheck(self._database)
        return self._soundness

    def go_on(self) -> FullScan | None:
        """Go on with the one that has begun; return it when it has just come to its end."""
        rescan = self._current
        if rescan is None:
            return None
        if rescan.ended is not None:
            missed = rescan.missed()
            if missed is not None:
                self.missed, self._current = missed, None
            return None
        if not rescan.go_on():
            return None
        self.done = self._begun
        if self.done >= self.owed:
            self.owed_since = None
        if self.done == self.owed:
            # After events were lost, or before any came, differences are no news: they are not counted.
            self._current = None
        return rescan
