"""Recovery from a catalogue that was deleted or replaced, or whose disk was full, while the indexer runs."""

import logging
import time

from plotindex.errors import PlotIndexError, StateLostError
from plotindex.index import IndexerLock
from plotindex.storage import Catalog
from plotindex.tree import Tree

log = logging.getLogger(__name__)


class CatalogRecovery:
    """Notices another database or server behind the catalogue, and initialises it."""

    def __init__(self, tree: Tree, catalog: Catalog, lock: IndexerLock | None = None) -> None:
        self._tree = tree
        self._catalog = catalog
        self._lock = lock
        self._generation: int | None = None
        self.is_state_lost = False

    @property
    def space_problem(self) -> str:
        """Why plots were not added, with the fix; empty if all were."""
        return self._catalog.space_problem

    @property
    def is_short_of_space(self) -> bool:
        return bool(self._catalog.database.space_problem())

    def check(self) -> bool:
        """Return whether a full scan is needed: the database was replaced, or there is room again for new plots.

        Raises:
            StateLostError: the state folder was deleted or replaced.
            CatalogError: there is no database, or it cannot be read.
        """
        self._check_lock()
        database = self._catalog.database
        database.check_replaced()
        before, generation = self._generation, database.generation
        is_replaced = before is not None and generation != before
        if is_replaced:
            what = (
                "The database server restarted or was replaced" if database.is_shared else "The database was replaced"
            )
            log.warning("%s; starting a full scan.", what)
            self.initialise()
        if database.is_shared and (is_replaced or (before is None and not self._has_live_indexer())):
            # A standby that was promoted while no indexer ran may lack the last commits.
            with self._catalog.writing() as writer:
                writer.expire_cursors(time.time_ns() // 1000)
        self._generation = generation
        has_room_again = bool(self.space_problem) and not self.is_short_of_space
        if has_room_again:
            self._catalog.space_problem = ""
            log.info("The disk of the database has room again; starting a full scan.")
        return is_replaced or has_room_again

    def initialise(self) -> None:
        """Create an empty catalogue if there is none: a full scan fills it."""
        try:
            self._catalog.initialise(str(self._tree.root), self._tree.layout)
        except PlotIndexError as error:
            log.debug("Cannot create the catalogue yet: %s", error)

    def _check_lock(self) -> None:
        try:
            if self._lock:
                self._lock.check()
        except StateLostError:
            self.is_state_lost = True
            raise

    def _has_live_indexer(self) -> bool:
        return any(beat.is_recent for beat in self._catalog.heartbeats())
