"""What no event tells of, so that it has to be looked at now and again."""

import time
from collections.abc import Iterable, Iterator

from plotindex.catalog import Catalog
from plotindex.links import Links
from plotindex.polling import Polled
from plotindex.turns import Step
from plotindex.watcher import Watcher

UNWATCHED_SECONDS = 5.0
"""How often folders that are not watched are looked at, and tried again."""
UNWATCHED_PER_SECOND = 200
"""Very many of them are looked at less often, so that it costs a few percent of a core."""
LINKS_SECONDS = 1.0
LINKS_SHARE = 20
"""The catalogue is asked for other names of files for a twentieth of the time, at most."""


class Gaps:
    """Mounts, polled file systems, folders that are not watched, other names of a file."""

    def __init__(self, catalog: Catalog, watcher: Watcher, polled: Polled, poll_seconds: float) -> None:
        self._catalog = catalog
        self._watcher = watcher
        self._polled = polled
        self._poll_seconds = poll_seconds
        self._links = Links()
        self._poll_at = self._unwatched_at = self._links_at = 0.0

    @property
    def is_open(self) -> bool:
        """Whether something is known to be unseen that belongs before a barrier."""
        return bool(self._links.unknown)

    def due(self, *, at_once: bool) -> Iterator[str]:
        """The scopes that are to be looked at now; `at_once` when somebody waits for it."""
        now = time.monotonic()
        yield from self._polled.look()
        if self._polled.scopes and now >= self._poll_at:
            self._poll_at = now + self._poll_seconds
            yield from self._polled.scopes
        unwatched = self._watcher.watches.unwatched
        if unwatched and now >= self._unwatched_at:
            least = self._poll_seconds if "" in unwatched else UNWATCHED_SECONDS
            self._unwatched_at = now + max(least, len(unwatched) / UNWATCHED_PER_SECOND)
            yield from self.unwatched()
        if self._links.unknown and (at_once or now >= self._links_at):
            yield from self._links.learn(self._catalog.plots_of_inodes(self._links.unknown))
            self._links_at = time.monotonic() + max(LINKS_SECONDS, LINKS_SHARE * (time.monotonic() - now))

    def unwatched(self) -> Iterable[str]:
        return list(self._watcher.watches.unwatched)

    def learn(self, step: Step) -> list[str]:
        """Take note of files with several names; return the names that may have changed with what has changed."""
        self._links.see(step.linked_anew, ask=True)
        self._links.see(step.linked, ask=False)
        return self._links.affected(step.changes)

    def doubt(self) -> None:
        """Everything was looked at: one name of a file may have come after another one's look."""
        self._links.ask_all()
