"""Files with several names."""

import os
from pathlib import Path

import pytest

from plotindex.config.settings import Settings
from plotindex.storage.catalog import Catalog
from plotindex.storage.writer import Change
from plotindex.tree.plots import HardLinkedPlot, Plot
from plotindex.tree.scopes import Scope
from plotindex.tree.tree import Tree
from plotindex.watch import hardlinks
from plotindex.watch import scheduler as scheduler_module
from plotindex.watch.barriers import wait_for_sync
from plotindex.watch.hardlinks import MAX_NAMES_PER_SESSION, MAX_SCOPES, HardLinks, LinkScan
from plotindex.watch.scheduler import FairScheduler
from plotindex.watch.watcher import Watcher
from tests.guarantees.test_convergence import plots_by_hand
from tests.support.processes import RunPlotindex, StartService, all_plots, draw, wait_until

PLOTS = 1_200


def plot(path: str, *, size: int = 1, inode: int = 7) -> Plot:
    session, project, filename = path.split("/", 2)
    return Plot(session, project, filename, size, 0, 0, inode)


def scan(*paths: str, names: int | None = None, scope: Scope | None = None) -> LinkScan:
    """The scan of a part of the first path's session, or of `scope`."""
    found = [HardLinkedPlot(plot(path), names or len(paths)) for path in paths]
    return LinkScan(scope or Scope(paths[0].partition("/")[0], "p"), found, is_reported=True)


def many(session: str) -> list[str]:
    return [f"{session}/p/{number}" for number in range(MAX_NAMES_PER_SESSION + 1)]


def test_a_change_through_one_name_is_a_change_of_the_others() -> None:
    links = HardLinks()
    links.add(scan("s/p/a", "t/p/b", "s/p/c"), 0)
    assert links.unresolved == {7}
    assert sorted(links.affected([Change(plot("s/p/a"), plot("s/p/a", size=2))])) == ["s/p/c", "t/p/b"]
    assert links.affected([Change(plot("s/p/other", inode=8), plot("s/p/other", size=2, inode=8))]) == []
    assert sorted(links.affected([Change(plot("s/p/a"), None)])) == ["s/p/c", "t/p/b"]
    # It is no name of that file any more.
    assert links.affected([Change(plot("t/p/b"), None)]) == ["s/p/c"]


def test_names_that_changed_together_are_looked_at_again_only_where_they_disagree() -> None:
    links = HardLinks()
    links.add(scan("s/p/a", "s/p/b"), 0)
    same = [Change(plot(path), plot(path, size=2)) for path in ("s/p/a", "s/p/b")]
    assert links.affected(same) == []
    assert sorted(links.affected([same[0], Change(plot("s/p/b"), plot("s/p/b", size=3))])) == ["s/p/a", "s/p/b"]
    assert links.resolve([plot("s/p/a"), plot("s/p/b")]) == []
    assert sorted(links.resolve([plot("s/p/a"), plot("s/p/b", size=2)])) == ["s/p/a", "s/p/b"]


def test_very_many_names_of_a_session_stand_for_it_and_a_few_of_another_for_themselves() -> None:
    links = HardLinks()
    names = [f"s/p/{number}" for number in range(MAX_SCOPES + 1)]
    links.add(scan(*names, "t/p/a", names=MAX_SCOPES + 2), 0)
    changes = [Change(plot(name), plot(name, size=2)) for name in names[:5]]
    assert sorted(links.affected(changes)) == ["s", "t/p/a"]


def test_a_file_with_a_name_that_is_not_known_is_to_be_looked_at_until_it_has_none() -> None:
    links = HardLinks()
    links.add(scan("s/p/a", names=2), 100.0)
    links.add(LinkScan(Scope("s"), [HardLinkedPlot(plot("s/p/b", inode=8), 3)], is_reported=False), 100.0)
    assert links.take_recent(101.0) == ["s/p/a"]
    assert links.take_recent(101.0) == []
    assert links.take_incomplete(10) == ["s/p/b"]
    assert links.incomplete_count == 0


def test_looking_again_at_an_incomplete_file_makes_it_no_more_recent_but_another_link_does() -> None:
    links = HardLinks()
    links.add(scan("s/p/a", names=2), 100.0)
    assert links.take_incomplete(10) == ["s/p/a"]
    links.add(scan("s/p/a", names=2), 150.0)
    assert links.take_recent(170.0) == []
    links.add(scan("s/p/a", names=3), 180.0)
    links.add(scan("s/p/b", names=3), 180.0)
    assert sorted(links.take_incomplete(10)) == ["s/p/a", "s/p/b"]
    links.add(scan("s/p/a", names=3), 181.0)
    assert links.take_recent(182.0) == ["s/p/a"]


def test_a_session_with_too_many_names_is_not_tracked_until_a_whole_scan_finds_half_as_many() -> None:
    links = HardLinks()
    links.add(scan("s/p/a", "t/p/a", names=MAX_NAMES_PER_SESSION + 3), 0)
    assert links.take_switched() == set()
    links.add(scan(*many("s"), names=MAX_NAMES_PER_SESSION + 3), 0)
    assert (links.untracked, links.take_switched()) == ({"s"}, {"s"})
    # Its names are forgotten; the names of others are found through them all the same.
    assert links.take_incomplete(10) == ["t/p/a"]
    assert links.affected([Change(plot("s/p/5"), plot("s/p/5", size=2))]) == ["t/p/a"]
    assert links.affected([Change(plot("t/p/a"), plot("t/p/a", size=2))]) == []
    # A changed file of which no name is tracked may have one in the catalogue.
    links.unresolved.clear()
    links.affected([Change(plot("s/p/x", inode=9), plot("s/p/x", size=2, inode=9))])
    assert links.unresolved == {9}
    assert links.resolve([plot("s/p/x", inode=9), plot("t/p/b", size=2, inode=9)]) == ["t/p/b"]
    links.add(scan("s/p/a", "s/p/b"), 0)
    links.add(scan(*many("s")[: MAX_NAMES_PER_SESSION // 2 + 1], scope=Scope("s")), 0)
    assert links.untracked == {"s"}
    links.add(scan("s/p/a", "s/p/b", scope=Scope("s")), 0)
    assert (links.untracked, links.take_switched()) == (set(), {"s"})
    assert sorted(links.affected([Change(plot("s/p/a"), plot("s/p/a", size=2))])) == ["s/p/b", "t/p/a"]


def test_beyond_the_names_of_all_sessions_those_of_further_ones_are_not_tracked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hardlinks, "MAX_NAMES", 3)
    links = HardLinks()
    links.add(scan("s/p/a", "s/p/b"), 0)
    links.add(scan("t/p/a", "t/p/b", scope=Scope("t")), 0)
    assert (links.untracked, links.take_switched()) == ({"t"}, {"t"})
    links.add(scan("t/p/a", "t/p/b", "t/p/c", scope=Scope("t")), 0)
    assert (links.untracked, links.take_switched()) == ({"t"}, set())


@pytest.fixture
def scheduler(tree: Tree, catalog: Catalog, tmp_path: Path) -> FairScheduler:
    """A scheduler without watches."""
    return FairScheduler(tree, catalog, Watcher(tree, tmp_path / "barriers"))


def test_a_session_with_more_links_than_are_tracked_is_polled_and_named_and_sync_is_exact(
    root: Path, settings: Settings, catalog: Catalog, indexer: StartService, plotindex: RunPlotindex
) -> None:
    def sync() -> None:
        assert wait_for_sync(settings.barrier_folder, 20, lambda: None)
        assert all_plots(catalog) == plots_by_hand(root)

    first, victim = draw(root, "linked/project_a/first.png"), draw(root, "other/project_a/x.png")
    names = [first.with_name(f"{number}.png") for number in range(hardlinks.MAX_NAMES_PER_SESSION)]
    for name in names:
        os.link(first, name)
    with indexer() as running:
        wait_until(lambda: "linked (more hard links than are tracked)" in (catalog.heartbeats()[0].polled or ""))
        os.utime(names[7], ns=(7, 7))
        sync()
        os.link(victim, first.with_name("victim.png"))
        sync()
        first.with_name("victim.png").write_bytes(b"through a name in the untracked session")
        sync()
        status = plotindex("status")
        assert (status.returncode, status.stderr) == (0, "")
        assert "\npolled     linked (more hard links than are tracked)\n" in status.stdout
        assert running.stderr.count("linked has more hard links than are tracked: it is polled, too.") == 1
        for name in names[100:]:
            name.unlink()
        sync()
        wait_until(lambda: catalog.heartbeats()[0].polled is None)
        os.utime(names[7], ns=(8, 8))
        sync()
        assert "Traceback" not in running.stderr


def test_the_links_found_by_one_scan_are_handled_once_however_many_transactions_it_takes(
    root: Path, scheduler: FairScheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = draw(root, "s/project_a/first.png")
    for number in range(PLOTS):
        os.link(first, first.with_name(f"{number}.png"))
    monkeypatch.setattr(scheduler_module, "STEP_PLOTS", 100)
    scheduler.add({"s": ["s"]})
    found, steps = [], 0
    while scheduler:
        found += [plot for scan in scheduler.step().linked for plot in scan.plots]
        steps += 1
    assert steps > 2
    assert len(found) == PLOTS + 1
