"""Neither an endless reader nor thumbnails fill the disk of the catalogue."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from plotindex.errors import CatalogError
from plotindex.index.reconcile import reconcile
from plotindex.ops.status import read_status
from plotindex.rendering.cache import FileCache
from plotindex.storage.catalog import Catalog
from plotindex.storage.sqlite import wal
from plotindex.storage.sqlite.disk_space import room_for_others, wal_bytes
from plotindex.tree.grammar import Layout
from plotindex.tree.tree import Tree
from tests.support.namespaces import small_disk_at
from tests.support.processes import draw

MEGABYTE = 1 << 20


def test_endless_reader_cannot_grow_the_log_beyond_its_bound(
    tree: Tree, catalog: Catalog, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wal, "MAX_WAL_BYTES", MEGABYTE)
    for number in range(1_500):
        draw(root, f"s/project_a/{'long' * 50}{number}.png", b"")
    reconcile(tree, catalog, [""])
    database = catalog.database
    assert database.pinned_wal_bytes() == 0
    with closing(sqlite3.connect(database.path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM plot").fetchone()
        with pytest.raises(CatalogError, match="has grown to 1 MB, because a program holds a read transaction open"):
            for _ in range(20):
                touch_all(root)
                reconcile(tree, catalog, [""])
        assert database.pinned_wal_bytes() >= MEGABYTE / 2
        assert wal_bytes(database.path) < 4 * MEGABYTE, "a transaction more than the bound, and no two"
        assert "end that program" in str(read_status(catalog, Layout()).trouble)
        reader.execute("COMMIT")
    reconcile(tree, catalog, [""])
    assert database.pinned_wal_bytes() == 0
    assert {plot.mtime_ns for plot in catalog.plots("s")} == {any_of(root).stat().st_mtime_ns}


@pytest.fixture
def state_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MB for the state."""
    with small_disk_at(tmp_path / "state", "size=24m") as folder:
        yield folder


@pytest.mark.parametrize("others_bytes", [0, 10 * MEGABYTE])
def test_a_log_that_an_endless_reader_pinned_is_emptied_once_the_reader_has_gone(
    state_disk: Path, tree: Tree, catalog: Catalog, root: Path, others_bytes: int
) -> None:
    (state_disk / "others").write_bytes(bytes(others_bytes))
    draw(root, "s/project_a/x.png")
    reconcile(tree, catalog, [""])
    refusals = set()
    with closing(sqlite3.connect(catalog.database.path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM plot").fetchone()
        for number in range(40):
            # New plots in place of the former, as a flood of scripts does.
            for plot in (root / "s/project_a").iterdir():
                plot.unlink()
            for name in (f"{number}-{plot}-{'long' * 50}.png" for plot in range(400)):
                (root / "s/project_a" / name).touch()
            try:
                reconcile(tree, catalog, [""])
            except CatalogError as error:
                refusals.add(str(error))
    assert any("a program holds a read transaction open: end that program" in refusal for refusal in refusals)
    reconcile(tree, catalog, [""])
    assert {plot.filename for plot in catalog.plots("s")} == {plot.name for plot in (root / "s/project_a").iterdir()}


def test_a_log_that_the_disk_has_no_room_to_empty_is_replaced_with_the_database(
    state_disk: Path, tree: Tree, catalog: Catalog, root: Path
) -> None:
    draw(root, "s/project_a/x.png")
    reconcile(tree, catalog, [""])
    path = catalog.database.path
    catalog.database.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM plot").fetchone()
        with closing(sqlite3.connect(path)) as older:
            older.execute("PRAGMA journal_mode = WAL")
            older.execute("CREATE TABLE of_an_older_version AS SELECT zeroblob(9000000)")
            older.commit()
        disk = os.statvfs(state_disk)
        with (state_disk / "others").open("wb") as others:
            os.posix_fallocate(others.fileno(), 0, (disk.f_bavail - 2) * disk.f_frsize)
    assert wal_bytes(path) > 8 * MEGABYTE
    with pytest.raises(CatalogError, match="plotindex rebuild"):
        reconcile(tree, catalog, [""])
    catalog.initialise(str(root), tree.layout)
    reconcile(tree, catalog, [""])
    assert [plot.filename for plot in catalog.plots("s")] == ["x.png"]
    assert not list(path.parent.glob("*.damaged*"))


def touch_all(root: Path) -> None:
    """Change the mtime of every plot."""
    times = (0, any_of(root).stat().st_mtime_ns + 1_000_000_000)
    for plot in (root / "s/project_a").iterdir():
        os.utime(plot, ns=times)


def any_of(root: Path) -> Path:
    return next((root / "s/project_a").iterdir())


def test_thumbnails_leave_disk_space_to_the_catalogue(small_disk: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache = FileCache(small_disk / "thumbnails", 10 * MEGABYTE, lambda: None)
    for number in range(600):
        cache.put(f"{number}", b"x" * 4096)
    assert -16_384 < room_for_others(small_disk) < 16_384
    assert cache.get("0") is not None
    assert caplog.text.count("the disk is nearly full") == 1
