"""The service: what may have changed is looked at, for months on end."""

import logging
import os
import socket
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from plotindex.barriers import Barriers
from plotindex.catalog import Catalog, Heartbeat
from plotindex.errors import CatalogError, RootLostError
from plotindex.layout import printable
from plotindex.links import Links
from plotindex.polling import Polled, Polling
from plotindex.rescan import Rescan
from plotindex.scopes import Scopes
from plotindex.tree import Tree
from plotindex.troubles import Troubles
from plotindex.turns import Turns
from plotindex.watcher import Watcher

HEARTBEAT_SECONDS = 3.0
IDLE_SECONDS = 1.0
RETRY_SECONDS = 1.0
"""How long to wait before looking again for a root, a watch or a database that cannot be had."""
UNWATCHED_SECONDS = 5.0
"""How often folders that are not watched are looked at, and tried again."""
UNWATCHED_PER_SECOND = 200
"""Very many of them are looked at less often, so that it costs a few percent of a core."""
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

    def __init__(self, tree: Tree, catalog: Catalog, barriers: Path, rhythm: Rhythm, stop: threading.Event) -> None:
        """`barriers` is the folder in which `plotindex sync` asks."""
        self._tree = tree
        self._catalog = catalog
        self._rhythm = rhythm
        self._stop = stop
        self._watcher = Watcher(tree, barriers)
        self._barriers = Barriers(barriers)
        self._polled = Polled(tree, rhythm.polling)
        self._turns = Turns(tree, catalog, self._watcher)
        self._links = Links()
        self._rescan: Rescan | None = None
        self._rescans_begun = 0
        self._rescans_done = 0
        self._rescan_owed = 0
        """The number of the rescan that makes up for events that were lost."""
        self._owed_since = 0.0
        self._due = {"rescan": 0.0, "poll": 0.0, "unwatched": 0.0, "self-test": 0.0, "links": 0.0, "beat": 0.0}
        self._state = Heartbeat(socket.gethostname(), os.getpid(), time.time(), 0.0, "starting")
        self._troubles = Troubles()
        self._trouble = ""
        self._replaced: int | None = None

    def run(self) -> None:
        """Watch, then reconcile the whole root, then what changes, until the stop event is set."""
        try:
            while not self._stop.is_set():
                self._step()
        except StopRequested:
            pass
        finally:
            self._turns.clear()
            self._watcher.stop()
            self._polled.close()
            self._say("stopped")
            log.info("Stopped.")

    def _step(self) -> None:
        try:
            self._check_database()
            if not self._is_blind and (why := self._watcher.why_deaf()):
                self._listen(why)
            changes = self._watcher.take(self._seconds_to_next())
            self._hear(changes.scopes, changes.barriers)
            self._look_after_the_unwatched()
            self._go_on_with_rescan()
            self._take_turns()
            self._barriers.answer(self._rescans_done if not self._links.unknown else -1)
            self._test_self()
            self._beat(self._state.state)
        except RootLostError as error:
            self._endure("lost", str(error))
        except CatalogError as error:
            self._endure("blocked", str(error))
            self._begin_anew()
        except OSError as error:
            self._endure("deaf", f"The root cannot be watched: {error.strerror}; it is tried again.")

    @property
    def _is_blind(self) -> bool:
        return self._rhythm.polling is Polling.ALWAYS

    def _listen(self, why: str) -> None:
        if self._watcher.is_started:
            log.warning("Watching was lost: %s; it begins anew and everything is looked at again.", why)
            self._state = self._state._replace(replaced=self._state.replaced + 1)
        self._beat("starting")
        self._forget_all()
        try:
            self._barriers.prepare()
            self._watcher.start()
        except FileNotFoundError as error:
            raise RootLostError(f"The root {printable(str(self._tree.root))} is not there: mount it again.") from error

    def _forget_all(self) -> None:
        """Whatever waits is forgotten: everything is looked at instead."""
        self._turns.clear()
        self._barriers.forget()
        self._rescan = None
        self._owe_rescan()

    def _owe_rescan(self) -> None:
        """Events were lost: a look at everything, begun from now on, makes up for them."""
        self._rescan_owed = self._rescans_begun + 1
        self._owed_since = self._owed_since or time.monotonic()
        self._due["rescan"] = 0.0

    def _hear(self, scopes: Scopes, barriers: list[str]) -> None:
        waiting = scopes.by_session()
        if waiting.pop("", None):
            self._owe_rescan()
            # What was lost may be a barrier: the folder says.
            barriers = sorted({*barriers, *self._barriers.listed()})
        if self._rescan is not None:
            self._rescan.explain(scopes.paths())
        self._turns.add(waiting)
        if barriers:
            self._look_at_unwatched()
            if self._polled.everything:
                self._owe_rescan()
            self._barriers.meet(barriers, self._turns.targets(), self._rescan_owed)

    def _look_after_the_unwatched(self) -> None:
        """Let that wait for a look which no event tells of."""
        mounted = [scope for scope in self._polled.look() if not self._is_blind]
        if "" in mounted:
            self._owe_rescan()
        self._add(mounted)
        if self._is_due("poll", self._rhythm.poll) and self._polled.scopes:
            if self._polled.everything:
                self._due["rescan"] = 0.0
            self._add(self._polled.scopes)
        unwatched = len(self._watcher.watches.unwatched)
        if unwatched and self._is_due("unwatched", max(UNWATCHED_SECONDS, unwatched / UNWATCHED_PER_SECOND)):
            self._look_at_unwatched()
        if self._links.unknown and (len(self._barriers) or self._is_due("links", RETRY_SECONDS)):
            began = time.monotonic()
            self._add(self._links.learn(self._catalog.plots_of_inodes(self._links.unknown)))
            self._due["links"] = time.monotonic() + max(RETRY_SECONDS, 20 * (time.monotonic() - began))
        if self._is_blind or self._polled.everything:
            self._hear(Scopes(), self._barriers.listed())

    def _look_at_unwatched(self) -> None:
        if "" in self._watcher.watches.unwatched:
            self._owe_rescan()
        self._add(self._watcher.watches.unwatched)

    def _add(self, paths: Iterable[str]) -> None:
        """Let scopes wait that were not told of by events; open barriers wait for them."""
        waiting = Scopes(paths).by_session()
        waiting.pop("", None)
        self._barriers.extend(self._turns.add(waiting))

    def _go_on_with_rescan(self) -> None:
        if self._rescan is None:
            if not self._is_due("rescan", self._rhythm.rescan):
                return
            self._rescans_begun += 1
            self._rescan = Rescan(self._tree, self._catalog, self._turns, self._watcher)
            if self._rescans_begun == self._rescan_owed:
                self._barriers.meet(self._barriers.listed(), self._turns.targets(), self._rescan_owed)
        was_done = self._rescan.ended is not None
        self._rescan.go_on()
        if self._rescan.ended is not None:
            if not was_done:
                self._conclude(self._rescan)
            self._count_missed(self._rescan)

    def _conclude(self, rescan: Rescan) -> None:
        """Everything was looked at."""
        self._rescans_done = self._rescans_begun
        if self._rescans_done >= self._rescan_owed:
            self._owed_since = 0.0
        self._links.ask_all()
        report = rescan.report
        if self._rescans_done == self._rescan_owed:
            # After events were lost, or before any came, differences are no news: they are not counted.
            self._rescan = None
        self._troubles.clear()
        self._troubles.add(report)
        if "" in report.unreadable:
            self._watcher.watches.unwatched[""] = report.unreadable[""]
        self._state = self._state._replace(reconciled=time.time())
        if self._state.state not in ("watching", "polling"):
            log.info(
                "Everything was looked at in %.1f seconds: %d plots in %d sessions; %d added, %d changed, %d removed.",
                *(time.monotonic() - rescan.began, report.plots, report.sessions),
                *(report.added, report.changed, report.removed),
            )
        self._trouble = ""
        self._say("polling" if self._polled.scopes else "watching")

    def _count_missed(self, rescan: Rescan) -> None:
        missed = rescan.missed() if self._rescan is not None else None
        if missed is None:
            return
        self._rescan = None
        plots, folders = missed if not self._polled.everything else (0, 0)
        self._state = self._state._replace(missed=plots, missed_folders=folders)
        if plots or folders:
            log.warning("The rescan found %d plots and %d folders that the watcher had missed.", plots, folders)
            self._say(self._state.state)

    def _take_turns(self) -> None:
        if not self._turns:
            return
        step = self._turns.step()
        self._links.see(step.linked_anew, ask=True)
        self._links.see(step.linked, ask=False)
        self._add(self._links.affected(step.changes))
        self._troubles.add(self._turns.take_report())

    def _test_self(self) -> None:
        """Ask whether events still come; when nothing does, begin anew."""
        asked, now = self._barriers.asked_at, time.monotonic()
        if self._is_blind or self._state.state == "starting":
            return
        if asked is None and self._is_due("self-test", SELF_TEST_SECONDS):
            self._barriers.ask_self()
        elif asked is not None and now - max(asked, self._watcher.read_at) > SILENT_SECONDS and not self._turns:
            self._listen("a self-test did not come back")

    def _is_due(self, what: str, seconds: float) -> bool:
        """Whether that is due; then it is due again so many seconds from now."""
        now = time.monotonic()
        if now < self._due[what]:
            return False
        self._due[what] = now + seconds
        return True

    def _seconds_to_next(self) -> float:
        """How long there is nothing to do, unless something is told of."""
        is_busy = self._turns or (self._rescan is not None and self._rescan.ended is None)
        if is_busy or (self._links.unknown and len(self._barriers)):
            return 0.0
        return max(0.0, min(IDLE_SECONDS, self._due["rescan"] - time.monotonic())) if self._rescan is None else 0.1

    def _beat(self, state: str) -> None:
        if self._stop.is_set():
            raise StopRequested
        if state != self._state.state or time.monotonic() >= self._due["beat"]:
            self._say(state)

    def _say(self, state: str) -> None:
        """Store how the indexer is; not being able to is what makes readers call the catalogue unwatched."""
        self._due["beat"] = time.monotonic() + HEARTBEAT_SECONDS
        self._watcher.watches.read_limit()
        self._state = self._state._replace(
            state=state,
            heartbeat=time.time(),
            watched=len(self._watcher.watches),
            watch_limit=self._watcher.watches.limit,
            unwatched=len(self._watcher.watches.unwatched),
            overflows=self._watcher.overflows,
            pending=self._watcher.pending + self._turns.pending,
            unreadable=len(self._troubles.unreadable),
            odd=len(self._troubles.odd),
            behind=self._behind(),
            proven=self._barriers.proven,
            polled=self._polled.described(),
        )
        try:
            self._catalog.beat(self._state, timeout=RETRY_SECONDS)
        except CatalogError as error:
            log.warning("The heartbeat was not stored: %s", error)

    def _behind(self) -> float:
        """For how many seconds the oldest thing waits: a scope, a rescan that is owed, a self-test."""
        since = [moment for moment in (self._owed_since, self._barriers.asked_at) if moment]
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
        except CatalogError as error:
            log.debug("still without a catalogue: %s", error)
