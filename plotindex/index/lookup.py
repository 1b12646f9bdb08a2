"""Find the file of a key: in the catalogue or, on a miss, by a scan that heals the catalogue."""

import logging
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, TypeVar

from plotindex.errors import CatalogError, DamagedDatabaseError, LockTimeoutError, RootLostError
from plotindex.index.catalog_state import CatalogState, read_catalog_state
from plotindex.index.indexer_lock import read_indexer_lock
from plotindex.index.reconcile import reconcile
from plotindex.index.report import Options
from plotindex.index.scan_limiter import ScanLimiter
from plotindex.storage import Catalog
from plotindex.system import printable
from plotindex.tree import OpenPlot, Plot, PlotKey, Scanner, Scope, Tree

STATE_SECONDS = 1.0
"""How long the state of the catalogue is cached."""
HEAL_LOCK_SECONDS = 0.05
"""How long a request waits for the write lock to heal a row; the indexer will do it otherwise."""
HEAL_RETRY_SECONDS = 1.0

log = logging.getLogger(__name__)

T = TypeVar("T")


class CacheStatus(StrEnum):
    """Where an answer came from: parameters of the Cache-Status header (RFC 9211)."""

    HIT = "hit"
    UNWATCHED = "hit; detail=unwatched"
    MISS = "fwd=miss"
    STALE = "fwd=stale"


class LookupResult(NamedTuple):
    """A plot open for reading, or None if there is none, and where the answer came from."""

    opened: OpenPlot | None
    cache_status: CacheStatus


class LookupObserver(NamedTuple):
    """Called with the seconds that each lookup and each scan took."""

    on_lookup: Callable[[CacheStatus, float], None]
    on_scan: Callable[[float], None]


class Lookup:
    """Lookups in one tree and its catalogue. Thread-safe."""

    def __init__(
        self,
        tree: Tree,
        catalog: Catalog,
        *,
        heal: bool = True,
        lock: Path | None = None,
        scanner: Scanner | None = None,
    ) -> None:
        """`lock` is the indexer's lock file: it shows a dead indexer at once. Without `scanner` this process scans."""
        self.tree = tree
        self.catalog = catalog
        self.observer: LookupObserver | None = None
        self._can_heal = heal
        self._lock = lock
        self._scans = ScanLimiter()
        self._scanner = scanner or tree
        self._state = CatalogState()
        self._state_read_at = -STATE_SECONDS
        self._is_catalog_missing, self._heal_not_before = False, 0.0
        self._last_error = self._last_heal_error = self._root_problem = ""

    def open(self, session: str, filename: str, project: str | None = None) -> LookupResult:
        """Open the current copy of a key, or the given project's copy.

        The caller closes the descriptor.

        Raises:
            ScansBusyError: the key needs a scan, and too many are running.
            RootLostError: the plot is not found, and the root is missing.
            OSError: the plot exists but cannot be opened.
        """
        started = time.perf_counter()
        result = self._open(session, filename, project)
        self.observe(result.cache_status, time.perf_counter() - started)
        return result

    def _open(self, session: str, filename: str, project: str | None) -> LookupResult:
        key = self.tree.layout.parse_key(session, filename)
        if key is None or (project is not None and not self.tree.layout.can_hold(project, filename)):
            return LookupResult(None, CacheStatus.MISS)
        self._refresh_state()
        row = self._read_row(key, project)
        if row is not None:
            opened = self.tree.open(key, row.project)
            if opened is not None:
                if opened.plot != row:
                    self._heal([row])
                return LookupResult(opened, self.hit_status)
        cache_status = CacheStatus.STALE if row else CacheStatus.MISS
        opened = self._open_first(key, self._scan(key, project, row))
        opened = opened or self._open_first(key, self._scan_again(key, project))
        if opened is None:
            self._check_root()
        return LookupResult(opened, cache_status)

    def open_hit(self, session: str, filename: str, project: str | None = None) -> OpenPlot | None:
        """The plot that `open` would return, if the cached state is fresh and the row matches the file.

        None otherwise. Never scans, heals, writes or waits for a lock; does not call the observer.
        """
        key = self.tree.layout.parse_key(session, filename)
        is_fresh = time.monotonic() - self._state_read_at < STATE_SECONDS
        if not is_fresh or key is None or (project is not None and not self.tree.layout.can_hold(project, filename)):
            return None
        row = self._read_row(key, project)
        opened = self.tree.open(key, row.project) if row is not None else None
        if opened is None:
            return None
        if opened.plot != row:
            os.close(opened.fd)
            return None
        return opened

    def observe(self, cache_status: CacheStatus, seconds: float) -> None:
        """Report a lookup to the observer."""
        if self.observer is not None:
            self.observer.on_lookup(cache_status, seconds)

    def has_catalog(self) -> bool:
        """Whether there is a readable catalogue of this root."""
        self._refresh_state()
        return self._state.is_usable

    def read(self, query: Callable[[], T]) -> T | None:
        """The result of a query of the catalogue; None if it cannot be read now, so that a scan must answer."""
        if not self.has_catalog():
            return None
        try:
            return query()
        except CatalogError as error:
            self._fall_back_to_scans(error)
            return None

    @property
    def hit_status(self) -> CacheStatus:
        """The status of an answer from the catalogue."""
        return CacheStatus.HIT if self._state.is_watched else CacheStatus.UNWATCHED

    def degraded_reason(self) -> str | None:
        """Why answers may be outdated or slow, or None. Public: names no path, session or host."""
        self._refresh_state()
        if self._is_root_lost():
            return "The root is missing"
        if not self._state.is_usable:
            return "No readable catalogue of this root: every request scans the disk"
        if not self.tree.can_enter():
            return "The server cannot read the root"
        indexer = read_indexer_lock(self._lock) if self._lock else None
        is_dead = indexer is not None and any(
            indexer.is_abandoned_by(heartbeat.host, heartbeat.pid) for heartbeat in self._state.local_indexers
        )
        if self._state.is_maintained and not is_dead:
            return None
        if indexer and indexer.is_held:
            return "The indexer runs, but cannot keep the catalogue up to date: see its log"
        return "No indexer is running: answers may be outdated"

    def has_session(self, session: str) -> bool:
        """Whether the session exists, with or without plots.

        Raises:
            RootLostError: it is not found, and the root is missing.
            OSError: it cannot be read.
        """
        if self.tree.has_session(session):
            return True
        self._check_root()
        return False

    def scan_session(self, session: str) -> list[Plot]:
        """Every plot of a session by filename, read from disk: for lists without a catalogue.

        Raises:
            ScansBusyError: too many scans are running.
            OSError: a folder or file cannot be read.
        """
        with self._scans.slot(session):
            walk = self._scanner.walk(Scope(session))
        for error in walk.unreadable.values():
            raise error
        return sorted(walk.plots, key=lambda plot: plot.filename.encode())

    def _open_first(self, key: PlotKey, copies: Sequence[Plot]) -> OpenPlot | None:
        return next(filter(None, (self.tree.open(key, copy.project) for copy in copies)), None)

    def _check_root(self) -> None:
        """Raise RootLostError if the root is missing: its plots may still exist."""
        self._refresh_state()
        if self._is_root_lost():
            raise RootLostError("The plot folder is unavailable")

    def _is_root_lost(self) -> bool:
        return self._state.is_root_lost or not self.tree.exists()

    def report_root(self) -> None:
        """Log once that the root is missing, and once that it is available again."""
        problem = self._find_root_problem()
        if problem == self._root_problem:
            return
        self._root_problem = problem
        log.warning("The root %s %s", printable(str(self.tree.root)), problem or "is available again.")

    def _find_root_problem(self) -> str:
        try:
            if not self.tree.exists():
                return "is missing, so no plot is found: mount or create it, or set another root."
        except OSError as error:
            return f"cannot be read ({error.strerror}): make its parent folders searchable for this user."
        if self._state.is_root_lost:
            return "is missing, as its indexer reports: mount it again, or see `plotindex status`."
        return ""

    def _refresh_state(self) -> None:
        now = time.monotonic()
        is_new = self._is_catalog_missing and self.catalog.database.exists()
        if now - self._state_read_at < STATE_SECONDS and not is_new:
            return
        try:
            self._state = read_catalog_state(self.tree, self.catalog)
            self._state_read_at = now
            self._is_catalog_missing = False
        except CatalogError as error:
            self._fall_back_to_scans(error)
        self.report_root()

    def _fall_back_to_scans(self, error: CatalogError) -> None:
        """Answer without the catalogue until its state is read again."""
        if str(error) != self._last_error:
            self._last_error = str(error)
            log.warning("Every request scans the disk: %s", error)
        self._state = CatalogState()
        self._state_read_at = time.monotonic()
        self._is_catalog_missing = not self.catalog.database.exists()
        if self._can_heal and isinstance(error, DamagedDatabaseError):
            # The indexer may miss damage that only readers hit; it detects a missing catalogue itself.
            with suppress(CatalogError):
                self.catalog.database.quarantine(HEAL_LOCK_SECONDS)

    def _read_row(self, key: PlotKey, project: str | None) -> Plot | None:
        if not self._state.is_usable:
            return None
        try:
            return self.catalog.current(key) if project is None else self.catalog.copy(key, project)
        except CatalogError as error:
            self._fall_back_to_scans(error)
            return None

    def _scan(self, key: PlotKey, project: str | None, row: Plot | None) -> Sequence[Plot]:
        """The copies of a key on disk, the current one first, or the project's copy; heals them and the stale row."""
        if project is not None:
            plot = self.tree.stat_plot(key.session, project, key.filename)
            self._heal([plot or row])
            return [plot] if plot else []

        def scan() -> Sequence[Plot]:
            started = time.perf_counter()
            copies = self._scanner.find(key)
            if self.observer is not None:
                self.observer.on_scan(time.perf_counter() - started)
            self._heal([row, *copies])
            return copies

        return self._scans.run(key, scan)

    def _scan_again(self, key: PlotKey, project: str | None) -> Sequence[Plot]:
        """Scan again if a cached scan named copies that are gone: their project was renamed, for example."""
        return self._scan(key, None, None) if project is None and self._scans.discard_found(key) else ()

    def _heal(self, plots: Sequence[Plot | None]) -> None:
        """Reconcile these plots, unless the catalogue is locked or a recent write failed."""
        is_beyond_limits = self.tree.layout.is_beyond_limits
        paths = {plot.path for plot in plots if plot and not is_beyond_limits(plot.filename)}
        if not paths or not self._can_heal or not self._state.is_usable or time.monotonic() < self._heal_not_before:
            return
        try:
            reconcile(self.tree, self.catalog, paths, Options(timeout=HEAL_LOCK_SECONDS))
        except (CatalogError, RootLostError) as error:
            if not isinstance(error, LockTimeoutError) and str(error) != self._last_heal_error:
                self._last_heal_error = str(error)
                log.warning("Cannot update the catalogue after a scan, left to the indexer: %s", error)
            self._heal_not_before = time.monotonic() + HEAL_RETRY_SECONDS
