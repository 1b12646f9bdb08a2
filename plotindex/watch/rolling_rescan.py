"""The rolling rescan: finds changes that no event reports, within a share of one core.

The folder round compares fingerprints, and finds entries that were created, removed or renamed. The slower file round
reconciles session by session, and catches in-place rewrites.
"""

import time
from collections.abc import Iterator

from plotindex.config import Settings
from plotindex.index import Report
from plotindex.storage import Histogram, IndexerStats
from plotindex.system import ABSENT_ERRNOS
from plotindex.tree import ScopeSet
from plotindex.watch.folder_snapshots import FolderSnapshots
from plotindex.watch.leader_role import Leadership
from plotindex.watch.polled_scopes import PolledScopes
from plotindex.watch.scheduler import FairScheduler
from plotindex.watch.session_job import Ticket
from plotindex.watch.throttled_round import ThrottledRound

UNWATCHED_SECONDS = 5.0
"""Interval of rounds while there are unwatched folders."""
FOLDER_ROUNDS = 6
"""Number of folder rounds for each file round while something is polled."""
CHANGES_SECONDS = 1.0
"""Interval of the query for sessions with changes, which get watches."""
FRESH_SECONDS = 15.0
"""Maximum staleness of results that count as fresh."""


class RollingRescan:
    """Runs both rounds, and gives watches to the sessions with changes."""

    def __init__(
        self, scheduler: FairScheduler, polled: PolledScopes, leadership: Leadership, settings: Settings
    ) -> None:
        self._scheduler = scheduler
        self._polled = polled
        self._leadership = leadership
        self.settings = settings
        self.folder_round = ThrottledRound(self._changed_folders)
        self.file_round = ThrottledRound(self._all_folders)
        self.report = Report(delay=Histogram())
        """Results of the file round."""
        self._clock: int | None = None
        self._query_at = 0.0
        self._candidates: dict[str, None] = {}

    @property
    def is_fresh(self) -> bool:
        return max(self.folder_round.age(), self.file_round.age()) < FRESH_SECONDS

    @property
    def seconds_to_next(self) -> float:
        if not self._snapshots.folders or self._is_delegated:
            return float("inf")
        return max(0.0, min(each.seconds_to_next(interval) for each, interval in self._intervals()))

    def pause(self) -> None:
        """Ignore the changes found by a full scan: they do not show where a watch is needed."""
        self._clock = None

    def reset(self) -> None:
        self.folder_round.reset()
        self.file_round.reset()

    def step(self) -> list[str]:
        """Run one step of each round that is due, and queue what it finds; return [""] to require a full scan.

        Raises:
            CatalogError: the catalogue cannot be read.
        """
        snapshots = self._snapshots
        if self._is_delegated:
            self.reset()
            return []
        if snapshots.unwatched > snapshots.unreadable and time.monotonic() >= self._query_at:
            self._query_at = time.monotonic() + CHANGES_SECONDS
            self._reassign_watches()
        for each, interval in self._intervals():
            each.tickets = [ticket for ticket in each.tickets if not ticket.is_done]
            if not snapshots.folders:
                each.reset()
            if not snapshots.folders or each.tickets or each.seconds_to_next(interval) > 0:
                continue
            if not each.is_open:
                each.start(sorted(snapshots.sessions(), reverse=True))
            found = ScopeSet(each.step(self._share_of(each))).by_session()
            if "" in found:
                return [""]
            each.tickets = [ticket for name, paths in found.items() for ticket in self._queue(name, paths, each)]
        return []

    def charge(self, seconds: float) -> None:
        """Count the time for scanning and writing what the rounds found."""
        for each in (self.folder_round, self.file_round):
            if each.tickets:
                each.charge(seconds, self._share_of(each))

    def fill(self, stats: IndexerStats) -> None:
        """Set the statistics of the rounds."""
        snapshots, folders, files = self._snapshots, self.folder_round, self.file_round
        stats.closed = snapshots.unreadable
        stats.rolled_sessions, stats.rolled_folders = len(snapshots), snapshots.folders
        stats.folders_round, stats.files_round = round(folders.seconds, 3), round(files.seconds, 3)
        stats.folders_age, stats.files_age = round(folders.age(), 3), round(files.age(), 3)

    def _queue(self, session: str, paths: set[str], source: ThrottledRound) -> list[Ticket]:
        if source is self.file_round and paths == {session}:
            return [self._scheduler.scan_session(session, self.report)]
        return self._scheduler.add({session: paths}, is_rescan=True)

    def _changed_folders(self, session: str) -> Iterator[list[str]]:
        changed = self._snapshots.changed(self._scheduler.tree, session)
        if session:
            yield from changed
        elif any(changed):
            yield self._changed_sessions()

    def _changed_sessions(self) -> list[str]:
        """The sessions that were created or removed; [""] if the root is missing."""
        watches = self._scheduler.watcher.watches
        try:
            names = self._scheduler.tree.sessions(on_folder=watches.add)
        except OSError as error:
            return [""] if error.errno in ABSENT_ERRNOS else []
        return sorted({*names} ^ {*watches.sessions(), *self._scheduler.catalog.sessions()})

    def _all_folders(self, session: str) -> Iterator[list[str]]:
        if session:
            yield self._snapshots.scopes(session)

    def _reassign_watches(self) -> None:
        """Give watches to one session with changes, whichever process has found these."""
        watches = self._scheduler.watcher.watches
        self._clock, changed = self._scheduler.catalog.changed_sessions(self._clock)
        self._candidates.update(dict.fromkeys(filter(watches.record_change, changed)))
        while self._candidates:
            session = next(iter(self._candidates))
            del self._candidates[session]
            if watches.make_room(session):
                self._scheduler.scan_session(session, self.report)
                return

    def _intervals(self) -> list[tuple[ThrottledRound, float]]:
        """Both rounds, with the minimum seconds from one start to the next."""
        poll_seconds = self.settings.poll_seconds
        interval = min(
            poll_seconds if self._polled.scopes else UNWATCHED_SECONDS,
            UNWATCHED_SECONDS if self._snapshots.unwatched else poll_seconds,
        )
        return [(self.folder_round, min(interval, poll_seconds / FOLDER_ROUNDS)), (self.file_round, interval)]

    @property
    def _is_delegated(self) -> bool:
        """Whether the leader polls for this indexer. Without events on this host nobody else does."""
        return self._polled.everything and not self._polled.no_events and not self._leadership.is_leader

    @property
    def _snapshots(self) -> FolderSnapshots:
        return self._scheduler.watcher.watches.snapshots

    def _share_of(self, each: ThrottledRound) -> float:
        """Half of the share for folders; for files all that folders leave."""
        half = self.settings.rescan_share / 200
        return half if each is self.folder_round else 2 * half - min(half, self.folder_round.rate)
