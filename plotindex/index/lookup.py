"""A key becomes a copy: one look-up in the catalogue or, on a miss, a scan that heals it."""

import logging
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from plotindex.errors import CatalogError, DamagedDatabaseError, LockTimeoutError, RootLostError
from plotindex.index.indexer_lock import read_indexer_lock
from plotindex.index.reconcile import reconcile
from plotindex.index.report import Options
from plotindex.index.scan_limiter import ScanLimiter
from plotindex.storage import HEARTBEAT_SECONDS, Catalog, Heartbeat
from plotindex.tree import OpenPlot, Plot, PlotKey, Scope, Tree

ASKED_SECONDS = 1.0
"""How long what the catalogue says of itself is believed."""
HEAL_SECONDS = 0.05
"""How long a request waits for a turn to write; after that the indexer will do it."""

log = logging.getLogger(__name__)


class CacheStatus(StrEnum):
    """Where an answer came from, as Cache-Status says it (RFC 9211)."""

    HIT = "hit"
    UNWATCHED = "hit; detail=unwatched"
    MISS = "fwd=miss"
    STALE = "fwd=stale"


class LookupResult(NamedTuple):
    """A plot that is open for reading, or None when there is none; and who said so."""

    opened: OpenPlot | None
    cache_status: CacheStatus


class LookupObserver(NamedTuple):
    """Who is told how long each look-up and each scan took, in seconds."""

    on_lookup: Callable[[CacheStatus, float], None]
    on_scan: Callable[[float], None]


class Lookup:
    """Answers for one tree and its catalogue. Safe to share between threads."""

    def __init__(self, tree: Tree, catalog: Catalog, *, heal: bool = True, lock: Path | None = None) -> None:
        """`lock` is the lock file of the indexer, which says more of it than the catalogue."""
        self.tree = tree
        self.catalog = catalog
        self.observer: LookupObserver | None = None
        self._heals = heal
        self._lock = lock
        self._scans = ScanLimiter()
        self._heals_again = 0.0
        self._asked_at = -ASKED_SECONDS
        self._is_ours = False
        self._is_watched = False
        self._is_kept = False
        self._is_lost = False
        self._near: list[Heartbeat] = []
        self._trouble = self._unhealed = ""

    def open(self, session: str, filename: str, project: str | None = None) -> LookupResult:
        """Open the current copy of a key or, when a project is named, that project's copy.

        The caller closes the descriptor.

        Raises:
            ScansBusyError: it is not in the catalogue, and too many others are being looked for.
            RootLostError: it is not found, but the root is not there either.
            OSError: the plot is there but cannot be opened.
        """
        if self.observer is None:
            return self._open(session, filename, project)
        began = time.perf_counter()
        answer = self._open(session, filename, project)
        self.observer.on_lookup(answer.cache_status, time.perf_counter() - began)
        return answer

    def _open(self, session: str, filename: str, project: str | None) -> LookupResult:
        key = self.tree.layout.parse_key(session, filename)
        if key is None or (project is not None and not self.tree.layout.is_project(project)):
            return LookupResult(None, CacheStatus.MISS)
        self._ask_catalogue()
        row = self._row(key, project)
        if row is not None:
            opened = self.tree.open(key, row.project)
            if opened is not None:
                if opened.plot != row:
                    self._heal([row])
                return LookupResult(opened, self.hit_status)
        cache_status = CacheStatus.STALE if row else CacheStatus.MISS
        opened = self._open_first(key, self._find(key, project, row))
        opened = opened or self._open_first(key, self._find_again(key, project))
        if opened is None:
            self._require_root()
        return LookupResult(opened, cache_status)

    def _open_first(self, key: PlotKey, copies: Sequence[Plot]) -> OpenPlot | None:
        return next(filter(None, (self.tree.open(key, copy.project) for copy in copies)), None)

    def _require_root(self) -> None:
        """Nothing is absent for sure below a root that is not there."""
        self._ask_catalogue()
        if self._is_lost or not self.tree.exists():
            raise RootLostError("The plots cannot be seen now")

    def has_catalog(self) -> bool:
        """Whether there is a catalogue of this root to ask."""
        self._ask_catalogue()
        return self._is_ours

    def degraded_reason(self) -> str | None:
        """Why an answer may not be true now, or may be late; None when there is no reason. It names nothing."""
        self._ask_catalogue()
        if self._is_lost or not self.tree.exists():
            return "The root is not there"
        if not self._is_ours:
            return "There is no catalogue of this root that can be read: every answer comes from a scan"
        if not self.tree.can_enter():
            return "The root cannot be read by the server"
        indexer = read_indexer_lock(self._lock) if self._lock else None
        is_dead = indexer is not None and any(indexer.is_abandoned_by(beat.host, beat.pid) for beat in self._near)
        if self._is_kept and not is_dead:
            return None
        if indexer and indexer.is_held:
            return "An indexer runs, but cannot keep the catalogue up to date now: its log says why"
        return "No indexer keeps the catalogue up to date: answers may be older than the files"

    @property
    def hit_status(self) -> CacheStatus:
        """What an answer from the catalogue says of itself."""
        return CacheStatus.HIT if self._is_watched else CacheStatus.UNWATCHED

    def has_session(self, session: str) -> bool:
        """Whether there is such a session, with plots or without.

        Raises:
            RootLostError: it is not seen, but neither is the root.
            OSError: it cannot be looked at.
        """
        if self.tree.has_session(session):
            return True
        self._require_root()
        return False

    def scan_session(self, session: str) -> list[Plot]:
        """Every plot of a session by filename, by looking at all of it: for a list while there is no catalogue.

        Raises:
            ScansBusyError: too many others are being looked for.
            OSError: something could not be looked at.
        """
        with self._scans.slot(session):
            walk = self.tree.walk(Scope(session))
        for error in walk.unreadable.values():
            raise error
        return sorted(walk.plots, key=lambda plot: plot.filename.encode())

    def _ask_catalogue(self) -> None:
        """Once a second: is there a catalogue of this root, of this grammar, with an indexer that is heard?"""
        now = time.monotonic()
        if now - self._asked_at < ASKED_SECONDS:
            return
        try:
            self.catalog.database.check_replaced()
            self.catalog.database.require_schema()
            header, beats = self.catalog.header(), self.catalog.heartbeats()
        except CatalogError as error:
            self._do_without(error)
        else:
            self._is_ours = header.root == str(self.tree.root)
            if self._is_ours:
                self.catalog.database.mark_as_own()
            heard = [beat for beat in beats if beat.is_recent]
            states = {beat.state for beat in heard if beat.behind < HEARTBEAT_SECONDS}
            is_of_grammar = header.is_of(self.tree.layout)
            # One that has fallen silent may have seen what no other one sees: the writes of its own host.
            is_complete = all(map(_keeps_up, beats))
            self._is_watched = is_of_grammar and is_complete and "watching" in states
            self._is_kept = is_of_grammar and bool(states & {"watching", "polling"})
            self._is_lost = self._is_ours and bool(heard) and all(beat.state == "lost" for beat in heard)
            self._near = heard if all(beat.host == socket.gethostname() for beat in heard) else []
            self._asked_at = now

    def _do_without(self, error: CatalogError) -> None:
        """The tree still answers, as Cache-Status says; nobody waits for the catalogue again within a second."""
        if str(error) != self._trouble:
            # Once: a request a second would say it again.
            self._trouble = str(error)
            log.warning("Answers come from scans: %s", error)
        self._is_ours = self._is_watched = self._is_kept = self._is_lost = False
        self._asked_at = time.monotonic()
        if self._heals and isinstance(error, DamagedDatabaseError):
            # What only readers come upon, the indexer would not see for long; that there is none, it sees at once.
            with suppress(CatalogError):
                self.catalog.database.quarantine(HEAL_SECONDS)

    def _row(self, key: PlotKey, project: str | None) -> Plot | None:
        if not self._is_ours:
            return None
        try:
            return self.catalog.current(key) if project is None else self.catalog.copy(key, project)
        except CatalogError as error:
            self._do_without(error)
            return None

    def _find(self, key: PlotKey, project: str | None, row: Plot | None) -> Sequence[Plot]:
        if project is not None:
            plot = self.tree.stat_plot(key.session, project, key.filename)
            self._heal([plot or row])
            return [plot] if plot else []

        def scan() -> Sequence[Plot]:
            began = time.perf_counter()
            copies = self.tree.find(key)
            if self.observer is not None:
                self.observer.on_scan(time.perf_counter() - began)
            self._heal([row, *copies])
            return copies

        return self._scans.share(key, scan)

    def _find_again(self, key: PlotKey, project: str | None) -> Sequence[Plot]:
        """Look anew when there were copies a moment ago and none is where it was: a project was renamed, say."""
        return self._find(key, None, None) if project is None and self._scans.forget_found(key) else ()

    def _heal(self, plots: Sequence[Plot | None]) -> None:
        is_too_deep = self.tree.layout.is_too_deep
        paths = {plot.path for plot in plots if plot and not is_too_deep(plot.filename)}
        if not paths or not self._heals or not self._is_ours or time.monotonic() < self._heals_again:
            return
        try:
            reconcile(self.tree, self.catalog, paths, Options(timeout=HEAL_SECONDS))
        except (CatalogError, RootLostError) as error:
            if not isinstance(error, LockTimeoutError) and str(error) != self._unhealed:
                self._unhealed = str(error)
                log.warning("What scans find is left to the indexer: %s", error)
            self._heals_again = time.monotonic() + 1.0


def _keeps_up(beat: Heartbeat) -> bool:
    """Whether an indexer has stopped in order, or does what it is there for."""
    if beat.state in ("stopped", "starting"):
        return True
    return beat.is_recent and beat.behind < HEARTBEAT_SECONDS and beat.is_healthy
