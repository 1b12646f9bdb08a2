"""Full scans check the integrity of the database, and a damaged one is not used."""

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from plotindex.errors import DamagedDatabaseError
from plotindex.index.reconcile import reconcile
from plotindex.storage.catalog import Catalog
from plotindex.storage.integrity import IntegrityCheck
from plotindex.storage.sqlite import wal
from plotindex.tree.tree import Tree
from plotindex.watch.full_scan import FullScanSchedule
from plotindex.watch.leader_role import Leadership
from plotindex.watch.scheduler import FairScheduler
from plotindex.watch.watched_folders import Watches
from plotindex.watch.watcher import Watcher
from tests.support.processes import draw, wait_until


def test_every_full_scan_checks_the_integrity_of_the_database(tree: Tree, catalog: Catalog, root: Path) -> None:
    for number in range(200):
        draw(root, f"s/project_a/{number}.png")
    reconcile(tree, catalog, [""])
    damage_index(catalog, "ix_plot_scope")
    assert reconcile(tree, catalog, ["s"]).differences == 0, "it would not be noticed"
    with pytest.raises(DamagedDatabaseError):
        reconcile(tree, catalog, [""])


def damage_index(catalog: Catalog, name: str) -> None:
    path = catalog.database.path
    catalog.database.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"damage! " * (size // 8))


def test_restarted_scan_reuses_the_running_integrity_check(
    tree: Tree, catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    released, begun = threading.Event(), []

    def check() -> None:
        begun.append(released.wait(20))

    monkeypatch.setattr(catalog.database, "check_integrity", check)
    watcher = Watcher(tree, tmp_path / "barriers", Watches)
    full_scans = FullScanSchedule(FairScheduler(tree, catalog, watcher), Leadership(catalog.database), 3600)
    for _ in range(5):
        full_scans.start_if_due()
        assert full_scans.step() is None, "the check has not ended"
        full_scans.restart()
    full_scans.start_if_due()
    released.set()
    wait_until(full_scans.step)
    assert begun == [True]


def test_writers_wait_for_the_integrity_check_once_the_log_is_large(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()
    monkeypatch.setattr(catalog.database, "check_integrity", released.wait)
    check = IntegrityCheck(catalog.database)
    assert not check.wait()
    with catalog.writing() as writer:
        writer.expire_cursors(0)
    monkeypatch.setattr(wal, "MAX_WAL_BYTES", 1)
    threading.Timer(0.1, released.set).start()
    assert check.wait()
