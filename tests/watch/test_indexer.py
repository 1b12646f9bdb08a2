"""The service, as a real process on a real tree."""

import mmap
import shutil
import signal
import time
from pathlib import Path

import requests

from plotindex.storage.catalog import Catalog
from plotindex.tree.plots import PlotKey
from plotindex.tree.tree import Tree
from tests.guarantees.test_convergence import plots_by_hand
from tests.support.postgres import on_both_engines
from tests.support.processes import RunPlotindex, StartService, all_plots, draw, wait_until


@on_both_engines
def test_a_plot_is_in_the_catalogue_as_it_is_drawn(root: Path, catalog: Catalog, indexer: StartService) -> None:
    with indexer():
        draw(root, "s/project_a/x.png")
        wait_until(lambda: catalog.current(PlotKey("s", "x.png")))
        draw(root, "s/project_b/x.png")
        wait_until(lambda: all_plots(catalog) == plots_by_hand(root))
        (root / "s/project_b/x.png").unlink()
        wait_until(lambda: all_plots(catalog) == plots_by_hand(root))


def test_what_was_drawn_while_no_indexer_ran_is_found_at_its_start(
    root: Path, catalog: Catalog, indexer: StartService
) -> None:
    draw(root, "s/project_a/x.png")
    with indexer():
        assert all_plots(catalog) == plots_by_hand(root)
    draw(root, "s/project_a/y.png")
    (root / "s/project_a/x.png").unlink()
    with indexer():
        assert all_plots(catalog) == plots_by_hand(root)


def test_a_full_reconcile_comes_round_and_finds_what_no_event_told(
    root: Path, catalog: Catalog, indexer: StartService
) -> None:
    """A write through a held mmap is invisible to inotify(7)."""
    plot = draw(root, "s/project_a/x.png", b"x" * mmap.PAGESIZE)
    with plot.open("r+b") as file:
        mapped = mmap.mmap(file.fileno(), 0)
    with mapped, indexer("--rescan-seconds", "2") as running:
        before = all_plots(catalog)
        mapped[:5] = b"mmap!"
        mapped.flush()
        wait_until(lambda: all_plots(catalog) == plots_by_hand(root) != before)
        wait_until(lambda: "found 1 plots and 0 folders missed by the watcher" in running.stderr)


def test_the_rescan_counts_nothing_as_missed_that_the_watcher_tells_of(
    root: Path, catalog: Catalog, indexer: StartService
) -> None:
    with indexer("--rescan-seconds", "1") as running:
        deadline = time.monotonic() + 2.5
        number = 0
        while time.monotonic() < deadline:
            draw(root, f"s{number % 3}/project_a/{number}.png")
            number += 1
        wait_until(lambda: all_plots(catalog) == plots_by_hand(root))
        assert "missed" not in running.stderr


def test_a_lost_root_is_said_kept_and_recovered_from(
    root: Path, tmp_path: Path, catalog: Catalog, indexer: StartService, plotindex: RunPlotindex
) -> None:
    draw(root, "s/project_a/x.png")
    with indexer() as running:
        before = all_plots(catalog)
        root.rename(tmp_path / "away")
        wait_until(lambda: "mount it again" in running.stderr)
        wait_until(lambda: catalog.heartbeats()[0].state == "lost")
        assert plotindex("status").returncode == 1
        beat = catalog.heartbeats()[0]
        wait_until(lambda: catalog.heartbeats()[0].heartbeat >= beat.heartbeat + 2)
        # However long it is away.
        assert running.stderr.count("Watcher failed") == catalog.heartbeats()[0].replaced == 1
        root.mkdir()
        draw(root, "stranger/project_a/x.png")
        wait_until(lambda: "shares no session" in running.stderr)
        assert all_plots(catalog) == before
        shutil.rmtree(root)
        (tmp_path / "away").rename(root)
        wait_until(lambda: catalog.heartbeats()[0].state == "watching")
        draw(root, "s/project_a/y.png")
        wait_until(lambda: all_plots(catalog) == plots_by_hand(root))
        assert running.stderr.count("shares no session") == 1


def test_the_indexer_beats_and_a_stop_is_told_at_once(
    root: Path, catalog: Catalog, indexer: StartService, tree: Tree
) -> None:
    with indexer() as running:
        first = wait_until(lambda: catalog.heartbeats()[0])
        assert (first.state, first.pid, first.watched) == ("watching", running.pid, 1)
        wait_until(lambda: catalog.heartbeats()[0].heartbeat > first.heartbeat)
        assert running.stop(signal.SIGTERM, 2.0) == 0
    assert [beat.state for beat in catalog.heartbeats()] == ["stopped"]


def test_a_long_scan_is_interrupted_when_the_service_is_stopped(
    root: Path, catalog: Catalog, service: StartService
) -> None:
    for number in range(40):
        for project in range(10):
            for plot in range(25):
                draw(root, f"s{number}/project_{project}/{plot}.png", b"x")
    with service("watch") as running:
        wait_until(lambda: catalog.counts()[1])
        assert running.stop(signal.SIGINT, 2.0) == 0
    assert catalog.counts()[1] <= 10_000


def test_a_database_that_is_deleted_under_indexer_and_server_is_recreated(
    root: Path, catalog: Catalog, indexer: StartService, server: StartService, plotindex: RunPlotindex
) -> None:
    draw(root, "s/project_a/x.png")
    token = plotindex("token", "create", "--name", "t").stdout.strip()
    with indexer() as watching, server() as serving:

        def answer() -> str:
            url = f"{serving.url}/api/smartstat/plots/s/x.png"
            got = requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=10)
            assert got.status_code == 200
            return got.headers["Cache-Status"]

        wait_until(lambda: answer() == "plotindex; hit")
        before = catalog.database.path.stat().st_ino
        for file in catalog.database.path.parent.glob("catalog.db*"):
            # Moved, not removed: a new file may get the number of one that is gone.
            file.rename(root.parent / f"away-{file.name}")
        wait_until(lambda: catalog.database.path.exists() and plotindex("status").returncode == 0)
        assert catalog.database.path.stat().st_ino != before
        wait_until(lambda: answer() == "plotindex; hit")
        draw(root, "s/project_a/y.png")
        wait_until(lambda: plotindex("find", "y.png").returncode == 0)
        assert plotindex("verify").returncode == 0
        assert watching.process.poll() is None
