"""What no event tells of, and the rolling rescan does not look at."""

import time
from collections.abc import Iterator

from plotindex.storage import Catalog
from plotindex.system import ABSENT_ERRNOS, printable
from plotindex.tree import Tree
from plotindex.watch.hardlinks import HardLinks
from plotindex.watch.polled_scopes import PolledScopes
from plotindex.watch.scheduler import StepResult
from plotindex.watch.watcher import Watcher

LINKS_SECONDS = 1.0
LINKS_PER_SECOND = 200
"""Very many names are looked at less often, so that it costs a few percent of a core."""
ROOT_SECONDS = 1.0
"""How often the root is asked whether it can be read."""
LINKS_SHARE = 20
"""The catalogue is asked for other names of files for a twentieth of the time, at most."""


class SilentChanges:
    """Mounts, whether the root can be read, other names of a file."""

    def __init__(self, tree: Tree, catalog: Catalog, watcher: Watcher, polled: PolledScopes) -> None:
        self._tree = tree
        self._catalog = catalog
        self._watcher = watcher
        self._polled = polled
        self._links = HardLinks()
        self._links_at = self._loose_at = self._root_at = 0.0
        self.closed = ""
        """Why the root cannot be read, with the remedy; empty while it can, or is not there."""
        self.asked = 0
        """How often the catalogue was asked for other names of files."""

    @property
    def next_asked(self) -> int:
        """What `asked` will be when it was asked for all that are unknown now."""
        return self.asked + bool(self._links.unknown)

    def due(self, *, at_once: bool) -> Iterator[str]:
        """The scopes that are to be looked at now; `at_once` when somebody waits for it."""
        now = time.monotonic()
        yield from self._polled.look()
        if now >= self._root_at:
            self._root_at = now + ROOT_SECONDS
            was_closed, self.closed = self.closed, self._why_closed()
            if was_closed and not self.closed:
                yield ""
        if self._links.loose_count and now >= self._loose_at:
            self._loose_at = now + max(LINKS_SECONDS, self._links.loose_count / LINKS_PER_SECOND)
            yield from self._links.loose(now, young=False)
        if self._links.unknown and (at_once or now >= self._links_at):
            yield from self._links.learn(self._catalog.plots_by_inode(self._links.unknown))
            self.asked += 1
            self._links_at = time.monotonic() + max(LINKS_SECONDS, LINKS_SHARE * (time.monotonic() - now))

    def _why_closed(self) -> str:
        refusal = self._tree.access_error()
        if refusal is None or refusal.errno in ABSENT_ERRNOS:
            return ""
        shown = printable(str(self._tree.root))
        return (
            f"The root {shown} cannot be read ({refusal.strerror}): give the indexer's user read and search permission."
        )

    def before_barrier(self, *, is_asked: bool) -> Iterator[str]:
        """What is to be looked at before a barrier is answered, since no event may have told of it.

        `is_asked` when somebody else waits for the answer: the indexer's own is about events alone.
        """
        yield from self._links.loose(time.monotonic(), young=True)
        if is_asked and self._polled.everything:
            yield ""
        elif is_asked:
            stamps = self._watcher.watches.stamps
            for session in filter(None, stamps.sessions()):
                yield from stamps.scopes(session)

    def learn(self, step: StepResult) -> list[str]:
        """Take note of files with several names; return the names that may have changed with what has changed."""
        now = time.monotonic()
        self._links.see(step.linked_anew, now, anew=True)
        self._links.see(step.linked, now, anew=False)
        return self._links.affected(step.changes, step.added)

    def doubt(self) -> None:
        """Everything was looked at: one name of a file may have come after another one's look."""
        self._links.ask_all()
