"""The barrier: `plotindex sync`, and the indexer's test of itself."""

import os
import shutil
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from plotindex.config.settings import Settings
from plotindex.errors import CatalogError
from plotindex.storage.catalog import Catalog
from plotindex.watch.barriers import wait_for_sync
from tests.guarantees.test_convergence import plots_by_hand
from tests.support.processes import RunPlotindex, StartService, all_plots, draw, suspended, wait_until


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

        with suspended(running.pid):
            late = plotindex("sync", "--timeout", "0.3")
        said = f"plotindex: Timed out after 0.3 s. The indexer (pid {running.pid}) is watching, last heartbeat "
        assert late.returncode == 1
        assert late.stderr.startswith(said) and late.stderr.endswith(" ago.\n")
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


def rename(folder: Path) -> None:
    folder.rename(folder.with_name("renamed"))


def replace(folder: Path) -> None:
    rename(folder)
    folder.mkdir(mode=0o700)


@pytest.mark.parametrize("harm", [shutil.rmtree, rename, replace])
def test_a_barrier_folder_that_is_deleted_renamed_or_replaced_is_watched_again(
    root: Path,
    catalog: Catalog,
    indexer: StartService,
    plotindex: RunPlotindex,
    settings: Settings,
    harm: Callable[[Path], None],
) -> None:
    with indexer() as running:
        harm(settings.barrier_folder)
        wait_until(lambda: "the barrier folder" in running.stderr)
        wait_until(settings.barrier_folder.exists)
        draw(root, "s/project_a/x.png")
        assert plotindex("sync").returncode == 0
        assert all_plots(catalog) == plots_by_hand(root)


@pytest.mark.parametrize("harm", [shutil.rmtree, rename, replace])
def test_a_sync_does_not_succeed_because_its_folder_was_deleted_renamed_or_replaced(
    settings: Settings, harm: Callable[[Path], None]
) -> None:
    folder = settings.barrier_folder
    folder.mkdir(parents=True, mode=0o700)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(wait_for_sync, folder, 10, lambda: None)
        wait_until(lambda: list(folder.iterdir()))
        harm(folder)
        folder.mkdir(mode=0o700, exist_ok=True)
        with pytest.raises(CatalogError, match="was deleted or replaced while waiting"):
            waiting.result()


def test_sync_without_its_folder_says_who_creates_it(settings: Settings) -> None:
    settings.make_state_folder()
    with pytest.raises(CatalogError, match="run `plotindex sync` again: a running indexer creates the folder"):
        wait_for_sync(settings.barrier_folder, 1, lambda: None)
