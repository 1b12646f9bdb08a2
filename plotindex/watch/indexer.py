"""The indexer service: keeps the catalogue equal to the tree."""

import logging
import time
from collections.abc import Callable, Iterable, Sequence

from plotindex.config import Polling, Settings
from plotindex.errors import CatalogError, RootLostError
from plotindex.index import IndexerLock
from plotindex.storage import Catalog, IndexerStats
from plotindex.system import ABSENT_ERRNOS, StopRequest, SystemdNotifier, make_private_folder, printable
from plotindex.tree import ScopeSet, Tree
from plotindex.watch.background_process import BackgroundProcess
from plotindex.watch.barriers import Barriers
from plotindex.watch.catalog_recovery import CatalogRecovery
from plotindex.watch.changes import Changes
from plotindex.watch.delays import delay_of_others, longest_delay
from plotindex.watch.full_scan import FullScan, FullScanSchedule
from plotindex.watch.heartbeat import HeartbeatWriter
from plotindex.watch.leader_role import Leadership
from plotindex.watch.maintenance import Maintenance
from plotindex.watch.path_errors import PathErrors
from plotindex.watch.polled_scopes import PolledScopes
from plotindex.watch.rolling_rescan import RollingRescan
from plotindex.watch.scheduler import FairScheduler, take_report
from plotindex.watch.self_test import SelfTest
from plotindex.watch.silent_changes import SilentChanges
from plotindex.watch.watched_folders import Watches
from plotindex.watch.watcher import Watcher

IDLE_SECONDS = 1.0
RETRY_SECONDS = 1.0
"""Pause before a retry while the root, the database or a system call fails."""
RETRY_INOTIFY_SECONDS = 10.0
"""How long everything is polled before inotify is tried again."""

log = logging.getLogger(__name__)


class StopRequested(Exception):  # noqa: N818 - not an error
    """Raised between two steps when the service should stop."""


class Indexer:
    """Indexes one root until it is told to stop."""

    def __init__(
        self,
        tree: Tree,
        catalog: Catalog,
        settings: Settings,
        stop: StopRequest,
        *,
        notifier: SystemdNotifier | None = None,
        reload: Callable[[], Settings | None] = lambda: None,
        lock: IndexerLock | None = None,
        processes: Sequence[BackgroundProcess] = (),
    ) -> None:
        """`reload` returns new settings, if any, in each step; `lock` receives the problem with each heartbeat."""
        self._tree = tree
        self._stop = stop
        self._notifier = notifier or SystemdNotifier()
        self._reload = reload
        self._polled = PolledScopes(tree, Polling(settings.polling))
        self._barriers = Barriers(settings.barrier_folder)
        self._watcher = Watcher(tree, self._barriers.folder, lambda: Watches(settings.max_watches, self._polled.covers))
        self._leadership = Leadership(catalog.database)
        self._recovery = CatalogRecovery(tree, catalog, lock)
        self._maintenance = Maintenance(catalog, self._leadership, processes)
        self._scheduler = FairScheduler(tree, catalog, self._watcher)
        self._silent = SilentChanges(self._scheduler, self._polled)
        self._full_scans = FullScanSchedule(self._scheduler, self._leadership, settings.rescan_seconds)
        self._rolling = RollingRescan(self._scheduler, self._polled, self._leadership, settings)
        self._retry_inotify_at = float("inf") if self._polled.no_events else 0.0
        self._self_test = SelfTest(self._barriers, self._watcher)
        self._heartbeats = HeartbeatWriter(catalog, self._notifier, lock.report if lock else lambda _: None)
        self._stats = IndexerStats()
        self._path_errors = PathErrors()

    def run(self) -> None:
        """Index until the stop event is set. Raises StateLostError if the state folder was deleted or replaced."""
        try:
            while not self._stop.is_set():
                self._step()
        except StopRequested:
            pass
        finally:
            self._notifier.notify_stopping()
            self._maintenance.close()
            self._scheduler.clear()
            self._full_scans.close()
            self._watcher.stop()
            self._polled.close()
            if not self._recovery.is_state_lost:
                self._write_heartbeat("stopped")
            log.info("Stopped.")

    def _step(self) -> None:
        try:
            if settings := self._reload():
                self._full_scans.set_interval(settings.rescan_seconds)
                self._rolling.settings = settings
                self._maintenance.reload(settings)
            self._check_catalog()
            if self._leadership.check():
                self._full_scans.require()
            self._stats.elected = self._leadership.elected
            self._check_watcher()
            self._enqueue(self._watcher.take(self._seconds_to_next()))
            self._schedule(self._silent.due(is_awaited=self._barriers.await_query))
            self._step_full_scan()
            if self._full_scans.is_running:
                self._rolling.pause()
            else:
                self._schedule(self._rolling.step())
            self._scheduler.widen()
            if self._scheduler:
                self._reconcile()
            if self._barriers.are_pending:
                self._check_catalog()
            if not self._recovery.space_problem:
                self._barriers.remove_done(self._full_scans.completed, self._silent.queries, self._silent.next_query)
            self._run_self_test()
            self._maintenance.step(self._stats, is_busy=self._is_busy or self._recovery.is_short_of_space)
            self._finish_step(self._state())
        except RootLostError as error:
            self._back_off("lost", str(error))
        except CatalogError as error:
            self._back_off("blocked", str(error))
            self._recovery.initialise()
        except OSError as error:
            self._back_off("blocked", f"System call failed: {error}; retrying.")

    def _check_catalog(self) -> None:
        """Start again with a full scan if the database was replaced: others cannot read what was written."""
        if self._recovery.check():
            self._reset()
            self._finish_step("starting")

    def _check_watcher(self) -> None:
        """Restart the watcher if it failed, or after a while without inotify."""
        if self._polled.no_events and time.monotonic() < self._retry_inotify_at:
            make_private_folder(self._barriers.folder)
        elif failure := self._watcher.failure():
            self._restart_watcher(failure)

    def _restart_watcher(self, failure: str) -> None:
        if self._watcher.is_started:
            log.warning("Watcher failed (%s); restarting with a full scan.", failure)
            self._heartbeats.count_restart()
        self._reset()
        try:
            make_private_folder(self._barriers.folder)
            self._watcher.start()
        except OSError as error:
            if error.errno in ABSENT_ERRNOS:
                lost = f"The root {printable(str(self._tree.root))} is missing: mount it again."
                raise RootLostError(lost) from error
            self._polled.update(f"inotify is unavailable: {error.strerror}")
            self._retry_inotify_at = time.monotonic() + RETRY_INOTIFY_SECONDS
        else:
            self._polled.update()
        if self._heartbeats.last.state != "lost":
            self._finish_step("starting")

    def _reset(self) -> None:
        """Discard all queued scopes and require a full scan."""
        self._scheduler.clear()
        self._barriers.reset()
        self._full_scans.restart()
        self._rolling.reset()

    def _enqueue(self, changes: Changes) -> None:
        """Queue the scopes and barriers reported by the watcher."""
        scopes, barriers = changes.scopes.by_session(), changes.barriers
        self._full_scans.add_reported(changes.scopes.paths())
        has_lost_events = bool(scopes.pop("", None))
        if has_lost_events:
            self._full_scans.require()
        if has_lost_events or self._polled.everything:
            barriers = sorted({*barriers, *self._barriers.unreported()})
        self._scheduler.add(scopes)
        if barriers:
            self._schedule(self._silent.before_barrier(is_external=self._barriers.has_external(barriers)))
            self._barriers.add(barriers, self._scheduler.tickets(), self._full_scans.required)

    def _schedule(self, paths: Iterable[str]) -> None:
        """Queue scopes that no event reported. Barriers that have arrived wait for them too."""
        scopes = ScopeSet(paths).by_session()
        if scopes.pop("", None):
            self._full_scans.require()
        self._barriers.extend(self._scheduler.add(scopes), self._silent.queries)

    def _step_full_scan(self) -> None:
        if self._full_scans.start_if_due():
            self._barriers.add(self._barriers.unreported(), self._scheduler.tickets(), self._full_scans.required)
        if scan := self._full_scans.step():
            self._finish_full_scan(scan)

    def _finish_full_scan(self, scan: FullScan) -> None:
        self._silent.finish_full_scan()
        report = scan.report
        self._stats.rescan = round(time.monotonic() - scan.started, 3)
        self._stats.ignored = report.ignored
        self._path_errors.clear()
        self._path_errors.add(report)
        if "" in report.unreadable:
            self._watcher.watches.snapshots.commit("", ("",), ("",))
        self._heartbeats.record_full_scan()
        if not self._heartbeats.last.is_healthy:
            log.info("Full scan finished in %.1f s: %s.", self._stats.rescan, report.describe())
        self._heartbeats.problem = self._silent.root_problem or self._recovery.space_problem
        self._write_heartbeat(self._state(is_scanned=True))

    def _reconcile(self) -> None:
        started, waiting = time.monotonic(), len(self._scheduler)
        result = self._scheduler.step()
        # The waiting sessions share the time equally.
        self._rolling.charge((time.monotonic() - started) / waiting)
        self._schedule(self._silent.add(result))
        self._stats.reconcile.observe(time.monotonic() - started)
        for report in map(take_report, (self._scheduler.report, self._rolling.report)):
            if report.delay is not None:
                self._stats.delay.add(report.delay)
            self._path_errors.add(report)

    def _run_self_test(self) -> None:
        is_off = self._recovery.space_problem or self._heartbeats.last.state == "starting"
        if self._polled.no_events:
            self._self_test.problem = ""
        elif not is_off and self._self_test.step(is_busy=self._is_busy or self._full_scans.is_required):
            self._restart_watcher("self-test timed out")

    @property
    def _is_busy(self) -> bool:
        return bool(self._scheduler or self._full_scans.is_running or self._barriers.await_query)

    def _seconds_to_next(self) -> float:
        """How long to wait for changes."""
        if self._is_busy:
            return 0.0
        return min(
            IDLE_SECONDS, *(part.seconds_to_next for part in (self._maintenance, self._full_scans, self._rolling))
        )

    def _state(self, *, is_scanned: bool = False) -> str:
        """The state for the heartbeat; `is_scanned` right after a full scan."""
        if problem := self._silent.root_problem or self._recovery.space_problem:
            self._log_problem(problem)
            return "blocked"
        if is_scanned or self._heartbeats.last.is_healthy:
            return "watching" if not self._polled.scopes and self._rolling.is_fresh else "polling"
        return self._heartbeats.last.state

    def _log_problem(self, problem: str) -> None:
        if problem != self._heartbeats.problem:
            log.error("%s", problem)
            self._heartbeats.problem = problem

    def _back_off(self, state: str, problem: str) -> None:
        """Report a problem, then retry after a pause with a full scan."""
        self._log_problem(problem)
        self._reset()
        self._finish_step(state)
        self._stop.wait(RETRY_SECONDS)

    def _finish_step(self, state: str) -> None:
        if self._stop.is_set():
            raise StopRequested
        # Only here: every step that does not hang ends here, whatever its result.
        self._notifier.notify_progress()
        if self._heartbeats.is_due(state):
            self._write_heartbeat(state)

    def _write_heartbeat(self, state: str) -> None:
        watches, missed = self._watcher.watches, self._full_scans.missed
        watches.read_limit()
        waiting = self._scheduler, self._full_scans, self._barriers
        self._stats.others_behind, self._stats.busy = delay_of_others(*waiting), self._scheduler.slowest
        self._rolling.fill(self._stats)
        self._stats.missed = self._full_scans.missed_total
        heartbeat = self._heartbeats.last._replace(
            state=state,
            watched=len(watches),
            watch_limit=watches.limit,
            unwatched=watches.snapshots.unwatched,
            overflows=self._watcher.overflows,
            pending=self._watcher.pending + self._scheduler.pending,
            unreadable=len(self._path_errors.unreadable),
            odd=len(self._path_errors.unsupported),
            behind=longest_delay(*waiting),
            proven=self._barriers.self_test_passed,
            polled=self._polled.describe(),
            missed=missed[0] if missed else None,
            missed_folders=missed[1] if missed else 0,
            measured=self._stats.dump(),
        )
        self._heartbeats.write(heartbeat, self._self_test.problem)
