"""One look at everything, in turns with what changes meanwhile, and a count of what the watcher had missed."""

import time
from collections.abc import Iterable

from plotindex.catalog import Catalog
from plotindex.look import Report
from plotindex.reconcile import finish, sessions_to_look_at
from plotindex.scopes import Scopes
from plotindex.tree import Tree
from plotindex.turns import Target, Turns
from plotindex.watcher import Watcher

SESSIONS_AT_ONCE = 64
GRACE_SECONDS = 1.0
"""How long after the look an event may still come that explains a difference."""


class Rescan:
    """A full reconcile that is under way: the root session by session."""

    def __init__(self, tree: Tree, catalog: Catalog, turns: Turns, watcher: Watcher) -> None:
        """List the sessions.

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
        self._explained = Scopes(turns.scopes())
        watcher.watches.begin_audit()
        names = sessions_to_look_at(tree, catalog, self.report, watcher.watches.enter)
        self._names = sorted({*names, *watcher.watches.sessions()}, reverse=True)
        self.report.sessions = len(self._names)
        self._targets: list[Target] = []
        self._unwatched: list[str] = []

    def explain(self, paths: Iterable[str]) -> None:
        """Take note of scopes that the watcher told of: what is different there, it has not missed."""
        for path in paths:
            self._explained.add(path)

    def go_on(self) -> None:
        """Let more sessions wait for their turn, and see whether all have had it."""
        if self.ended is not None:
            return
        self._targets = [target for target in self._targets if not target.is_reached]
        while self._names and len(self._targets) < SESSIONS_AT_ONCE:
            self._targets.append(self._turns.rescan(self._names.pop(), self.report))
        if not self._targets:
            self._unwatched = self._watcher.watches.end_audit()
            if "" not in self.report.unreadable:
                finish(self._tree, self._catalog)
            self.ended = time.monotonic()

    def missed(self) -> tuple[int, int] | None:
        """How many plots and folders no event told of, not even a moment later; None while it is too early to say."""
        assert self.ended is not None
        doubtful = self.report.differing or self._unwatched
        if doubtful and time.monotonic() < self.ended + GRACE_SECONDS:
            return None
        plots = sum(not self._explained.covers(path) for path in self.report.differing)
        return plots, sum(not self._explained.covers(path) for path in self._unwatched)
