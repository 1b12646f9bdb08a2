"""Changes that no event reports, and that the rolling rescan does not cover: mounts, the root's mode, hard links."""

import logging
import time
from collections.abc import Iterator

from plotindex.system import ABSENT_ERRNOS, printable
from plotindex.watch.hardlinks import HardLinks
from plotindex.watch.polled_scopes import PolledScopes
from plotindex.watch.scheduler import FairScheduler, StepResult

log = logging.getLogger(__name__)

LINKS_SECONDS = 1.0
LINKS_PER_SECOND = 200
"""Rate at which plots with unknown names are reconciled, for a few percent of one core."""
ROOT_SECONDS = 1.0
"""Interval of the check that the root is readable."""
QUERY_SHARE = 20
"""The query for other names takes at most a twentieth of the time."""


class SilentChanges:
    """Finds the scopes of silent changes."""

    def __init__(self, scheduler: FairScheduler, polled: PolledScopes) -> None:
        self._scheduler = scheduler
        self._polled = polled
        self._links = HardLinks()
        polled.linked = self._links.untracked
        self._query_at = self._incomplete_at = self._root_at = 0.0
        self.root_problem = ""
        """Why the root is unreadable, with the fix; empty if it is readable or missing."""
        self.queries = 0
        """Number of queries for other names."""

    @property
    def next_query(self) -> int:
        """The value of `queries` once all inodes known now are resolved."""
        return self.queries + bool(self._links.unresolved)

    def due(self, *, is_awaited: bool) -> Iterator[str]:
        """The scopes to reconcile now; `is_awaited` if a barrier waits for the query for other names."""
        now = time.monotonic()
        yield from self._polled.take_mount_changes()
        if now >= self._root_at:
            self._root_at = now + ROOT_SECONDS
            before, self.root_problem = self.root_problem, self._check_root()
            if before and not self.root_problem:
                yield ""
        if self._links.incomplete_count and now >= self._incomplete_at:
            self._incomplete_at = now + LINKS_SECONDS
            yield from self._links.take_incomplete(LINKS_PER_SECOND)
        if self._links.unresolved and (is_awaited or now >= self._query_at):
            yield from self._links.resolve(self._scheduler.catalog.plots_by_inode(self._links.unresolved))
            self.queries += 1
            self._query_at = time.monotonic() + max(LINKS_SECONDS, QUERY_SHARE * (time.monotonic() - now))

    def before_barrier(self, *, is_external: bool) -> Iterator[str]:
        """The scopes to reconcile before a barrier is removed; the indexer's own barriers test events alone."""
        if not is_external:
            return
        yield from self._links.take_recent(time.monotonic())
        if self._polled.everything:
            yield ""
        else:
            snapshots = self._scheduler.watcher.watches.snapshots
            for session in filter(None, snapshots.sessions()):
                yield from snapshots.scopes(session)

    def add(self, result: StepResult) -> list[str]:
        """Track the hard links of a step; return the other names of the changed files."""
        now = time.monotonic()
        for scan in result.linked:
            self._links.add(scan, now)
        switched = self._links.take_switched()
        for session in switched & self._links.untracked:
            log.warning("%s has more hard links than are tracked: it is polled, too.", printable(session))
        return [*switched, *self._links.affected(result.changes, result.added)]

    def finish_full_scan(self) -> None:
        self._links.resolve_all()

    def _check_root(self) -> str:
        error = self._scheduler.tree.access_error()
        if error is None or error.errno in ABSENT_ERRNOS:
            return ""
        shown = printable(str(self._scheduler.tree.root))
        return (
            f"The root {shown} cannot be read ({error.strerror}): give the indexer's user read and search permission."
        )
