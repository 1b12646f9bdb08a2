"""What no event tells of, so that it has to be looked at now and again."""

import time
from collections.abc import Iterator

from plotindex.beneath import ABSENT
from plotindex.catalog import Catalog
from plotindex.layout import printable
from plotindex.links import Links
from plotindex.polling import Polled
from plotindex.tree import Tree
from plotindex.turns import Step
from plotindex.watcher import Watcher

UNWATCHED_SECONDS = 5.0
"""How often folders that are not watched are looked at, and tried again."""
UNWATCHED_PER_SECOND = 200
"""Very many of them are looked at less often, so that it costs a few percent of a core; so are names of files."""
LINKS_SECONDS = 1.0
ROOT_SECONDS = 1.0
"""How often the root is asked whether it can be read."""
LINKS_SHARE = 20
"""The catalogue is asked for other names of files for a twentieth of the time, at most."""


class Gaps:
    """Mounts, polled file systems, folders that are not watched, other names of a file."""

    def __init__(self, tree: Tree, catalog: Catalog, watcher: Watcher, polled: Polled, poll_seconds: float) -> None:
        self._tree = tree
        self._catalog = catalog
        self._watcher = watcher
        self._polled = polled
        self.poll_seconds = poll_seconds
        self._links = Links()
        self._poll_at = self._unwatched_at = self._links_at = self._loose_at = self._root_at = 0.0
        self.is_elected = True
        """Whether it is this indexer that looks at what others change, and no other host's."""
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
        # What is polled since this host has no events, no other host's indexer looks at.
        if (self.is_elected or self._polled.blind) and self._polled.scopes and now >= self._poll_at:
            self._poll_at = now + self.poll_seconds
            yield from self._polled.scopes
        watches = self._watcher.watches
        if watches.unwatched_count and now >= self._unwatched_at:
            unwatched = watches.unwatched
            least = self.poll_seconds if "" in unwatched else UNWATCHED_SECONDS
            self._unwatched_at = now + max(least, len(unwatched) / UNWATCHED_PER_SECOND)
            yield from unwatched
        if self._links.loose_count and now >= self._loose_at:
            self._loose_at = now + max(LINKS_SECONDS, self._links.loose_count / UNWATCHED_PER_SECOND)
            yield from self._links.loose(now, young=False)
        if self._links.unknown and (at_once or now >= self._links_at):
            yield from self._links.learn(self._catalog.plots_of_inodes(self._links.unknown))
            self.asked += 1
            self._links_at = time.monotonic() + max(LINKS_SECONDS, LINKS_SHARE * (time.monotonic() - now))

    def _why_closed(self) -> str:
        refusal = self._tree.refusal()
        if refusal is None or refusal.errno in ABSENT:
            return ""
        shown = printable(str(self._tree.root))
        return f"The root {shown} cannot be read ({refusal.strerror}): let the indexer's user read and enter it."

    def before_barrier(self) -> list[str]:
        """What is to be looked at before a barrier is answered, since no event may have told of it."""
        return [*self._watcher.watches.unwatched, *self._links.loose(time.monotonic(), young=True)]

    def learn(self, step: Step) -> list[str]:
        """Take note of files with several names; return the names that may have changed with what has changed."""
        now = time.monotonic()
        self._links.see(step.linked_anew, now, anew=True)
        self._links.see(step.linked, now, anew=False)
        return self._links.affected(step.changes, step.added)

    def doubt(self) -> None:
        """Everything was looked at: one name of a file may have come after another one's look."""
        self._links.ask_all()
