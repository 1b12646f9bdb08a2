"""Maintenance by the leader: trimming, the search index, and the processes that work in the background."""

import socket
import time
from collections.abc import Sequence

from plotindex.config import Settings
from plotindex.storage import Catalog, IndexerStats, IndexUpdater
from plotindex.watch.background_process import BackgroundProcess
from plotindex.watch.leader_role import Leadership

TRIM_SECONDS = 60.0
SEARCH_SECONDS = 1.0
"""Interval of updates of the search index while it is current."""
SEARCH_PAUSE_SECONDS = 0.01
"""Pause between updates while it is behind, so that other writers get their turn."""


class Maintenance:
    """Runs the maintenance that is due."""

    def __init__(self, catalog: Catalog, leadership: Leadership, processes: Sequence[BackgroundProcess] = ()) -> None:
        self._catalog = catalog
        self._processes = processes
        self._leadership = leadership
        self._updater = IndexUpdater(catalog)
        self._is_search_behind = False
        self._trim_at = self._search_at = 0.0

    @property
    def seconds_to_next(self) -> float:
        return SEARCH_PAUSE_SECONDS if self._is_search_behind else float("inf")

    def step(self, stats: IndexerStats, *, is_busy: bool) -> None:
        """Trim; update the search index unless the indexer is busy.

        Raises:
            CatalogError: the catalogue cannot be read or written.
        """
        now = time.monotonic()
        for process in self._processes:
            process.check(is_leader=self._leadership.is_leader, is_busy=is_busy)
        if now >= self._trim_at:
            self._trim_at = now + TRIM_SECONDS
            if self._leadership.is_leader:
                with self._catalog.writing() as writer:
                    writer.trim_removals()
                self._catalog.delete_dead_indexers(socket.gethostname())
            stats.pinned = self._catalog.database.pinned_wal_bytes()
        if self._leadership.is_leader and not is_busy and now >= self._search_at:
            self._is_search_behind = self._updater.step()
            self._search_at = time.monotonic() + (SEARCH_PAUSE_SECONDS if self._is_search_behind else SEARCH_SECONDS)

    def reload(self, settings: Settings) -> None:
        """Use other settings from now on."""
        for process in self._processes:
            process.reload(settings)

    def close(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.stop()
