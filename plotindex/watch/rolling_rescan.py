"""The rolling rescan: what no event tells of is looked at round and round, within a set share of the time of one core.

One round goes by folders: a stat of each says whether anything came, went or was renamed in it. Another, slower one
goes by files, session by session, as a rescan does: so that is found what was rewritten in place.
"""

import time
from collections.abc import Iterator
from dataclasses import replace

from plotindex.index import Report
from plotindex.storage import Catalog, Histogram, IndexerStats
from plotindex.system import ABSENT_ERRNOS
from plotindex.tree import ScopeSet, Tree
from plotindex.watch.polled_scopes import PolledScopes
from plotindex.watch.scheduler import FairScheduler, Ticket
from plotindex.watch.snapshots import FolderSnapshots
from plotindex.watch.throttled_round import ThrottledRound
from plotindex.watch.watcher import Watcher

UNWATCHED_SECONDS = 5.0
"""How often a round begins, at most, where there are folders that should be watched and are not."""
FOLDERS_PER_FILES = 6
"""So many rounds by folders begin, at most, for one by files where something is polled."""
CHANGES_SECONDS = 1.0
"""How often it is asked in which sessions something has changed, and so which are to be watched."""
FRESH_SECONDS = 15.0
"""What the catalogue says is to be no older than this; where it may be, hits say so."""


class RollingRescan:
    """Both rounds, and which sessions are watched because something changes in them."""

    def __init__(
        self,
        tree: Tree,
        catalog: Catalog,
        turns: FairScheduler,
        watcher: Watcher,
        polled: PolledScopes,
        *,
        poll_seconds: float,
        share: float,
    ) -> None:
        """`share` is that of one core, in percent."""
        self._tree = tree
        self._catalog = catalog
        self._turns = turns
        self._watcher = watcher
        self._polled = polled
        self.poll_seconds = poll_seconds
        self.share = share
        self.is_elected = True
        """Whether it is this indexer that looks at what others change, and no other host's."""
        self.by_folders = ThrottledRound(self._changed)
        self.by_files = ThrottledRound(self._all_of)
        self._report = Report(delay=Histogram())
        self._clock: int | None = None
        self._clock_at = 0.0
        self._wanted: dict[str, None] = {}

    @property
    def is_fresh(self) -> bool:
        """Whether what is known of everything is as new as what events tell of, or nearly."""
        return max(self.by_folders.age(), self.by_files.age()) < FRESH_SECONDS

    @property
    def seconds_to_next(self) -> float:
        """How long there is nothing to do."""
        if not self._stamps.folders or self._is_left_to_another:
            return float("inf")
        return max(0.0, min(each.seconds_to_next(least) for each, least in self._rounds()))

    def pause(self) -> None:
        """Everything is looked at by a rescan: what it finds says nothing of where changes happen."""
        self._clock = None

    def forget(self) -> None:
        """What was to be looked at is forgotten, since everything is looked at anew."""
        self.by_folders.forget()
        self.by_files.forget()

    def go_on(self) -> list[str]:
        """One step of each round that is due. What is found waits for its turn, but for very much: that is returned.

        Raises:
            CatalogError: the catalogue cannot be read.
        """
        stamps = self._stamps
        if self._is_left_to_another:
            self.forget()
            return []
        if stamps.unwatched > stamps.closed and time.monotonic() >= self._clock_at:
            self._clock_at = time.monotonic() + CHANGES_SECONDS
            self._watch_where_changes_are()
        for each, least in self._rounds():
            each.targets = [target for target in each.targets if not target.is_reached]
            if not stamps.folders:
                each.forget()
            if not stamps.folders or each.targets or each.seconds_to_next(least) > 0:
                continue
            if not each.is_open:
                each.begin(sorted(stamps.sessions(), reverse=True))
            found = ScopeSet(each.step(self._share_of(each))).by_session()
            if "" in found:
                return [""]
            each.targets = [target for name, paths in found.items() for target in self._wait(name, paths, each)]
        return []

    def _wait(self, session: str, paths: set[str], by: ThrottledRound) -> list[Ticket]:
        if by is self.by_files and paths == {session}:
            # As in a rescan: nothing has told of it.
            return [self._turns.rescan(session, self._report)]
        return self._turns.add({session: paths}, is_rescan=True)

    def _changed(self, session: str) -> Iterator[list[str]]:
        """The folders of a session that are not as they were."""
        changed = self._stamps.changed(self._tree, session)
        if session:
            yield from changed
        elif any(changed):
            yield self._sessions_that_came_or_went()

    def _sessions_that_came_or_went(self) -> list[str]:
        watches = self._watcher.watches
        try:
            names = self._tree.sessions(on_folder=watches.enter)
        except OSError as error:
            # The root: either it is gone, or somebody else asks each second whether it can be read again.
            return [""] if error.errno in ABSENT_ERRNOS else []
        return sorted({*names} ^ {*watches.sessions(), *self._catalog.sessions()})

    def _all_of(self, session: str) -> Iterator[list[str]]:
        """All of a session of which no event tells."""
        if session:
            yield self._stamps.scopes(session)

    def _watch_where_changes_are(self) -> None:
        """Let a session in which something has changed, whoever found it, have watches: one at a time."""
        watches = self._watcher.watches
        self._clock, changed = self._catalog.changed_sessions(self._clock)
        self._wanted.update(dict.fromkeys(filter(watches.note_change, changed)))
        while self._wanted:
            session = next(iter(self._wanted))
            del self._wanted[session]
            if watches.make_room(session):
                self._turns.rescan(session, self._report)
                return

    def spend(self, seconds: float) -> None:
        """So long it took to look at what was found, and to write it."""
        for each in (self.by_folders, self.by_files):
            if each.targets:
                each.spend(seconds, self._share_of(each))

    def take_report(self) -> Report:
        """What was seen and done by files since the last call."""
        taken = replace(self._report)
        vars(self._report).update(vars(Report(delay=Histogram())))
        return taken

    def tell(self, measured: IndexerStats) -> None:
        """Say what there is to look at, and how long that takes."""
        stamps, folders, files = self._stamps, self.by_folders, self.by_files
        measured.closed, measured.rolled_sessions, measured.rolled_folders = stamps.closed, len(stamps), stamps.folders
        measured.folders_round, measured.files_round = round(folders.seconds, 3), round(files.seconds, 3)
        measured.folders_age, measured.files_age = round(folders.age(), 3), round(files.age(), 3)

    def _rounds(self) -> list[tuple[ThrottledRound, float]]:
        """Each, and how often one begins at most, in seconds."""
        by_files = min(
            self.poll_seconds if self._polled.scopes else UNWATCHED_SECONDS,
            UNWATCHED_SECONDS if self._stamps.unwatched else self.poll_seconds,
        )
        return [(self.by_folders, min(by_files, self.poll_seconds / FOLDERS_PER_FILES)), (self.by_files, by_files)]

    @property
    def _is_left_to_another(self) -> bool:
        # What is polled since this host has no events, no other host's indexer looks at.
        return self._polled.everything and not self._polled.blind and not self.is_elected

    @property
    def _stamps(self) -> FolderSnapshots:
        return self._watcher.watches.stamps

    def _share_of(self, each: ThrottledRound) -> float:
        """Half of it is for folders; for files what these leave of it, which is most of it where there are few."""
        half = self.share / 200
        return half if each is self.by_folders else 2 * half - min(half, self.by_folders.rate)
