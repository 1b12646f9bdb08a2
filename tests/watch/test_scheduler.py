"""Sessions and their floods: each slows itself alone, leaves nothing behind, and is followed through every name."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil
import pytest
from flask import Flask

from plotindex.config.settings import Settings
from plotindex.index.liveness import require_indexer
from plotindex.index.verify import differences
from plotindex.storage.catalog import Catalog
from plotindex.tree.plots import Plot, PlotKey
from plotindex.tree.tree import Tree
from plotindex.watch.barriers import wait_for_sync
from plotindex.web import PlotIndex
from tests.guarantees.test_convergence import plots_by_hand
from tests.support.namespaces import mount, own_mounts, unmount
from tests.support.processes import Index, RunPlotindex, StartService, all_plots, draw, wait_until
from tests.tools.torture import compare_watches, folders_to_watch, watched_inodes

RENAMING = """
import os, sys
session = sys.argv[1]
for number in range(1000):
    os.makedirs(f"{session}/project_a/one/{number}")
    open(f"{session}/project_a/one/{number}/x.png", "w").close()
print("begun", flush=True)
while True:
    os.rename(f"{session}/project_a/one", f"{session}/project_a/other")
    os.rename(f"{session}/project_a/other", f"{session}/project_a/one")
"""
DRAWING = """
import os, sys
os.makedirs(f"{sys.argv[1]}/project_a")
print("begun", flush=True)
number = 0
while True:
    with open(f"{sys.argv[1]}/project_a/{number % 500}.png", "w") as plot:
        plot.write(str(number))
    number += 1
"""


@contextmanager
def without_pause(program: str, session: Path) -> Iterator[None]:
    """A process that goes on and on, from when it has begun in earnest."""
    command = [sys.executable, "-c", program, str(session)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"begun\n"
            yield
            assert process.poll() is None
        finally:
            process.kill()


class Synced:
    """`plotindex sync`, without the start of a process; then the rows must equal the tree at once."""

    def __init__(self, root: Path, catalog: Catalog, settings: Settings) -> None:
        self.root, self.catalog, self.folder = root, catalog, settings.barrier_folder

    def __call__(self) -> set[Plot]:
        assert wait_for_sync(self.folder, 20, lambda: None)
        rows = all_plots(self.catalog)
        assert rows == plots_by_hand(self.root)
        return rows


@pytest.fixture
def synced(root: Path, catalog: Catalog, settings: Settings) -> Synced:
    return Synced(root, catalog, settings)


def test_while_sessions_rename_and_draw_without_pause_plots_of_others_arrive_and_sync_comes_back(
    root: Path, tree: Tree, catalog: Catalog, indexer: StartService, plotindex: RunPlotindex, synced: Synced
) -> None:
    with indexer() as running:
        with without_pause(RENAMING, root / "renaming"), without_pause(DRAWING, root / "drawing"):
            for number in range(10):
                draw(root, f"other-{number % 2}/project_{number % 3}/{number}.png")
                wait_until(partial(catalog.current, PlotKey(f"other-{number % 2}", f"{number}.png")))
            assert plotindex("sync", "--timeout", "50").returncode == 0
            drawn = [plot.filename for session in ("other-0", "other-1") for plot in catalog.plots(session)]
            assert sorted(drawn) == [f"{number}.png" for number in range(10)]
        assert len(synced()) > 1000
        assert list(differences(tree, catalog)) == []
        assert "Traceback" not in running.stderr


NEW_SESSIONS = 3000


def test_a_flood_of_new_sessions_delays_only_new_sessions(
    root: Path, catalog: Catalog, indexer: StartService, synced: Synced
) -> None:
    draw(root, "known/project_a/before.png")
    elsewhere = root.parent / "elsewhere"
    for number in range(NEW_SESSIONS):
        draw(elsewhere, f"s{number}/project_a/x.png", b"")
    with indexer():
        assert len(synced()) == 1
        for number in range(NEW_SESSIONS):
            (elsewhere / f"s{number}").rename(root / f"s{number}")
        indexed = []
        for name in ("1.png", "2.png", "3.png"):
            draw(root, f"known/project_a/{name}")
            wait_until(partial(catalog.current, PlotKey("known", name)))
            indexed.append(catalog.counts()[0])
        assert indexed[0] < NEW_SESSIONS * 3 // 4
        assert len(synced()) == NEW_SESSIONS + 4


def test_a_full_scan_reaches_known_sessions_before_most_of_many_new_ones(
    root: Path, catalog: Catalog, index: Index, service: StartService, synced: Synced
) -> None:
    draw(root, "known/project_a/before.png")
    index()
    for number in range(NEW_SESSIONS):
        draw(root, f"s{number}/project_a/x.png", b"")
    draw(root, "known/project_a/after.png")
    with service("watch"):
        wait_until(partial(catalog.current, PlotKey("known", "after.png")))
        assert catalog.counts()[0] < NEW_SESSIONS * 3 // 4
        assert len(synced()) == NEW_SESSIONS + 2


def test_sessions_and_projects_that_come_and_go_leave_no_watch_descriptor_or_memory_behind(
    root: Path, catalog: Catalog, indexer: StartService, synced: Synced
) -> None:
    def come_and_go(times: int) -> tuple[set[int], int, int]:
        for time in range(times):
            for number in range(60):
                for project in range(4):
                    draw(root, f"s{time}-{number}/project_{project}/sub/{time}.png", b"")
            assert len(synced()) == 241
            for number in range(60):
                shutil.rmtree(root / f"s{time}-{number}")
            assert len(synced()) == 1
        return watched_inodes(running.pid), process.num_fds(), process.memory_info().rss

    draw(root, "kept/project_a/x.png")
    with indexer() as running:
        process = psutil.Process(running.pid)
        watches, descriptors, memory = come_and_go(1)
        assert len(watches) == 4
        more_watches, more_descriptors, more_memory = come_and_go(3)
        assert (more_watches, more_descriptors) == (watches, descriptors)
        assert more_memory - memory < 4 << 20
        wait_until(lambda: catalog.heartbeats()[0].watched == 3)
        assert "Traceback" not in running.stderr


def test_every_name_of_a_file_follows_a_write_a_new_link_and_an_unlink(
    root: Path, tmp_path: Path, indexer: StartService, synced: Synced
) -> None:
    """Each sets size or ctime for all names, and an event tells of one alone."""
    first = draw(root, "s/project_a/first.png")
    os.link(first, draw(root, "t/project_a/second.png").with_name("linked.png"))
    with indexer() as running:
        first.write_bytes(b"through one name")
        assert len(synced()) == 3
        os.link(first, root / "s/project_a/third.png")
        assert len({row.ctime_ns for row in synced() if row.filename != "second.png"}) == 1
        (root / "t/project_a/linked.png").write_bytes(b"through another name")
        synced()
        first.unlink()
        synced()
        (root / "s/project_a/third.png").rename(root / "t/project_a/fourth.png")
        synced()
        os.utime(root / "t/project_a/fourth.png", ns=(5, 5))
        assert {row.filename for row in synced() if row.mtime_ns == 5} == {"linked.png", "fourth.png"}
        # One whose other name was outside the root when it was met.
        os.link(draw(tmp_path, "outside.png"), root / "s/project_a/inside.png")
        synced()
        os.link(tmp_path / "outside.png", root / "s/project_a/too.png")
        synced()
        os.truncate(root / "s/project_a/too.png", 3)
        assert {row.filename for row in synced() if row.size == 3} == {"inside.png", "too.png"}
        # As programs publish that must not overwrite: no event tells a plot that its first name, no plot, has gone.
        draft = draw(root, "s/project_a/draft.tmp")
        os.link(draft, root / "s/project_a/published.png")
        synced()
        draft.unlink()
        synced()
        for number in range(500):
            os.link(root / "s/project_a/published.png", root / f"s/project_a/{number}.png")
        synced()
        os.utime(root / "s/project_a/7.png", ns=(7, 7))
        assert len([row for row in synced() if row.mtime_ns == 7]) == 501
        shutil.rmtree(root / "t")
        synced()
        assert "Traceback" not in running.stderr


def test_a_plot_is_in_the_catalogue_while_it_is_written_and_of_another_version_once_it_is_closed(
    root: Path, catalog: Catalog, indexer: StartService, synced: Synced
) -> None:
    def rows() -> list[Plot]:
        return [row for row in catalog.plots("s") if row.filename == "slow.png"]

    def version(size: int) -> str:
        wait_until(lambda: [row.size for row in rows()] == [size])
        return rows()[0].version

    draw(root, "s/project_a/done.png")
    with indexer(), (root / "s/project_a/slow.png").open("wb") as file:
        created = version(0)
        file.write(b"half ")
        file.flush()
        half = version(5)
        synced()
        file.write(b"and the rest")
        file.close()
        whole = version(17)
        assert len({created, half, whole}) == 3
        # Overwritten in place: of the same size, but not of the same time.
        with (root / "s/project_a/slow.png").open("r+b") as again:
            again.write(b"HALF")
        synced()
        assert version(17) != whole


def cache_status(settings: Settings, path: str) -> str:
    """What an application of one's own says of an answer, by its real views."""
    app = Flask(__name__)
    PlotIndex(app, root=settings.root, state_dir=settings.state_dir, may_see=lambda _session: True)
    answer = app.test_client().get(f"{settings.url_prefix}/plots/{path}")
    assert answer.status_code == 200
    answer.close()
    return answer.headers["Cache-Status"]


def test_with_polling_always_nothing_is_watched_plots_are_found_by_looking_again_and_it_is_said(
    root: Path, settings: Settings, catalog: Catalog, service: StartService, plotindex: RunPlotindex
) -> None:
    draw(root, "s/project_a/x.png")
    with service("watch", "--polling", "always", "--poll-seconds", "2") as running:
        wait_until(lambda: [beat.state for beat in catalog.heartbeats()] == ["polling"])
        assert watched_inodes(running.pid) == set()
        for path in ("s/project_a/y.png", "new/project_b/sub/z.png"):
            draw(root, path)
        (root / "s/project_a/x.png").unlink()
        wait_until(lambda: all_plots(catalog) == plots_by_hand(root))
        assert cache_status(settings, "s/y.png") == "plotindex; hit; detail=unwatched"
        status = plotindex("status")
        assert (status.returncode, status.stderr) == (0, "")
        assert "indexer    polling, " in status.stdout
        assert "polled     the root (polling is always)" in status.stdout
        assert re.search(r"\nrolling    \d+ folders in [12] sessions", status.stdout), status.stdout
        draw(root, "s/project_a/asked.png")
        assert plotindex("sync", "--timeout", "20").returncode == 0
        assert all_plots(catalog) == plots_by_hand(root)
        assert not re.search("Traceback|missed", running.stderr), running.stderr


@pytest.fixture
def foreign() -> Iterator[None]:
    """A mount namespace, in which hugetlbfs stands for a network file system: a real one that is not known as local.

    Its files can be made, linked and dated, not written.
    """
    with own_mounts():
        yield


def test_what_lies_on_a_foreign_file_system_is_polled_as_soon_and_as_long_as_it_is_mounted(
    foreign: None, root: Path, tmp_path: Path, settings: Settings, catalog: Catalog, indexer: StartService
) -> None:
    draw(root, "near/project_a/x.png")
    (root / "far").mkdir()
    (tmp_path / "far").mkdir()
    mount("-t", "hugetlbfs", "none", tmp_path / "far")
    (tmp_path / "far/session/project_a").mkdir(parents=True)
    plot = tmp_path / "far/session/project_a/x.png"
    plot.touch()
    # The other host: no event tells of what is done through a name that lies outside of the root.
    os.link(plot, tmp_path / "far/other-host.png")
    with indexer("--poll-seconds", "1") as running:
        assert cache_status(settings, "near/x.png") == "plotindex; hit"
        mount("--bind", tmp_path / "far/session", root / "far")
        wait_until(lambda: all_plots(catalog) == plots_by_hand(root))
        assert "Polling instead of watching: far (file system hugetlbfs)" in running.stderr
        os.utime(tmp_path / "far/other-host.png", ns=(7, 7))
        wait_until(lambda: {row.mtime_ns for row in catalog.plots("far")} == {7})
        wait_until(lambda: catalog.heartbeats()[0].polled == "far (file system hugetlbfs)")
        wait_until(lambda: catalog.heartbeats()[0].state == "polling", 6)
        assert cache_status(settings, "far/x.png") == "plotindex; hit; detail=unwatched"
        unmount(root / "far")
        wait_until(lambda: all_plots(catalog) == plots_by_hand(root))
        wait_until(lambda: (catalog.heartbeats()[0].state, catalog.heartbeats()[0].polled) == ("watching", None), 6)
        assert "Traceback" not in running.stderr


def test_a_root_on_a_foreign_file_system_is_polled_from_the_start(
    foreign: None,
    root: Path,
    tmp_path: Path,
    settings: Settings,
    catalog: Catalog,
    service: StartService,
) -> None:
    (tmp_path / "far").mkdir()
    mount("-t", "hugetlbfs", "none", tmp_path / "far")
    (tmp_path / "far/plots/s/project_a").mkdir(parents=True)
    mount("--bind", tmp_path / "far/plots", root)
    plot = root / "s/project_a/x.png"
    plot.touch()
    os.link(tmp_path / "far/plots/s/project_a/x.png", tmp_path / "far/other-host.png")
    with service("watch", "--poll-seconds", "1") as running:
        wait_until(lambda: [beat.state for beat in catalog.heartbeats()] == ["polling"])
        os.utime(tmp_path / "far/other-host.png", ns=(7, 7))
        wait_until(lambda: {row.mtime_ns for row in catalog.plots("s")} == {7})
        # What this host does is told by events all the same.
        (root / "s/project_b").mkdir()
        (root / "s/project_b/y.png").touch()
        wait_until(lambda: all_plots(catalog) == plots_by_hand(root))
        assert cache_status(settings, "s/x.png") == "plotindex; hit; detail=unwatched"
        assert catalog.heartbeats()[0].polled == "the root (file system hugetlbfs)"
        os.utime(tmp_path / "far/other-host.png", ns=(8, 8))
        assert wait_for_sync(settings.barrier_folder, 20, lambda: require_indexer(catalog))
        assert {row.mtime_ns for row in catalog.plots("s") if row.filename == "x.png"} == {8}
        folders = {**folders_to_watch(root), settings.barrier_folder.stat().st_ino: "barriers"}
        assert list(compare_watches(watched_inodes(running.pid), folders)) == []
