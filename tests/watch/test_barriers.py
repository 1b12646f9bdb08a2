"""The barrier: `plotindex sync`, and the indexer's test of itself."""

import os
import shutil
import signal
import time
from pathlib import Path

from plotindex.config.settings import Settings
from plotindex.storage.catalog import Catalog
from tests.guarantees.test_convergence import plots_by_hand
from tests.support.processes import RunPlotindex, StartService, all_plots, draw, wait_until


def test_sync_returns_when_all_that_was_drawn_before_is_in_the_catalogue(
    root: Path, catalog: Catalog, indexer: StartService, plotindex: RunPlotindex, settings: Settings
) -> None:
    with indexer() as running:
        for number in range(300):
            draw(root, f"s{number % 7}/project_{number % 50}/sub/{number}.png")
        assert plotindex("sync").returncode == 0
        assert all_plots(catalog) == plots_by_hand(root)
        assert list(settings.barrier_folder.iterdir()) == []
        beat = wait_until(lambda: next((beat for beat in catalog.heartbeats() if beat.proven), None))
        assert beat is not None
        assert beat.behind < 1

        os.kill(running.pid, signal.SIGSTOP)
        late = plotindex("sync", "--timeout", "0.3")
        os.kill(running.pid, signal.SIGCONT)
        said = f"plotindex: Timed out after 0.3 s. The indexer (pid {running.pid}) is watching.\n"
        assert (late.returncode, late.stderr) == (1, said)
        assert plotindex("sync").returncode == 0
        assert list(settings.barrier_folder.iterdir()) == []
    asked = time.monotonic()
    alone = plotindex("sync")
    assert (alone.returncode, alone.stderr) == (1, "plotindex: No indexer is running: start `plotindex watch`.\n")
    assert time.monotonic() - asked < 30
    assert list(settings.barrier_folder.iterdir()) == []


def test_sync_and_wait_report_at_once_that_the_indexer_was_killed(
    root: Path, indexer: StartService, plotindex: RunPlotindex, catalog: Catalog
) -> None:
    with indexer() as running:
        os.kill(running.pid, signal.SIGKILL)
        running.process.wait()
        (beat,) = catalog.heartbeats()
        assert beat.is_recent
        dead = f"The indexer (process {running.pid}) has died: start `plotindex watch` again."
        started = time.monotonic()
        for command in (["sync"], ["wait", "s", "x.png"]):
            done = plotindex(*command, "--timeout", "50")
            assert (done.returncode, done.stderr) == (1, f"plotindex: {dead}\n")
        assert dead in plotindex("status").stderr
        assert time.monotonic() - started < 50


def test_what_was_asked_before_the_indexer_started_is_answered_after_its_first_look(
    root: Path, catalog: Catalog, settings: Settings, service: StartService
) -> None:
    settings.barrier_folder.mkdir(mode=0o700)
    question = settings.barrier_folder / "sync-early"
    question.touch()
    draw(root, "s/project_a/x.png")
    with service("watch"):
        wait_until(lambda: not question.exists())
        assert all_plots(catalog) == plots_by_hand(root)


def test_a_barrier_folder_that_is_deleted_is_recreated(
    root: Path, catalog: Catalog, indexer: StartService, plotindex: RunPlotindex, settings: Settings
) -> None:
    with indexer() as running:
        shutil.rmtree(settings.barrier_folder)
        wait_until(lambda: "the barrier folder was deleted" in running.stderr)
        wait_until(settings.barrier_folder.exists)
        draw(root, "s/project_a/x.png")
        assert plotindex("sync").returncode == 0
        assert all_plots(catalog) == plots_by_hand(root)
