"""The service: what may have changed is looked at, for months on end."""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from plotindex.barriers import Barriers
from plotindex.beneath import ABSENT
from plotindex.catalog import Catalog, Heartbeat
from plotindex.errors import CatalogError, PlotIndexError, RootLostError
from plotindex.gaps import Gaps
from plotindex.intake import Intake
from plotindex.layout import printable
from plotindex.measured import Measured
from plotindex.polling import Polled, Polling
from plotindex.rescan import Rescan, Rescans
from plotindex.scopes import Scopes
from plotindex.supervisor import Supervisor
from plotindex.tree import Tree
from plotindex.troubles import Troubles
from plotindex.turns import Turns
from plotindex.watcher import Watcher

HEARTBEAT_SECONDS = 3.0
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


@dataclass(frozen=True)
class Rhythm:
    """How often the indexer looks at what no event tells of. Seconds."""

    rescan: float = 3600
    poll: float = 30
    polling: Polling = Polling.AUTO


class Indexer:
    """Keeps the catalogue of one root equal to its tree until it is asked to stop."""

    def __init__(
        self,
        tree: Tree,
        catalog: Catalog,
        barriers: Path,
        rhythm: Rhythm,
        stop: threading.Event,
        *,
        supervisor: Supervisor | None = None,
        new_rhythm: Callable[[], Rhythm | None] = lambda: None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`barriers` is the folder in which `plotindex sync` asks; `new_rhythm` is asked for one in each step.

        `tell` is told what is wrong, also where the database cannot be.
        """
        self._tree = tree
        self._catalog = catalog
        self._rhythm = rhythm
        self._stop = stop
        self._supervisor = supervisor or Supervisor()
        self._new_rhythm = new_rhythm
        self._tell = tell
        self._watcher = Watcher(tree, barriers)
        self._barriers = Barriers(barriers)
        self._polled = Polled(tree, rhythm.polling)
        self._turns = Turns(tree, catalog, self._watcher)
        self._rescans = Rescans(tree, catalog, self._turns, self._watcher, rhythm.rescan)
        self._gaps = Gaps(tree, catalog, self._watcher, self._polled, rhythm.poll)
        self._intake = Intake(catalog)
        self._are_names_left = False
        self._listen_at = self._test_at = self._tidy_at = self._names_at = self._beat_at = 0.0
        self._state = Heartbeat(socket.gethostname(), os.getpid(), time.time(), 0.0, "starting")
        self._measured = Measured()
        self._troubles = Troubles()
        self._trouble = self._mute = ""
        self._replaced: int | None = None

    def run(self) -> None:
        """Watch, then reconcile the whole root, then what changes, until the stop event is set."""
        try:
            while not self._stop.is_set():
                self._step()
        except StopRequested:
            pass
        finally:
            self._supervisor.note_stop()
            self._turns.clear()
            self._watcher.stop()
            self._polled.close()
            self._say("stopped")
            log.info("Stopped.")

    def _step(self) -> None:
        try:
            self._adopt(self._new_rhythm())
            self._check_database()
            if self._is_blind:
                self._barriers.prepare()
            elif why := self._watcher.why_deaf():
                self._listen(why)
            changes = self._watcher.take(self._seconds_to_next())
            self._hear(changes.scopes, changes.barriers)
            self._owe(self._gaps.due(at_once=self._barriers.waits_for_names))
            self._go_on_with_rescan()
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
            self._endure("blocked", f"The system refuses what the indexer needs: {error}; it is tried again.")

    def _adopt(self, rhythm: Rhythm | None) -> None:
        """Look at what no event tells of as often as that says from now on; how it is polled stays."""
        if rhythm is not None:
            self._rescans.set_seconds(rhythm.rescan)
            self._gaps.poll_seconds = rhythm.poll

    @property
    def _is_blind(self) -> bool:
        """Whether there are no events, for now or for good."""
        if self._rhythm.polling is Polling.ALWAYS:
            return True
        return self._polled.blind is not None and time.monotonic() < self._listen_at

    def _listen(self, why: str) -> None:
        if self._watcher.is_started:
            log.warning("Watching was lost: %s; it begins anew and everything is looked at again.", why)
            self._state = self._state._replace(replaced=self._state.replaced + 1)
        self._forget_all()
        try:
            self._barriers.prepare()
            self._watcher.start()
        except OSError as error:
            if error.errno in ABSENT:
                lost = f"The root {printable(str(self._tree.root))} is not there: mount it again."
                raise RootLostError(lost) from error
            self._polled.judge(f"no events can be had: {error.strerror}")
            self._listen_at = time.monotonic() + LISTEN_SECONDS
        else:
            self._polled.judge()
        if self._state.state != "lost":
            self._beat("starting")

    def _forget_all(self) -> None:
        """Whatever waits is forgotten: everything is looked at instead."""
        self._turns.clear()
        self._barriers.forget()
        self._rescans.forget()

    def _hear(self, scopes: Scopes, barriers: list[str]) -> None:
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
            self._owe(self._gaps.before_barrier())
            if self._polled.everything and self._barriers.asks_for_others(barriers):
                self._rescans.owe()
            self._barriers.meet(barriers, self._turns.targets(), self._rescans.owed)

    def _owe(self, paths: Iterable[str]) -> None:
        """Let scopes wait that no event told of; open barriers wait for them, too."""
        waiting = Scopes(paths).by_session()
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
            log.warning("The rescan found %d plots and %d folders that the watcher had missed.", plots, folders)

    def _conclude(self, rescan: Rescan) -> None:
        """Everything was looked at."""
        self._gaps.doubt()
        report = rescan.report
        self._measured.rescan = round(time.monotonic() - rescan.began, 3)
        self._troubles.clear()
        self._troubles.add(report)
        if "" in report.unreadable:
            self._watcher.watches.refuse("", report.unreadable[""])
        self._state = self._state._replace(reconciled=time.time())
        if self._state.state not in ("watching", "polling"):
            log.info(
                "Everything was looked at in %.1f seconds: %d plots in %d sessions; %d added, %d changed, %d removed.",
                *(self._measured.rescan, report.plots, report.sessions),
                *(report.added, report.changed, report.removed),
            )
        self._trouble = self._gaps.closed
        self._say(self._standing(concluded=True))

    def _standing(self, *, concluded: bool = False) -> str:
        """The state, as long as nothing is wrong: what is polled may change at any moment."""
        if self._gaps.closed:
            if self._gaps.closed != self._trouble:
                self._trouble = self._gaps.closed
                log.error("%s", self._trouble)
            return "blocked"
        if concluded or self._state.state in ("watching", "polling"):
            return "polling" if self._polled.scopes else "watching"
        return self._state.state

    def _take_turns(self) -> None:
        if self._turns:
            began = time.monotonic()
            self._owe(self._gaps.learn(self._turns.step()))
            self._measured.reconcile.observe(time.monotonic() - began)
            report = self._turns.take_report()
            if report.delay is not None:
                self._measured.delay.add(report.delay)
            self._troubles.add(report)

    def _test_self(self) -> None:
        """Ask whether events still come; when nothing does, begin anew."""
        asked, now = self._barriers.asked_at, time.monotonic()
        if self._polled.blind or self._state.state == "starting":
            return
        if asked is None and now >= self._test_at:
            self._test_at = now + SELF_TEST_SECONDS
            self._barriers.ask_self()
        elif asked is not None and now - max(asked, self._watcher.read_at) > SILENT_SECONDS and not self._turns:
            self._listen("a self-test did not come back")

    def _tidy(self) -> None:
        """Forget old removals before there are very many."""
        if time.monotonic() >= self._tidy_at:
            self._tidy_at = time.monotonic() + TIDY_SECONDS
            with self._catalog.writing() as writer:
                writer.trim()
            self._measured.pinned = self._catalog.database.pinned_bytes()

    def _take_in_names(self) -> None:
        """Let the search know new names, when nobody waits for anything else."""
        if not self._is_busy and time.monotonic() >= self._names_at:
            self._are_names_left = self._intake.go_on()
            self._names_at = time.monotonic() + (BREATH_SECONDS if self._are_names_left else NAMES_SECONDS)

    @property
    def _is_busy(self) -> bool:
        return bool(self._turns or self._rescans.is_going_on or self._barriers.waits_for_names)

    def _seconds_to_next(self) -> float:
        """How long there is nothing to do, unless something is told of."""
        if self._is_busy:
            return 0.0
        idle = BREATH_SECONDS if self._are_names_left else IDLE_SECONDS
        return min(idle, self._rescans.seconds_to_next)

    def _beat(self, state: str) -> None:
        if self._stop.is_set():
            raise StopRequested
        # Here alone: each step ends here, whatever became of it, and none that hangs does.
        self._supervisor.note_progress()
        if state != self._state.state or time.monotonic() >= self._beat_at:
            self._say(state)

    def _say(self, state: str) -> None:
        """Store how the indexer is; not being able to is what makes readers call the catalogue unwatched."""
        self._beat_at = time.monotonic() + HEARTBEAT_SECONDS
        self._watcher.watches.read_limit()
        self._state = self._state._replace(
            state=state,
            heartbeat=time.time(),
            watched=len(self._watcher.watches),
            watch_limit=self._watcher.watches.limit,
            unwatched=self._watcher.watches.unwatched_count,
            overflows=self._watcher.overflows,
            pending=self._watcher.pending + self._turns.pending,
            unreadable=len(self._troubles.unreadable),
            odd=len(self._troubles.odd),
            behind=self._behind(),
            proven=self._barriers.proven,
            polled=self._polled.described(),
            missed=self._rescans.missed[0] if self._rescans.missed else None,
            missed_folders=self._rescans.missed[1] if self._rescans.missed else 0,
            measured=self._measured.dump(),
        )
        try:
            self._catalog.beat(self._state, timeout=RETRY_SECONDS)
            self._mute = ""
        except CatalogError as error:
            if str(error) not in (self._mute, self._trouble):
                log.warning("The heartbeat was not stored: %s", error)
            self._mute = str(error)
        self._tell(self._trouble or self._mute)
        if self._supervisor.listens:
            self._tell_supervisor()

    def _tell_supervisor(self) -> None:
        if self._state.state in ("watching", "polling"):
            self._supervisor.note_ready()
        status = self._trouble
        if not status:
            # While they cannot be had, what was said before stays.
            with suppress(CatalogError):
                sessions, plots = self._catalog.counts()
                watched = f"{self._state.state} {len(self._watcher.watches):,} folders"
                status = f"{watched}, {plots:,} plots in {sessions:,} sessions"
        if status:
            self._supervisor.say(status)

    def _behind(self) -> float:
        """For how many seconds the oldest thing waits: a scope, a rescan that is owed, a self-test."""
        since = [moment for moment in (self._rescans.owed_since, self._barriers.asked_at) if moment]
        return max([self._turns.behind, *(time.monotonic() - moment for moment in since)])

    def _endure(self, state: str, trouble: str) -> None:
        """Say once what is wrong, wait, and look at everything again afterwards."""
        if trouble != self._trouble:
            log.error("%s", trouble)
            self._trouble = trouble
        self._forget_all()
        self._beat(state)
        self._stop.wait(RETRY_SECONDS)

    def _check_database(self) -> None:
        """Somebody may have deleted the database, or put another in its place: then everything is owed to that."""
        self._catalog.database.check_file()
        replaced = self._catalog.database.replaced
        if self._replaced is not None and replaced != self._replaced:
            log.warning("The database is another file than before; everything is looked at again.")
            self._begin_anew()
            self._forget_all()
        self._replaced = replaced

    def _begin_anew(self) -> None:
        """The plots in the database are a cache: when it was deleted, there is a new one a moment later."""
        try:
            self._catalog.begin(str(self._tree.root), self._tree.layout)
        except PlotIndexError as error:
            log.debug("still without a catalogue: %s", error)
