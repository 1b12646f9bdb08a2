"""Full scans check the integrity of the database, and a damaged one is not used."""

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from plotindex.auth.tokens import Tokens
from plotindex.cli.main import main
from plotindex.config.settings import Settings
from plotindex.errors import DamagedDatabaseError
from plotindex.index.reconcile import reconcile
from plotindex.storage.catalog import Catalog
from plotindex.storage.heartbeat import Heartbeat
from plotindex.storage.integrity import IntegrityCheck
from plotindex.storage.sqlite import wal
from plotindex.tree.tree import Tree
from plotindex.watch.full_scan import FullScanSchedule
from plotindex.watch.leader_role import Leadership
from plotindex.watch.scheduler import FairScheduler
from plotindex.watch.watched_folders import Watches
from plotindex.watch.watcher import Watcher
from tests.support.processes import RunPlotindex, draw, wait_until


def test_every_full_scan_checks_the_integrity_of_the_database(tree: Tree, catalog: Catalog, root: Path) -> None:
    for number in range(200):
        draw(root, f"s/project_a/{number}.png")
    reconcile(tree, catalog, [""])
    damage_index(catalog, "ix_plot_scope")
    assert reconcile(tree, catalog, ["s"]).differences == 0, "it would not be noticed"
    with pytest.raises(DamagedDatabaseError):
        reconcile(tree, catalog, [""])


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("plot.mtime_ns", "text"),
        ("plot.inode", b"blob"),
        ("session.clock", 1.5),
        ("catalogue.root", b"blob"),
        ("indexer.heartbeat", "text"),
        ("indexer.heartbeat", float("inf")),
    ],
)
def test_value_of_another_type_is_reported_as_damage_and_rebuilt(
    catalog: Catalog, root: Path, plotindex: RunPlotindex, tree: Tree, column: str, value: object
) -> None:
    draw(root, "s/project_a/x.png")
    reconcile(tree, catalog, [""])
    catalog.store_heartbeat(Heartbeat("host", 1, 0.0, 0.0, "watching"))
    catalog.database.close()
    table, name = column.split(".")
    with closing(sqlite3.connect(catalog.database.path)) as connection, connection:
        connection.execute(f"UPDATE {table} SET {name} = ?", (value,))
    with pytest.raises(DamagedDatabaseError):
        catalog.database.check_integrity()
    for command in ("status", "doctor", "find x"):
        done = plotindex(*command.split())
        assert "Traceback" not in done.stderr, (command, done.stderr)
    assert plotindex("rebuild").returncode == 0
    assert plotindex("verify").returncode == 0


@pytest.mark.parametrize("has_catalog", [True, False])
def test_error_that_no_damage_explains_is_not_hidden(
    catalog: Catalog, settings: Settings, monkeypatch: pytest.MonkeyPatch, *, has_catalog: bool
) -> None:
    def fail(_: Tokens) -> None:
        raise TypeError("a fault of plotindex")

    monkeypatch.setattr(Tokens, "list", fail)
    if not has_catalog:
        catalog.database.close()
        catalog.database.path.unlink()
    environment = {"PLOTINDEX_ROOT": str(settings.root), "PLOTINDEX_STATE_DIR": str(settings.state_dir)}
    done = CliRunner(env=environment).invoke(main, ["token", "list"])
    assert isinstance(done.exception, TypeError), done.output


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


def test_a_full_scan_does_not_wait_for_the_check_of_which_one_runs_at_a_time(
    tree: Tree, catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    released, begun = threading.Event(), []

    def check() -> None:
        begun.append(released.wait(20))
        raise DamagedDatabaseError("damaged")

    monkeypatch.setattr(catalog.database, "check_integrity", check)
    watcher = Watcher(tree, tmp_path / "barriers", Watches)
    full_scans = FullScanSchedule(FairScheduler(tree, catalog, watcher), Leadership(catalog.database), 3600)
    for _ in range(5):
        full_scans.start_if_due()
        assert full_scans.step() is not None
        full_scans.restart()
    assert full_scans.seconds_to_next < 1
    released.set()
    with pytest.raises(DamagedDatabaseError):
        wait_until(full_scans.step)
    assert begun == [True]
    monkeypatch.undo()
    full_scans.start_if_due()
    wait_until(full_scans.step)


def test_writers_wait_for_the_integrity_check_once_the_log_is_large(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()
    monkeypatch.setattr(catalog.database, "check_integrity", released.wait)
    check = IntegrityCheck(catalog.database, is_awaited=True)
    assert not check.wait()
    with catalog.writing() as writer:
        writer.expire_cursors(0)
    monkeypatch.setattr(wal, "MAX_WAL_BYTES", 1)
    threading.Timer(0.1, released.set).start()
    assert check.wait()
