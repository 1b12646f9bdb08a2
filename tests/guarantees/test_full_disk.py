"""A disk that the catalogue itself has filled: removals go on, and it recovers without help."""

import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from plotindex.config.settings import Settings
from plotindex.errors import CatalogError
from plotindex.history.contents import HistoryError
from plotindex.history.keeper import Limits
from plotindex.history.store import HistoryStore
from plotindex.index.liveness import require_indexer
from plotindex.index.lookup import CacheStatus, Lookup
from plotindex.index.reconcile import reconcile
from plotindex.index.verify import differences
from plotindex.ops.status import read_status
from plotindex.rendering.cache import FileCache
from plotindex.storage.catalog import Catalog
from plotindex.storage.sqlite import disk_space
from plotindex.storage.sqlite.disk_space import DiskSpace
from plotindex.tree.tree import Tree
from plotindex.watch.barriers import wait_for_sync
from tests.guarantees.test_convergence import plots_by_hand
from tests.support.history import HistorySite
from tests.support.namespaces import small_disk_at
from tests.support.processes import StartService, all_plots, draw, run_plotindex, wait_until

MEGABYTE = 1 << 20
FOLDERS = "/".join(["d" * 200] * 4)


@pytest.fixture
def state_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MB for the state; 3 MB of it are the reserve."""
    with small_disk_at(tmp_path / "state", "size=24m") as folder:
        yield folder


def flood(root: Path, sessions: int) -> None:
    """Draw empty plots with long names, in sessions that are each within its limits."""
    for session in range(sessions):
        folder = root / f"flood{session}/project_a" / FOLDERS
        folder.mkdir(parents=True)
        for number in range(1000):
            (folder / f"{number:06}.png").touch()


def free_bytes(disk: Path) -> int:
    status = os.statvfs(disk)
    return status.f_bavail * status.f_frsize


def trouble_of(tree: Tree, catalog: Catalog, settings: Settings) -> str:
    return str(read_status(catalog, tree.layout, lock=settings.indexer_lock).trouble)


def test_rows_that_no_disk_has_room_for_keep_others_out_for_a_while_only(
    state_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = DiskSpace(state_disk / "catalog.db", lambda: 0, is_catalogue=True)
    assert "gets no new plots" in space.problem(1 << 30)
    assert "gets no new plots" in space.problem()
    monkeypatch.setattr(disk_space, "RETRY_SECONDS", 0.0)
    assert "gets no new plots" in space.problem(1 << 30)
    assert space.problem() == ""


def test_a_catalogue_that_filled_its_disk_records_removals_and_recovers_when_the_flood_is_gone(
    state_disk: Path,
    root: Path,
    tree: Tree,
    catalog: Catalog,
    settings: Settings,
    indexer: StartService,
    environment: dict[str, str],
    tmp_path: Path,
) -> None:
    draw(root, "victim/project_a/old.png")
    draw(root, "victim/project_a/gone.png")

    def names() -> set[str]:
        return {plot.filename for plot in catalog.plots("victim")}

    with indexer() as running:
        assert names() == {"old.png", "gone.png"}
        flood(root, 24)
        running.wait_for(lambda: "gets no new plots" in running.stderr)
        assert free_bytes(state_disk) > MEGABYTE
        draw(root, "victim/project_a/new.png")
        (root / "victim/project_a/gone.png").unlink()
        wait_until(lambda: names() == {"old.png"})
        opened, cache_status = Lookup(tree, catalog).open("victim", "new.png")
        assert opened is not None and cache_status is CacheStatus.MISS
        os.close(opened.fd)
        # Nobody is told that the catalogue is complete.
        # After that of a reader that is in the way of a checkpoint for a moment.
        wait_until(lambda: re.search("gets no new plots.*make room", trouble_of(tree, catalog, settings)))
        assert Lookup(tree, catalog).degraded_reason() is not None
        assert not wait_for_sync(settings.barrier_folder, 2, lambda: None)
        # Not by the fork server, which may be outside this mount namespace.
        command = [sys.executable, "-m", "plotindex"]
        rebuilt = run_plotindex(["rebuild"], {**environment, "PLOTINDEX_ROOT": str(root)}, tmp_path, command=command)
        assert rebuilt.returncode != 0 and "make room" in rebuilt.stderr, rebuilt.stderr
        assert "Traceback" not in rebuilt.stderr
        for folder in root.glob("flood*"):
            shutil.rmtree(folder)
        wait_until(lambda: names() == {"old.png", "new.png"}, 60)
        wait_until(lambda: all_plots(catalog) == plots_by_hand(root), 60)
        wait_until(lambda: read_status(catalog, tree.layout, lock=settings.indexer_lock).trouble is None, 60)
        assert wait_for_sync(settings.barrier_folder, 20, lambda: require_indexer(catalog))
        assert Lookup(tree, catalog).degraded_reason() is None
        assert "has room again" in running.stderr
        assert "Traceback" not in running.stderr
    assert list(differences(tree, catalog)) == []


def test_a_reconcile_on_a_full_disk_removes_rows_adds_none_and_fails(
    state_disk: Path, root: Path, tree: Tree, catalog: Catalog
) -> None:
    draw(root, "s/project_a/gone.png")
    reconcile(tree, catalog, [""])
    filling = state_disk / "filling"
    with filling.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free_bytes(state_disk) - MEGABYTE)
    (root / "s/project_a/gone.png").unlink()
    draw(root, "s/project_a/new.png")
    # Also while a reader keeps the log from being emptied, as the check of the pages does.
    with catalog.database.reading() as reading:
        reading.driver.execute("SELECT count(*) FROM plot")
        with pytest.raises(CatalogError, match=r"disk is full.*: make room"):
            reconcile(tree, catalog, [""])
    assert all_plots(catalog) == set()
    filling.unlink()
    reconcile(tree, catalog, [""])
    assert all_plots(catalog) == plots_by_hand(root)


def test_the_history_leaves_the_reserve_to_removals_and_keeps_later_what_it_has_skipped(
    state_disk: Path, catalog: Catalog, settings: Settings
) -> None:
    store = HistoryStore.from_settings(settings)
    assert store is not None
    limits = Limits.from_settings(settings)
    site = HistorySite(settings.root, catalog, store.database, settings.history_folder, limits)
    gone = site.draw("s/project_a/gone.png", "gone")
    site.keep()
    filling = state_disk / "filling"
    gone.unlink()
    for number in range(100):
        site.draw(f"s/project_a/{number}.png", f"{number}")
    site.index()
    with filling.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free_bytes(state_disk) - 2 * MEGABYTE)
    with pytest.raises(HistoryError, match=r"gets no new versions \(disk is full.*: make room"):
        site.keep_without_indexing()
    keys = site.history.keys("s", 1000, is_limited=False).keys
    assert [(key.filename, key.gone is not None) for key in keys] == [("gone.png", True)]
    filling.unlink()
    site.keep()
    assert len(site.history.keys("s", 1000, is_limited=False).keys) == 101
    site.check()
    store.database.close()


def test_pictures_leave_the_reserve_to_the_catalogue(state_disk: Path) -> None:
    cache = FileCache(state_disk / "thumbnails", 100 * MEGABYTE, lambda: None)
    for number in range(24):
        cache.put(f"{number}-320", bytes(MEGABYTE))
    assert free_bytes(state_disk) >= 8 * MEGABYTE
    assert cache.get("0-320") is not None
