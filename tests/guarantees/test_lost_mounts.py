"""Law 4: an unreadable path is not an absent one. Real mounts, in a mount namespace per test."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from plotindex.config.settings import Settings
from plotindex.errors import RootLostError
from plotindex.index.lookup import CacheStatus, Lookup
from plotindex.index.reconcile import reconcile
from plotindex.index.report import Options
from plotindex.index.verify import differences
from plotindex.ops.status import Status, read_status
from plotindex.storage.catalog import Catalog
from plotindex.tree.plots import Plot
from plotindex.tree.tree import Tree
from tests.guarantees.test_convergence import plots_by_hand
from tests.support.namespaces import mount, own_mounts, unmount
from tests.support.processes import (
    UNPRIVILEGED,
    RunPlotindex,
    StartService,
    all_plots,
    at_once,
    draw,
    end_group,
    wait_until,
)
from tests.tools.torture import compare_watches, folders_to_watch, watched_inodes


@pytest.fixture(autouse=True)
def in_own_mounts() -> Iterator[None]:
    with own_mounts():
        yield


class WatchedRoot:
    """A root with a running indexer, and checks on both."""

    def __init__(self, root: Path, tree: Tree, catalog: Catalog, plotindex: RunPlotindex) -> None:
        self.root, self.tree, self.catalog, self.plotindex = root, tree, catalog, plotindex
        self.number = 0

    def wait_for_state(self, state: str) -> None:
        wait_until(lambda: self.catalog.heartbeats()[0].state == state)

    def wait_until_equal(self) -> None:
        wait_until(lambda: all_plots(self.catalog) == plots_by_hand(self.root))

    def goes_on(self, *places: str) -> None:
        """Assert that new plots are indexed, also in these projects, and that nothing differs."""
        self.number += 1
        for place in ("s/project_a", *places):
            draw(self.root, f"{place}/drawn-{self.number}.png")
        self.wait_until_equal()
        assert list(differences(self.tree, self.catalog)) == []
        self.wait_for_state("watching")

    def is_lost_and_kept(self, before: set[Plot], says: str) -> None:
        """Assert that the indexer reports a lost root, and that no indexer, rebuild or server removes a row."""
        self.wait_for_state("lost")
        for rewrite in (False, True):
            with pytest.raises(RootLostError, match=says):
                reconcile(self.tree, self.catalog, [""], Options(rewrite=rewrite))
        self.is_lost_to_a_server(before)

    def status(self) -> Status:
        """The output of `plotindex status`."""
        return read_status(self.catalog, self.tree.layout)

    def is_lost_to_a_server(self, before: set[Plot]) -> None:
        lookup = Lookup(self.tree, self.catalog)
        for plot in sorted(before):
            with pytest.raises(RootLostError):
                lookup.open(plot.session, plot.filename)
        assert all_plots(self.catalog) == before


@pytest.fixture
def watched(root: Path, tree: Tree, catalog: Catalog, plotindex: RunPlotindex) -> WatchedRoot:
    return WatchedRoot(root, tree, catalog, plotindex)


def plots_named(plots: set[Plot]) -> set[str]:
    return {plot.path for plot in plots}


def test_an_unmounted_or_hidden_root_keeps_its_rows_and_is_watched_again_once_it_is_back(
    root: Path, tmp_path: Path, indexer: StartService, watched: WatchedRoot
) -> None:
    disk = tmp_path / "disk"
    with disk.open("wb") as file:
        file.truncate(4 << 20)
    subprocess.run(["mkfs.ext4", "-q", disk], check=True)
    mount("-o", "loop", disk, root)
    draw(root, "s/project_a/x.png")
    with indexer() as running:
        before = all_plots(watched.catalog)
        assert plots_named(before) == {"s/project_a/x.png"}
        unmount(root)
        watched.is_lost_and_kept(before, "shares no session")
        mount("-o", "loop", disk, root)
        watched.goes_on("new/project_a")
        before = all_plots(watched.catalog)
        mount("-t", "tmpfs", "none", root)
        watched.is_lost_and_kept(before, "shares no session")
        assert "mount it again" in str(watched.status().trouble)
        for done in at_once(watched.plotindex, ["rebuild"], ["rebuild", "--from-scratch"]):
            assert done.returncode == 1, done.stdout
            assert "mount it again" in done.stderr
            assert "--allow-empty" in done.stderr
        draw(root, "stranger/project_a/x.png")
        wait_until(lambda: running.stderr.count("shares no session") == 2)
        watched.is_lost_to_a_server(before)
        unmount(root)
        (root / "s/project_a/x.png").unlink()
        watched.goes_on("new/project_a")
        assert "s/project_a/x.png" not in plots_named(all_plots(watched.catalog))
        assert "Traceback" not in running.stderr


def test_a_renamed_or_removed_root_keeps_its_rows_until_it_is_back_or_allowed_to_be_empty(
    root: Path, tmp_path: Path, indexer: StartService, watched: WatchedRoot
) -> None:
    draw(root, "s/project_a/x.png")
    with indexer() as running:
        before = all_plots(watched.catalog)
        root.rename(tmp_path / "away")
        watched.is_lost_and_kept(before, "is missing")
        (tmp_path / "away").rename(root)
        watched.goes_on()
        before = all_plots(watched.catalog)
        # Remove it atomically: otherwise the indexer may see single plots vanish before the root.
        root.rename(tmp_path / "away")
        root.mkdir()
        shutil.rmtree(tmp_path / "away")
        watched.is_lost_and_kept(before, "shares no session")
        assert watched.plotindex("rebuild", "--allow-empty").returncode == 0
        assert all_plots(watched.catalog) == set()
        watched.goes_on()
        # And piece by piece, in whatever order the two come: what is drawn there next is all there is.
        shutil.rmtree(root)
        root.mkdir()
        watched.goes_on()
        assert "Traceback" not in running.stderr


def test_a_root_restored_from_a_copy_is_accepted_and_so_is_one_that_was_emptied(
    root: Path, tmp_path: Path, indexer: StartService, watched: WatchedRoot
) -> None:
    for path in ("s/project_a/x.png", "s/project_b/x.png", "t/project_a/x.png"):
        draw(root, path)
    with indexer():
        identity = watched.catalog.header().identity
        shutil.copytree(root / "s", tmp_path / "copy/s")
        root.rename(tmp_path / "away")
        (tmp_path / "copy").rename(root)
        wait_until(lambda: plots_named(all_plots(watched.catalog)) == {"s/project_a/x.png", "s/project_b/x.png"})
        watched.goes_on()
        assert identity != watched.catalog.header().identity == watched.tree.identity()
        # Emptied, with the recorded identity: its content is true.
        shutil.rmtree(root / "s")
        wait_until(lambda: not all_plots(watched.catalog))
        watched.goes_on()
    assert watched.catalog.heartbeats()[0].state == "stopped"
    rows = {"s/project_a/drawn-2.png"}
    assert plots_named(all_plots(watched.catalog)) == rows
    # The same without an indexer: healed by a server, and by a rebuild.
    shutil.rmtree(root / "s")
    draw(root, "t/project_a/x.png")
    draw(root, "u/project_a/x.png")
    lookup = Lookup(watched.tree, watched.catalog)
    assert lookup.open("s", "drawn-2.png") == (None, CacheStatus.STALE)
    assert all_plots(watched.catalog) == set()
    reconcile(watched.tree, watched.catalog, [""])
    assert plots_named(all_plots(watched.catalog)) == {"t/project_a/x.png", "u/project_a/x.png"}
    root.rename(tmp_path / "before")
    shutil.copytree(tmp_path / "before/t", root / "t")
    assert watched.plotindex("rebuild", "--from-scratch").returncode == 0
    assert plots_named(all_plots(watched.catalog)) == {"t/project_a/x.png"}
    assert watched.catalog.header().identity == watched.tree.identity()


class UnprivilegedIndexer:
    """A `plotindex watch` to which permissions apply although it runs as root."""

    def __init__(self, root: Path, environment: dict[str, str], log: Path) -> None:
        command = [sys.executable, "-c", UNPRIVILEGED, "watch"]
        given = {**environment, "PLOTINDEX_ROOT": str(root)}
        self._log = log
        with log.open("wb") as stderr:
            self.process = subprocess.Popen(command, env=given, stderr=stderr, start_new_session=True)

    @property
    def log(self) -> str:
        return self._log.read_text()

    def says(self, *lines: str) -> bool:
        return all(line in self.log for line in lines)


@pytest.fixture
def unprivileged_indexer(
    root: Path, catalog: Catalog, environment: dict[str, str], tmp_path: Path
) -> Iterator[Callable[[], UnprivilegedIndexer]]:
    started = []

    def start() -> UnprivilegedIndexer:
        started.append(UnprivilegedIndexer(root, environment, tmp_path / "log"))
        wait_until(lambda: [beat.state for beat in catalog.heartbeats()] == ["watching"])
        return started[0]

    yield start
    for running in started:
        assert running.process.poll() is None, running.log
        end_group(running.process.pid)
        running.process.wait()


def test_an_unreadable_folder_keeps_its_rows_is_reported_and_recovers_after_chmod(
    root: Path,
    watched: WatchedRoot,
    unprivileged: RunPlotindex,
    unprivileged_indexer: Callable[[], UnprivilegedIndexer],
    settings: Settings,
) -> None:
    for path in ("s/project_a/x.png", "s/project_b/x.png", "s/project_b/sub/x.png", "t/project_a/x.png"):
        draw(root, path)
    running = unprivileged_indexer()
    before = all_plots(watched.catalog)
    (root / "s/project_b").chmod(0)
    (root / "t").chmod(0)
    wait_until(lambda: running.says("s/project_b: Permission denied", "t: Permission denied"))
    # The tests' own user can read it, but the indexer cannot.
    (root / "s/project_b/sub/x.png").unlink()
    draw(root, "t/project_a/y.png")
    draw(root, "s/project_a/z.png")
    wait_until(lambda: "s/project_a/z.png" in plots_named(all_plots(watched.catalog)))
    wait_until(lambda: watched.catalog.heartbeats()[0].unwatched == 2)
    assert "2 folders are not watched: make the folders that `plotindex doctor` lists readable" in str(
        watched.status().trouble
    )
    assert "errors     2 unreadable paths" in watched.status().as_text()
    for done in at_once(unprivileged, ["rebuild"], ["rebuild", "--from-scratch"]):
        assert done.returncode == 0, done.stderr
        assert {"s/project_b: Permission denied", "t: Permission denied"} <= set(done.stderr.splitlines())
    assert plots_named(all_plots(watched.catalog)) == plots_named(before) | {"s/project_a/z.png"}
    (root / "s/project_b").chmod(0o755)
    (root / "t").chmod(0o755)
    watched.goes_on("s/project_b/sub", "t/project_a")
    # The root itself.
    root.chmod(0)
    before = all_plots(watched.catalog)
    shutil.rmtree(root / "t")
    draw(root, "s/project_a/late.png")
    wait_until(lambda: running.says("s/project_a/late.png: Permission denied"))
    told = f"The root {root} cannot be read (Permission denied)"
    wait_until(
        lambda: told in str(read_status(watched.catalog, watched.tree.layout, lock=settings.indexer_lock).trouble)
    )
    wait_until(
        lambda: (
            "The indexer runs, but"
            in str(Lookup(watched.tree, watched.catalog, lock=settings.indexer_lock).degraded_reason())
        )
    )
    assert all_plots(watched.catalog) == before
    root.chmod(0o755)
    watched.goes_on("u/project_a")
    folders = {**folders_to_watch(root), settings.barrier_folder.stat().st_ino: "barriers"}
    wait_until(lambda: not list(compare_watches(watched_inodes(running.process.pid), folders)))
    assert "Traceback" not in running.log
    assert running.log.count("s/project_b: Permission denied") == 1


def test_mounting_and_unmounting_sessions_and_projects_is_noticed_without_events(
    root: Path, tmp_path: Path, indexer: StartService, watched: WatchedRoot
) -> None:
    session, project = tmp_path / "session", tmp_path / "project"
    draw(session, "project_a/sub/stored.png")
    draw(project, "stored.png")
    draw(root, "s/project_a/x.png")
    draw(root, "bound/project_a/covered.png")
    mounts = [root / path for path in ("bound", "own", "s/project_b", "s/project_a/sub")]
    for folder in mounts:
        folder.mkdir(exist_ok=True)
    with indexer() as running:
        mount("--bind", session, root / "bound")
        mount("--bind", project, root / "s/project_b")
        watched.wait_until_equal()
        watched.goes_on("bound/project_a/sub", "s/project_b")
        assert "bound/project_a/covered.png" not in plots_named(all_plots(watched.catalog))
        mount("-t", "tmpfs", "none", root / "own")
        mount("-t", "tmpfs", "none", root / "s/project_a/sub")
        watched.goes_on("own/project_a", "s/project_a/sub", "bound/project_new")
        # Drawn through the folder's other path: the watch is on the folder, not on its path.
        draw(project, "elsewhere.png")
        watched.wait_until_equal()
        for rewrite in (False, True):
            assert reconcile(watched.tree, watched.catalog, [""], Options(rewrite=rewrite)).differences == 0
        assert all_plots(watched.catalog) == plots_by_hand(root)
        for folder in mounts:
            unmount(folder)
        watched.wait_until_equal()
        assert "bound/project_a/covered.png" in plots_named(all_plots(watched.catalog))
        draw(project, "no-plot-of-this-root.png")
        watched.goes_on("bound/project_a", "own/project_a", "s/project_b", "s/project_a/sub")
        assert watched.status().trouble is None
        assert "Traceback" not in running.stderr


def test_a_folder_mounted_at_two_places_below_the_root_is_indexed_at_both(
    root: Path, indexer: StartService, watched: WatchedRoot
) -> None:
    """A folder has one watch, regardless of the number of its paths."""
    draw(root, "s/project_a/x.png")
    (root / "s/project_b").mkdir()
    mount("--bind", root / "s/project_a", root / "s/project_b")
    with indexer():
        draw(root, "s/project_b/y.png")
        wait_until(lambda: all_plots(watched.catalog) == plots_by_hand(root), 6)
        (root / "s/project_a/x.png").unlink()
        wait_until(lambda: all_plots(watched.catalog) == plots_by_hand(root), 6)
