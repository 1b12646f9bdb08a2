"""Changes without events are found by the rolling rescan: those of other hosts, and in unwatched folders."""

import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plotindex.config.settings import Polling, Settings
from plotindex.index.reconcile import reconcile
from plotindex.storage.catalog import Catalog
from plotindex.tree.plots import SETTLE_NS
from plotindex.tree.tree import Tree
from plotindex.watch import folder_snapshots as snapshots_module
from plotindex.watch import rolling_rescan as rolling_rescan_module
from plotindex.watch import scheduler as scheduler_module
from plotindex.watch import watched_folders as watches_module
from plotindex.watch.folder_snapshots import STALE, fingerprint_of
from plotindex.watch.full_scan import FullScan
from plotindex.watch.leader_role import Leadership
from plotindex.watch.polled_scopes import PolledScopes
from plotindex.watch.rolling_rescan import RollingRescan
from plotindex.watch.scheduler import FairScheduler, take_report
from plotindex.watch.throttled_round import ThrottledRound
from plotindex.watch.watched_folders import Watches
from plotindex.watch.watcher import Watcher
from tests.guarantees.test_convergence import BEGINNING, STEPS, Step, fresh_catalog, plots_by_hand, steps, write
from tests.support.postgres import NewDatabase
from tests.support.processes import all_plots, draw, wait_until

CLOCK_REALTIME_COARSE = 5
"""clock_gettime(2): by which file systems date what changes."""
AT_ONCE = 200
"""A share with which each round goes on without a pause."""


class Rescanner:
    """The scanning parts of an indexer without its timing. Changes are those of another host: no event reports them."""

    def __init__(self, tree: Tree, catalog: Catalog, barriers: Path, polling: Polling, most: int | None = None) -> None:
        barriers.mkdir(exist_ok=True)
        self.tree, self.catalog = tree, catalog
        self.polled = PolledScopes(tree, polling)
        self.watcher = Watcher(tree, barriers, lambda: Watches(most, self.polled.covers))
        self.scheduler = FairScheduler(tree, catalog, self.watcher)
        own = Settings(root=tree.root, database="", state_dir=barriers, poll_seconds=0, rescan_share=AT_ONCE)
        self.rolling = RollingRescan(self.scheduler, self.polled, Leadership(catalog.database), own)
        if polling is not Polling.ALWAYS:
            self.watcher.start()
        self.rescan()

    def rescan(self) -> None:
        scan = FullScan(self.scheduler, is_first=False)
        while scan.ended is None:
            self.scheduler.step()
            scan.step()

    def step(self) -> None:
        """One step of each round; reconciles what it finds."""
        for _ in self.rolling.step():
            self.rescan()
        while self.scheduler:
            self.scheduler.step()

    def drain(self) -> None:
        """Queue the reported scopes until there are none."""
        while scopes := self.watcher.take(0.05).scopes:
            self.scheduler.add(scopes.by_session())

    def run_round(self, each: ThrottledRound, *, alone: bool = False) -> None:
        """One whole round, from its begin to its end; `alone` while the other one rests."""
        for other in {self.rolling.folder_round, self.rolling.file_round} - {each}:
            other._due = float("inf") if alone else 0.0
        each._due = 0.0
        before = each.started
        while self.watches.snapshots.folders and (each.is_open or each.tickets or each.started == before):
            self.step()

    @property
    def watches(self) -> Watches:
        return self.watcher.watches

    def is_equal(self) -> bool:
        return all_plots(self.catalog) == plots_by_hand(self.tree.root)

    def close(self) -> None:
        self.watcher.stop()
        self.polled.close()


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pauses, and each session as a whole; what has not changed for a moment will not change within this tick."""
    monkeypatch.setattr(scheduler_module, "SLICE_SECONDS", 10)
    monkeypatch.setattr(scheduler_module, "STEP_SECONDS", 10)
    monkeypatch.setattr(rolling_rescan_module, "UNWATCHED_SECONDS", 0)
    monkeypatch.setattr(rolling_rescan_module, "CHANGES_SECONDS", 0)
    monkeypatch.setattr(snapshots_module, "SETTLE_NS", -1)


MakeRescanner = Callable[..., Rescanner]


@pytest.fixture
def make_rescanner(tree: Tree, catalog: Catalog, tmp_path: Path) -> Iterator[MakeRescanner]:
    made: list[Rescanner] = []

    def make(polling: Polling = Polling.ALWAYS, most: int | None = None) -> Rescanner:
        made.append(Rescanner(tree, catalog, tmp_path / "barriers", polling, most))
        return made[0]

    yield make
    for rescanner in made:
        rescanner.close()


def let_the_clock_tick() -> None:
    """Until files that change now get another time than those that changed before."""
    before = time.clock_gettime_ns(CLOCK_REALTIME_COARSE)
    wait_until(lambda: time.clock_gettime_ns(CLOCK_REALTIME_COARSE) > before)


def put_symlink(folder: Path) -> None:
    """Where that folder was; it leads there."""
    folder.rename(folder.parents[2] / "aside")
    folder.symlink_to(folder.parents[2] / "aside")


CHANGES: dict[str, Callable[[Path], object]] = {
    "a new plot": lambda root: draw(root, "s/project_a/new.png"),
    "a new plot in a new project": lambda root: draw(root, "s/project_\n new/x.png"),
    "a new plot in a folder that had none": lambda root: draw(root, "s/project_empty/x.png"),
    "a new plot deep below": lambda root: draw(root, "s/project_a/sub/deep/new/x.png"),
    "a new session": lambda root: draw(root, "new/project_a/x.png"),
    "a plot that is gone": lambda root: (root / "s/project_a/sub/deep/x.png").unlink(),
    "a project that is gone": lambda root: shutil.rmtree(root / "s/project_a"),
    "a session that is gone": lambda root: shutil.rmtree(root / "s"),
    "a plot that was replaced": lambda root: draw(root, "aside").rename(root / "s/project_a/x.png"),
    "a renamed folder": lambda root: (root / "s/project_a/sub").rename(root / "s/project_b/renamed"),
    "a renamed session": lambda root: (root / "s").rename(root / "renamed"),
    "a session in another one's place": lambda root: [(root / "t").rename(root / "a"), (root / "s").rename(root / "t")],
    "a symlink in a folder's place": lambda root: put_symlink(root / "s/project_a/sub"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_comes_goes_or_is_renamed_is_found_within_one_round_by_folders(
    make_rescanner: MakeRescanner, root: Path, change: str
) -> None:
    for path in ("s/project_a/x.png", "s/project_a/sub/deep/x.png", "s/project_b/x.png", "t/project_a/x.png"):
        draw(root, path)
    (root / "s/project_empty").mkdir()
    rescanner = make_rescanner()
    let_the_clock_tick()
    CHANGES[change](root)
    assert not rescanner.is_equal()
    rescanner.run_round(rescanner.rolling.folder_round, alone=True)
    assert rescanner.is_equal()


def test_what_is_rewritten_in_place_is_found_within_one_round_by_files(
    make_rescanner: MakeRescanner, root: Path
) -> None:
    plots = [draw(root, f"s{number}/project_a/x.png") for number in range(4)]
    rescanner = make_rescanner()
    let_the_clock_tick()
    for plot in plots:
        plot.write_bytes(b"rewritten")
    rescanner.run_round(rescanner.rolling.folder_round, alone=True)
    assert not rescanner.is_equal()
    rescanner.run_round(rescanner.rolling.file_round, alone=True)
    assert rescanner.is_equal()
    assert take_report(rescanner.rolling.report).changed == 4


def test_a_folder_that_changed_a_moment_ago_is_looked_at_again_whatever_its_time(
    make_rescanner: MakeRescanner, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another change within the same tick of the clock would leave the same time."""
    folder = draw(root, "s/project_a/x.png").parent
    assert fingerprint_of(folder.stat()) != STALE
    rescanner = make_rescanner()

    def found() -> list[str]:
        snapshots = rescanner.watches.snapshots
        return [path for paths in snapshots.changed(rescanner.tree, "s") for path in paths]

    assert found() == []
    let_the_clock_tick()
    draw(root, "s/project_a/y.png")
    rescanner.run_round(rescanner.rolling.folder_round, alone=True)
    # Whatever the clock of the file system says: it has changed since the round before.
    assert found() == ["s/project_a"]
    rescanner.run_round(rescanner.rolling.folder_round, alone=True)
    assert found() == []
    # By the clock of this host.
    monkeypatch.setattr(snapshots_module, "SETTLE_NS", SETTLE_NS * 1000)
    rescanner.rescan()
    for _ in range(2):
        assert found() == ["s", "s/project_a"]
        rescanner.run_round(rescanner.rolling.folder_round, alone=True)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(steps, min_size=1, max_size=8), st.sampled_from([None, 3, 9]), st.randoms(use_true_random=False))
def test_after_any_changes_one_round_by_folders_and_one_by_files_leave_no_difference(
    new_database: NewDatabase, changes: list[Step], most: int | None, chance: random.Random
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "plots"
        root.mkdir()
        for number, path in enumerate(BEGINNING):
            write(root, path, "", number % 5)
        tree = Tree(root)
        polling = Polling.ALWAYS if most is None else Polling.NEVER
        with (
            fresh_catalog(new_database, tree) as catalog,
            closing(Rescanner(tree, catalog, Path(folder) / "barriers", polling, most)) as rescanner,
        ):
            let_the_clock_tick()
            for kind, path, other, number in changes:
                if kind in ("rename", "delete", "replace", "date"):
                    path = chance.choice(sorted(e.relative_to(root).as_posix() for e in root.rglob("*")) or [path])  # noqa: PLW2901 - one that is there
                try:
                    STEPS[kind](root, path, other, number)
                except OSError:
                    (root / "new").unlink(missing_ok=True)
            for each in (rescanner.rolling.folder_round, rescanner.rolling.file_round):
                rescanner.drain()
                rescanner.run_round(each)
            assert rescanner.is_equal()


def draw_dozen(root: Path, name: str) -> None:
    """A dozen sessions with three projects each: with the root 49 folders."""
    for number in range(36):
        draw(root, f"s{number // 3:02}/project_{number}/{name}")


def test_of_a_budget_the_root_and_the_sessions_have_theirs_first_and_the_rest_is_looked_at(
    make_rescanner: MakeRescanner, root: Path
) -> None:
    draw_dozen(root, "x.png")
    rescanner = make_rescanner(Polling.NEVER, most=40)
    watches = rescanner.watches
    assert len(watches) == 40
    assert all(watches._map.get(path) for path in ("", *rescanner.tree.sessions()))
    assert (watches.snapshots.unwatched, watches.snapshots.folders, len(watches.snapshots)) == (9, 9, 3)
    let_the_clock_tick()
    draw_dozen(root, "y.png")
    rescanner.drain()
    rescanner.run_round(rescanner.rolling.folder_round)
    assert rescanner.is_equal()
    for session in rescanner.tree.sessions():
        shutil.rmtree(root / session)
    rescanner.rescan()
    assert (len(watches), watches.snapshots.unwatched, watches.snapshots.folders) == (1, 0, 0)


def test_the_session_that_changes_gets_watches_and_the_one_quiet_longest_gives_up_its_own(
    make_rescanner: MakeRescanner, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_dozen(root, "x.png")
    rescanner = make_rescanner(Polling.NEVER, most=40)
    watches = rescanner.watches
    rescanner.step()

    def watched() -> list[str]:
        return sorted(name for name in watches.sessions() if not watches.snapshots.watchable_in(name))

    before, quietest = watched(), next(iter(watches._changed))
    first, second, _ = sorted(set(watches.sessions()) - set(before))
    # In none of those that are watched nothing has changed for a minute.
    draw(root, f"{first}/project_{3 * int(first[1:])}/y.png")
    reconcile(rescanner.tree, rescanner.catalog, [first])
    for _ in range(3):
        rescanner.step()
    assert (watched(), len(watches)) == (before, 40)
    monkeypatch.setattr(watches_module, "QUIET_SECONDS", -1)
    # Whoever found it, such as a server that heals.
    draw(root, f"{second}/project_{3 * int(second[1:])}/y.png")
    reconcile(rescanner.tree, rescanner.catalog, [second])
    rescanner.step()
    assert second in watched()
    assert set(before) - set(watched()) == {quietest}
    assert watches._map.count_in(quietest) == 1
    assert len(watches) <= 40
    rescanner.run_round(rescanner.rolling.folder_round)
    assert rescanner.is_equal()


def test_what_may_be_older_than_promised_is_not_called_fresh(
    make_rescanner: MakeRescanner, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(root, "s/project_a/x.png")
    rescanner = make_rescanner(Polling.NEVER, most=2)
    assert rescanner.rolling.is_fresh
    rescanner.run_round(rescanner.rolling.file_round)
    assert rescanner.rolling.is_fresh
    monkeypatch.setattr(rolling_rescan_module, "FRESH_SECONDS", 0)
    assert not rescanner.rolling.is_fresh
