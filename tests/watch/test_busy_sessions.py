"""A session with more changes than others: it is late alone, and named."""

import os
import time
from pathlib import Path

import pytest

from plotindex.config.settings import Settings
from plotindex.index.catalog_state import read_catalog_state
from plotindex.index.report import Report
from plotindex.ops.status import read_status
from plotindex.storage.catalog import Catalog
from plotindex.storage.heartbeat import Heartbeat
from plotindex.storage.stats import IndexerStats
from plotindex.tree.grammar import Layout
from plotindex.tree.plots import PlotKey
from plotindex.tree.tree import Tree
from plotindex.watch import scheduler as scheduler_module
from plotindex.watch.full_scan import FullScanSchedule
from plotindex.watch.leader_role import Leadership
from plotindex.watch.scheduler import FairScheduler
from plotindex.watch.watcher import Watcher
from tests.guarantees.test_convergence import plots_by_hand
from tests.support.processes import Index, all_plots, draw, wait_until

PLOTS = 1_200


@pytest.fixture
def scheduler(tree: Tree, catalog: Catalog, tmp_path: Path) -> FairScheduler:
    """A scheduler without watches."""
    return FairScheduler(tree, catalog, Watcher(tree, tmp_path / "barriers"))


def draw_many(root: Path, session: str, number: int = PLOTS) -> list[Path]:
    return [draw(root, f"{session}/project_a/{each}.png", b"") for each in range(number)]


def test_a_session_that_gets_its_turns_is_late_by_its_own_changes(root: Path, scheduler: FairScheduler) -> None:
    draw_many(root, "busy")
    scheduler.add({"busy": ["busy"]})
    queued = time.monotonic()
    scheduler.step()
    assert scheduler.slowest == "busy"
    waited = time.monotonic() - queued
    assert scheduler.delay >= waited
    # Without a turn it would count for the indexer as a whole.
    wait_until(lambda: scheduler.delay > 0.05)
    while scheduler:
        scheduler.step()
        assert scheduler.turn_delay < scheduler.delay or not scheduler
    assert (scheduler.delay, scheduler.turn_delay, scheduler.slowest) == (0, 0, "")


def test_a_session_at_its_limit_gets_more_plots_after_each_deletion_however_soon_they_follow(
    root: Path, catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler_module, "WIDEN_SECONDS", 0.5)
    tree = Tree(root, Layout(max_plots=5))
    scheduler = FairScheduler(tree, catalog, Watcher(tree, tmp_path / "barriers"))
    drawn = draw_many(root, "s", 9)

    def indexed() -> list[str]:
        scheduler.widen()
        while scheduler:
            scheduler.step()
        return [plot.filename for plot in catalog.plots("s")]

    scheduler.add({"s": ["s"]})
    assert indexed() == [f"{number}.png" for number in range(5)]
    for number in range(3):
        drawn[number].unlink()
        scheduler.add({"s": [f"s/project_a/{number}.png"]})
        indexed()
    wait_until(lambda: indexed() == [f"{number}.png" for number in range(3, 8)])


def test_changes_do_not_wait_for_the_sessions_that_a_full_scan_has_queued(
    root: Path, catalog: Catalog, scheduler: FairScheduler, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wait_until_indexed(session: str) -> None:
        draw(root, f"{session}/project_a/late.png")
        scheduler.add({session: [f"{session}/project_a/late.png"]})
        while not catalog.current(PlotKey(session, "late.png")):
            assert scheduler, "a change was lost"
            scheduler.step()

    draw(root, "drawn/project_a/x.png")
    index()
    monkeypatch.setattr(scheduler.watcher.watches, "knows", lambda _session: True)
    scanned = [f"scanned{number:02}" for number in range(20)]
    for name in scanned:
        draw_many(root, name, 60)
        scheduler.scan_session(name, Report())
    draw_many(root, "drawn", 300)
    scheduler.add({"drawn": ["drawn"]})
    scheduler.step()
    # It left work behind after its turn.
    wait_until_indexed("drawn")
    # So does a session whose scan is queued anyway.
    wait_until_indexed(scanned[-1])
    assert sum(not catalog.plots(name) for name in scanned) > 10, "changes waited for the full scan"


def test_after_lost_events_other_sessions_do_not_wait_until_a_full_scan_of_a_busy_one_ends(
    root: Path, catalog: Catalog, scheduler: FairScheduler, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late() -> tuple[bool, bool]:
        """Whether other sessions, and any, wait for the full scan."""
        return full_scans.delayed_since is not None, full_scans.behind_since is not None

    draw(root, "other/project_a/x.png")
    index()
    draw_many(root, "busy")
    monkeypatch.setattr(scheduler_module, "STEP_CHANGES", 5)
    monkeypatch.setattr(scheduler_module, "SHORT_PLOTS", 5)
    full_scans = FullScanSchedule(scheduler, Leadership(catalog.database), 3600)
    full_scans.require()
    assert full_scans.start_if_due()
    full_scans.step()
    full_scans.require()
    assert not full_scans.start_if_due(), "not all sessions were reached"
    while len(scheduler) != 1:
        scheduler.step()
    draw(root, "other/project_a/late.png")
    assert full_scans.start_if_due()
    full_scans.step()
    assert late() == (True, True)
    while catalog.current(PlotKey("other", "late.png")) is None:
        scheduler.step()
    assert len(catalog.plots("busy")) < PLOTS
    while len(scheduler) != 1:
        scheduler.step()
    assert late() == (False, True)
    while full_scans.is_required:
        scheduler.step()
        full_scans.step()
    assert late() == (False, False)
    assert all_plots(catalog) == plots_by_hand(root)


@pytest.mark.parametrize(("others", "is_well"), [(0.5, True), (30.0, False)])
def test_a_busy_session_is_named_and_leaves_the_service_ready_unless_others_are_late_too(
    root: Path, tree: Tree, settings: Settings, catalog: Catalog, others: float, is_well: bool
) -> None:
    now = time.time()
    measured = IndexerStats(others_behind=others, busy="evil").dump()
    beat = Heartbeat(os.uname().nodename, os.getpid(), now, now, "watching", behind=40.0, measured=measured)
    catalog.store_heartbeat(beat)
    status = read_status(catalog, settings.layout)
    assert (status.trouble is None) == is_well
    assert is_well or "30 seconds behind" in (status.trouble or "")
    assert f"the oldest for 40 s in evil; other sessions {others:.0f} s" in status.as_text()
    state = read_catalog_state(tree, catalog)
    assert (state.is_maintained, state.is_watched) == (is_well, False)
    # An older version does not tell the sessions apart.
    catalog.store_heartbeat(beat._replace(measured=None))
    assert not read_catalog_state(tree, catalog).is_maintained
