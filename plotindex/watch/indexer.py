"""The service: what may have changed is looked at, for months on end."""

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable

from plotindex.config import Polling, Settings
from plotindex.errors import CatalogError, PlotIndexError, RootLostError
from plotindex.storage import Catalog, IndexerStats, IndexUpdater
from plotindex.system import ABSENT_ERRNOS, SystemdNotifier, printable
from plotindex.tree import ScopeSet, Tree
from plotindex.watch.barriers import Barriers
from plotindex.watch.full_scan import FullScan, FullScanSchedule
from plotindex.watch.heartbeat import HeartbeatWriter
from plotindex.watch.path_errors import PathErrors
from plotindex.watch.polled_scopes import PolledScopes
from plotindex.watch.rolling_rescan import RollingRescan
from plotindex.watch.scheduler import FairScheduler
from plotindex.watch.silent_changes import SilentChanges
from plotindex.watch.watcher import Watcher
from plotindex.watch.watches import Watches

IDLE_SECONDS = 1.0
RETRY_SECONDS = 1.0
"""How long to wait before looking again for a root, a watch or a database that cannot be had."""
LISTEN_SECONDS = 10.0
"""How long everything is polled before events are asked for again, when none can be had."""
TIDY_SECONDS = 60.0
NAMES_SECONDS = 1.0
"""How often names are taken in for the search, while there are few; many are, whenever there is nothing else to do."""
BREATH_SECONDS = 0.01
"""Between two such steps, so that others come to their turns."""
SELF_TEST_SECONDS = 30.0
SILENT_SECONDS = 10.0
"""Without an answer to a self-test and any other event for so long, watching begins anew."""

log = logging.getLogger(__name__)


class StopRequested(Exception):  # noqa: N818 - no error: somebody asked
    """Raised between two steps when the service was asked to stop."""


class Indexer:
    """Keeps the catalogue of one root equal to its tree until it is asked to stop."""

    def __init__(
        self,
        tree: Tree,
        catalog: Catalog,
        settings: Settings,
        stop: threading.Event,
        *,
        notifier: SystemdNotifier | None = None,
        reload: Callable[[], Settings | None] = lambda: None,
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Create an indexer; `run` starts it.

        `reload` returns new settings, if any, and is called in each step. `report` receives the current problem, or
        an empty text, with each heartbeat, also while the database is unavailable.
        """
        self._tree = tree
        self._catalog = catalog
        self._stop = stop
        self._notifier = notifier or SystemdNotifier()
        self._reload = reload
        self._polling = Polling(settings.polling)
        self._polled = PolledScopes(tree, self._polling)
        barriers = settings.barrier_folder
        self._watcher = Watcher(tree, barriers, lambda: Watches(settings.max_watches, self._polled.covers))
        self._barriers = Barriers(barriers)
        self._turns = FairScheduler(tree, catalog, self._watcher)
        self._rescans = FullScanSchedule(tree, catalog, self._turns, self._watcher, settings.rescan_seconds)
        self._gaps = SilentChanges(tree, catalog, self._watcher, self._polled)
        parts = tree, catalog, self._turns, self._watcher, self._polled
        self._rolling = RollingRescan(*parts, poll_seconds=settings.poll_seconds, share=settings.rescan_share)
        self._intake = IndexUpdater(catalog)
        self._are_names_left = False
        self._listen_at = self._test_at = self._tidy_at = self._names_at = 0.0
        self._heartbeats = HeartbeatWriter(catalog, self._notifier, report)
        self._measured = IndexerStats()
        self._troubles = PathErrors()
        self._replaced: int | None = None

    def run(self) -> None:
        """Watch, then reconcile the whole root, then what changes, until the stop event is set."""
        try:
            while not self._stop.is_set():
                self._step()
        except StopRequested:
            pass
        finally:
            self._notifier.notify_stopping()
            self._turns.clear()
            self._rescans.close()
            self._watcher.stop()
            self._polled.close()
            self._say("stopped")
            log.info("Stopped.")

    def _step(self) -> None:
        try:
            self._apply(self._reload())
            self._check_database()
            self._stand()
            if self._is_blind:
                self._barriers.prepare()
            elif why := self._watcher.why_deaf():
                self._listen(why)
            changes = self._watcher.take(self._seconds_to_next())
            self._hear(changes.scopes, changes.barriers)
            self._owe(self._gaps.due(at_once=self._barriers.waits_for_names))
            self._go_on_with_rescan()
            if self._rescans.is_going_on:
                self._rolling.pause()
            else:
                self._owe(self._rolling.go_on())
            self._take_turns()
            self._barriers.answer(self._rescans.done, self._gaps.asked, self._gaps.next_asked)
            self._test_self()
            self._tidy()
            self._take_in_names()
            self._beat(self._standing())
        except RootLostError as error:
            self._endure("lost", str(error))
        except CatalogError as error:
            self._endure("blocked", str(error))
            self._begin_anew()
        except OSError as error:
            self._endure("blocked", f"System call failed: {error}; retrying.")

    def _apply(self, settings: Settings | None) -> None:
        """Apply the settings that can change without a restart."""
        if settings is not None:
            self._rescans.set_seconds(settings.rescan_seconds)
            self._rolling.poll_seconds, self._rolling.share = settings.poll_seconds, settings.rescan_share

    def _stand(self) -> None:
        """Where several indexers share the catalogue, be the one that looks at everything, or leave it to another."""
        if not self._catalog.database.is_shared:
            return
        before, elected = self._measured.elected, self._catalog.database.is_leader()
        self._measured.elected = self._rescans.is_elected = self._rolling.is_elected = elected
        if elected and before is False:
            log.info("Leadership acquired: this indexer now runs the periodic full scans.")
            self._rescans.owe()
        elif before and not elected:
            log.warning("Leadership lost: another indexer now runs the periodic full scans.")

    @property
    def _is_blind(self) -> bool:
        """Whether there are no events, for now or for good."""
        if self._polling is Polling.ALWAYS:
            return True
        return self._polled.blind is not None and time.monotonic() < self._listen_at

    def _listen(self, why: str) -> None:
        if self._watcher.is_started:
            log.warning("Watcher failed (%s); restarting with a full scan.", why)
            self._heartbeats.note_replaced()
        self._forget_all()
        try:
            self._barriers.prepare()
            self._watcher.start()
        except OSError as error:
            if error.errno in ABSENT_ERRNOS:
                lost = f"The root {printable(str(self._tree.root))} does not exist: mount it again."
                raise RootLostError(lost) from error
            self._polled.judge(f"inotify is unavailable: {error.strerror}")
            self._listen_at = time.monotonic() + LISTEN_SECONDS
        else:
            self._polled.judge()
        if self._heartbeats.state != "lost":
            self._beat("starting")

    def _forget_all(self) -> None:
        """Whatever waits is forgotten: everything is looked at instead."""
        self._turns.clear()
        self._barriers.forget()
        self._rescans.forget()
        self._rolling.forget()

    def _hear(self, scopes: ScopeSet, barriers: list[str]) -> None:
        """Let that wait which the watcher told of."""
        waiting = scopes.by_session()
        self._rescans.explain(scopes.paths())
        lost = waiting.pop("", None)
        if lost:
            self._rescans.owe()
        if lost or self._polled.everything:
            # What was lost may be a barrier: the folder says.
            barriers = sorted({*barriers, *self._barriers.listed()})
        self._turns.add(waiting)
        if barriers:
            self._owe(self._gaps.before_barrier(is_asked=self._barriers.asks_for_others(barriers)))
            self._barriers.meet(barriers, self._turns.targets(), self._rescans.owed)

    def _owe(self, paths: Iterable[str]) -> None:
        """Let scopes wait that no event told of; open barriers wait for them, too."""
        waiting = ScopeSet(paths).by_session()
        if waiting.pop("", None):
            self._rescans.owe()
        self._barriers.extend(self._turns.add(waiting), self._gaps.asked)

    def _go_on_with_rescan(self) -> None:
        if self._rescans.begin():
            self._barriers.meet(self._barriers.listed(), self._turns.targets(), self._rescans.owed)
        missed = self._rescans.missed
        rescan = self._rescans.go_on()
        if rescan is not None:
            self._conclude(rescan)
        plots, folders = self._rescans.missed or (0, 0)
        if self._rescans.missed is not missed and (plots or folders):
            self._measured.missed += plots + folders
            log.warning("The full scan found %d plots and %d folders missed by the watcher.", plots, folders)

    def _conclude(self, rescan: FullScan) -> None:
        """Everything was looked at."""
        self._gaps.doubt()
        report = rescan.report
        self._measured.rescan = round(time.monotonic() - rescan.began, 3)
        self._troubles.clear()
        self._troubles.add(report)
        if "" in report.unreadable:
            self._watcher.watches.close_root()
        self._heartbeats.note_reconciled()
        if not self._heartbeats.is_well:
            log.info(
                "Full scan finished in %.1f s: %d plots in %d sessions; %d added, %d changed, %d removed.",
                *(self._measured.rescan, report.plots, report.sessions),
                *(report.added, report.changed, report.removed),
            )
        self._heartbeats.trouble = self._gaps.closed
        self._say(self._standing(concluded=True))

    def _standing(self, *, concluded: bool = False) -> str:
        """The state, as long as nothing is wrong: what is polled may change at any moment."""
        if self._gaps.closed:
            if self._gaps.closed != self._heartbeats.trouble:
                self._heartbeats.trouble = self._gaps.closed
                log.error("%s", self._heartbeats.trouble)
            return "blocked"
        if concluded or self._heartbeats.is_well:
            return "watching" if not self._polled.scopes and self._rolling.is_fresh else "polling"
        return self._heartbeats.state

    def _take_turns(self) -> None:
        if self._turns:
            began, waited = time.monotonic(), len(self._turns)
            step = self._turns.step()
            # Of several that wait each has its part of the time.
            self._rolling.spend((time.monotonic() - began) / waited)
            self._owe(self._gaps.learn(step))
            self._measured.reconcile.observe(time.monotonic() - began)
            for report in (self._turns.take_report(), self._rolling.take_report()):
                if report.delay is not None:
                    self._measured.delay.add(report.delay)
                self._troubles.add(report)

    def _test_self(self) -> None:
        """Ask whether events still come; when nothing does, begin anew."""
        asked, now = self._barriers.asked_at, time.monotonic()
        if self._polled.blind or self._heartbeats.state == "starting":
            return
        if asked is None and now >= self._test_at:
            self._test_at = now + SELF_TEST_SECONDS
            self._barriers.ask_self()
        elif asked is not None and now - max(asked, self._watcher.read_at) > SILENT_SECONDS and not self._turns:
            self._listen("self-test timed out")

    def _tidy(self) -> None:
        """Forget old removals before there are very many."""
        if time.monotonic() >= self._tidy_at:
            self._tidy_at = time.monotonic() + TIDY_SECONDS
            if self._measured.elected is not False:
                with self._catalog.writing() as writer:
                    writer.trim_removals()
                self._catalog.delete_dead_indexers(socket.gethostname())
            self._measured.pinned = self._catalog.database.pinned_wal_bytes()

    def _take_in_names(self) -> None:
        """Let the search know new names, when nobody waits for anything else."""
        is_mine = self._measured.elected is not False
        if is_mine and not self._is_busy and time.monotonic() >= self._names_at:
            self._are_names_left = self._intake.step()
            self._names_at = time.monotonic() + (BREATH_SECONDS if self._are_names_left else NAMES_SECONDS)

    @property
    def _is_busy(self) -> bool:
        return bool(self._turns or self._rescans.is_going_on or self._barriers.waits_for_names)

    def _seconds_to_next(self) -> float:
        """How long there is nothing to do, unless something is told of."""
        if self._is_busy:
            return 0.0
        idle = BREATH_SECONDS if self._are_names_left else IDLE_SECONDS
        return min(idle, self._rescans.seconds_to_next, self._rolling.seconds_to_next)

    def _beat(self, state: str) -> None:
        if self._stop.is_set():
            raise StopRequested
        # Here alone: each step ends here, whatever became of it, and none that hangs does.
        self._notifier.notify_progress()
        if self._heartbeats.is_due(state):
            self._say(state)

    def _say(self, state: str) -> None:
        self._watcher.watches.read_limit()
        self._rolling.tell(self._measured)
        numbers = {
            "watched": len(self._watcher.watches),
            "watch_limit": self._watcher.watches.limit,
            "unwatched": self._watcher.watches.unwatched_count,
            "overflows": self._watcher.overflows,
            "pending": self._watcher.pending + self._turns.pending,
            "unreadable": len(self._troubles.unreadable),
            "odd": len(self._troubles.odd),
            "behind": self._behind(),
            "proven": self._barriers.proven,
            "polled": self._polled.described(),
            "missed": self._rescans.missed[0] if self._rescans.missed else None,
            "missed_folders": self._rescans.missed[1] if self._rescans.missed else 0,
            "measured": self._measured.dump(),
        }
        self._heartbeats.say(state, numbers)

    def _behind(self) -> float:
        """For how many seconds the oldest thing waits: a scope, a rescan that is owed, a self-test."""
        since = [moment for moment in (self._rescans.owed_since, self._barriers.asked_at) if moment]
        return max([self._turns.behind, *(time.monotonic() - moment for moment in since)])

    def _endure(self, state: str, trouble: str) -> None:
        """Say once what is wrong, wait, and look at everything again afterwards."""
        if trouble != self._heartbeats.trouble:
            log.error("%s", trouble)
            self._heartbeats.trouble = trouble
        self._forget_all()
        self._beat(state)
        self._stop.wait(RETRY_SECONDS)

    def _check_database(self) -> None:
        """Somebody may have deleted the database, or put another in its place: then everything is owed to that."""
        self._catalog.database.check_replaced()
        replaced = self._catalog.database.generation
        if self._replaced is None:
            if self._catalog.database.is_shared and not any(beat.is_recent for beat in self._catalog.heartbeats()):
                self._distrust_cursors()
        elif replaced != self._replaced:
            is_shared = self._catalog.database.is_shared
            what = "The database server restarted or was replaced" if is_shared else "The database was replaced"
            log.warning("%s; starting a full scan.", what)
            self._begin_anew()
            if is_shared:
                self._distrust_cursors()
            self._forget_all()
        self._replaced = replaced

    def _distrust_cursors(self) -> None:
        """A server that took the place of another, while nobody looked too, may not have had its last commits."""
        with self._catalog.writing() as writer:
            writer.expire_cursors(time.time_ns() // 1000)

    def _begin_anew(self) -> None:
        """The plots in the database are a cache: when it was deleted, there is a new one a moment later."""
        try:
            self._catalog.initialise(str(self._tree.root), self._tree.layout)
        except PlotIndexError as error:
            log.debug("Cannot create the catalogue yet: %s", error)
