"""Lookups: hits, scans that heal, and the limits on scans."""

import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from plotindex.errors import RootLostError
from plotindex.index.lookup import CacheStatus, Lookup, LookupResult
from plotindex.index.reconcile import reconcile
from plotindex.index.scan_limiter import MAX_RESULTS, ScanLimiter, ScansBusyError
from plotindex.storage.catalog import Catalog
from plotindex.storage.heartbeat import Heartbeat
from plotindex.storage.sqlite.database import SqliteDatabase
from plotindex.tree.plots import Plot, PlotKey
from plotindex.tree.tree import Tree
from tests.support.postgres import on_both_engines
from tests.support.processes import all_plots, draw, wait_until


class Reader:
    """Looks up a key and reads the opened file."""

    def __init__(self, lookup: Lookup) -> None:
        self.lookup = lookup

    def __call__(self, session: str, filename: str, project: str | None = None) -> tuple[bytes | None, CacheStatus]:
        answer: LookupResult = self.lookup.open(session, filename, project)
        if answer.opened is None:
            return None, answer.cache_status
        with os.fdopen(answer.opened.fd, "rb") as file:
            return file.read(), answer.cache_status


@pytest.fixture
def ask(tree: Tree, catalog: Catalog) -> Iterator[Reader]:
    now = time.time()
    catalog.store_heartbeat(Heartbeat("here", 1, now, now + 10, "watching"))
    yield Reader(Lookup(tree, catalog))


@on_both_engines
def test_a_hit_does_not_scan_the_other_projects(ask: Reader, tree: Tree, catalog: Catalog, root: Path) -> None:
    draw(root, "s/project_a/x.png", b"a", mtime_ns=1)
    draw(root, "s/project_b/x.png", b"b", mtime_ns=2)
    reconcile(tree, catalog, [""])
    draw(root, "s/project_c/x.png", b"not indexed yet", mtime_ns=3)
    assert ask("s", "x.png") == (b"b", CacheStatus.HIT)
    assert ask("s", "x.png", "project_a") == (b"a", CacheStatus.HIT)


@on_both_engines
def test_a_miss_is_found_by_scan_and_healed(ask: Reader, catalog: Catalog, root: Path) -> None:
    draw(root, "s/project_a/sub/x.png", b"a")
    assert ask("s", "sub/x.png") == (b"a", CacheStatus.MISS)
    assert ask("s", "sub/x.png") == (b"a", CacheStatus.HIT)
    assert catalog.counts() == (1, 1)


@on_both_engines
def test_a_stale_row_is_found_by_scan_and_healed(ask: Reader, tree: Tree, catalog: Catalog, root: Path) -> None:
    draw(root, "s/project_a/x.png", b"a", mtime_ns=1)
    draw(root, "s/project_b/x.png", b"b", mtime_ns=2)
    reconcile(tree, catalog, [""])
    (root / "s/project_b/x.png").unlink()
    assert ask("s", "x.png") == (b"a", CacheStatus.STALE)
    assert ask("s", "x.png") == (b"a", CacheStatus.HIT)
    (root / "s/project_a/x.png").unlink()
    assert ask("s", "x.png", "project_a") == (None, CacheStatus.STALE)
    assert ask("s", "x.png") == (None, CacheStatus.MISS)
    assert all_plots(catalog) == set()


def test_a_rewritten_file_is_served_in_its_new_version(ask: Reader, tree: Tree, catalog: Catalog, root: Path) -> None:
    draw(root, "s/project_a/x.png", b"first")
    reconcile(tree, catalog, [""])
    draw(root, "s/project_a/x.png", b"second")
    assert ask("s", "x.png") == (b"second", CacheStatus.HIT)
    assert all_plots(catalog) == {tree.stat_plot("s", "project_a", "x.png")}


@on_both_engines
@pytest.mark.parametrize(("age", "state"), [(20.0, "watching"), (0.0, "stopped"), (0.0, "lost"), (0.0, "starting")])
def test_a_hit_without_a_watching_indexer_is_unwatched(
    tree: Tree, catalog: Catalog, root: Path, age: float, state: str
) -> None:
    draw(root, "s/project_a/x.png", b"a")
    reconcile(tree, catalog, [""])
    now = time.time()
    catalog.store_heartbeat(Heartbeat("here", 1, now, now - age, state))
    assert Reader(Lookup(tree, catalog))("s", "x.png") == (b"a", CacheStatus.UNWATCHED)


def test_without_a_catalogue_every_request_scans_until_one_exists(tree: Tree, root: Path, tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "later.db")
    ask = Reader(Lookup(tree, Catalog(database)))
    draw(root, "s/project_a/x.png", b"a")
    assert ask("s", "x.png") == (b"a", CacheStatus.MISS)
    assert ask("s", "gone.png") == (None, CacheStatus.MISS)
    assert not (tmp_path / "later.db").exists()
    database.migrate()
    Catalog(database).record_root(str(root), tree.layout, 1)
    reconcile(tree, Catalog(database), [""])
    wait_until(lambda: ask("s", "x.png") == (b"a", CacheStatus.UNWATCHED))
    database.close()


def test_with_a_damaged_catalogue_requests_scan(tree: Tree, root: Path, tmp_path: Path) -> None:
    (tmp_path / "damaged.db").write_bytes(b"this is no database" * 1000)
    draw(root, "s/project_a/x.png", b"a")
    assert Reader(Lookup(tree, Catalog(SqliteDatabase(tmp_path / "damaged.db"))))("s", "x.png") == (
        b"a",
        CacheStatus.MISS,
    )


@on_both_engines
def test_healing_does_not_wait_for_a_writer(ask: Reader, catalog: Catalog, root: Path) -> None:
    draw(root, "s/project_a/x.png", b"a")
    with catalog.writing(sessions=["s"]):
        began = time.monotonic()
        assert ask("s", "x.png") == (b"a", CacheStatus.MISS)
        assert time.monotonic() - began < 5
    assert all_plots(catalog) == set()


def test_healing_below_a_lost_root_deletes_nothing(
    ask: Reader, tree: Tree, catalog: Catalog, root: Path, tmp_path: Path
) -> None:
    draw(root, "s/project_a/x.png")
    reconcile(tree, catalog, [""])
    before = all_plots(catalog)
    root.rename(tmp_path / "away")
    with pytest.raises(RootLostError):
        ask("s", "x.png")
    root.mkdir()
    assert ask("s", "x.png") == (None, CacheStatus.STALE)
    draw(root, "t/project_a/x.png", b"t")
    assert ask("t", "x.png") == (b"t", CacheStatus.MISS)
    assert all_plots(catalog) == before


def test_nothing_is_written_with_healing_off(tree: Tree, catalog: Catalog, root: Path) -> None:
    draw(root, "s/project_a/x.png", b"a")
    ask = Reader(Lookup(tree, catalog, heal=False))
    assert ask("s", "x.png") == (b"a", CacheStatus.MISS)
    assert all_plots(catalog) == set()


class SlowTree(Tree):
    """A tree whose scans are counted, and wait for an event."""

    def __init__(self, tree: Tree) -> None:
        super().__init__(tree.root, tree.layout)
        self.scans: list[PlotKey] = []
        self.go = threading.Event()

    def find(self, key: PlotKey) -> list[Plot]:
        self.scans.append(key)
        assert self.go.wait(20)
        return super().find(key)


def test_concurrent_misses_of_one_key_share_one_scan_and_too_many_keys_are_refused(
    tree: Tree, catalog: Catalog, root: Path
) -> None:
    draw(root, "s/project_a/x.png", b"a")
    slow = SlowTree(tree)
    lookup = Lookup(slow, catalog)
    with ThreadPoolExecutor(8) as pool:
        same = [pool.submit(Reader(lookup), "s", "x.png") for _ in range(5)]
        other = pool.submit(Reader(lookup), "s", "y.png")
        wait_until(lambda: len(slow.scans) == 2)
        with pytest.raises(ScansBusyError):
            lookup.open("s", "z.png")
        slow.go.set()
        assert {answer.result(20) for answer in same} <= {(b"a", CacheStatus.MISS), (b"a", CacheStatus.UNWATCHED)}
        assert other.result(20) == (None, CacheStatus.MISS)
    assert sorted(slow.scans) == [PlotKey("s", "x.png"), PlotKey("s", "y.png")]


def test_a_session_with_many_misses_leaves_a_scan_to_others(tree: Tree, catalog: Catalog) -> None:
    slow = SlowTree(tree)
    lookup = Lookup(slow, catalog)
    with ThreadPoolExecutor(8) as pool:
        greedy = [pool.submit(lookup.open, "s", f"{number}.png") for number in range(2)]
        wait_until(lambda: len(slow.scans) == 2)
        with pytest.raises(ScansBusyError):
            lookup.open("other", "x.png")
        slow.go.set()
        assert [one.result(20) for one in greedy] == [LookupResult(None, CacheStatus.MISS)] * 2
        slow.go.clear()
        first = pool.submit(lookup.open, "s", "next.png")
        wait_until(lambda: len(slow.scans) == 3)
        with pytest.raises(ScansBusyError):
            lookup.open("s", "another.png")
        theirs = pool.submit(lookup.open, "other", "x.png")
        wait_until(lambda: len(slow.scans) == 4)
        slow.go.set()
        assert first.result(20) == theirs.result(20) == LookupResult(None, CacheStatus.MISS)


def test_results_of_scans_are_dropped_after_a_second(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    scans = ScanLimiter()
    for number in range(30_000):
        assert scans.run(PlotKey("s", f"{number}.png"), list) == []
    assert len(scans._results) <= MAX_RESULTS + 1
    now = 2.0
    copy = Plot("s", "project_a", "x.png", 1, 1, 1, 1)
    assert len(scans.run(PlotKey("s", "x.png"), lambda: [copy] * 1000)) < 100
    assert len(scans._results) == 1


def test_a_missing_name_is_scanned_for_once_a_second(tree: Tree, catalog: Catalog) -> None:
    slow = SlowTree(tree)
    slow.go.set()
    lookup = Lookup(slow, catalog)
    began = time.monotonic()
    for _ in range(200):
        assert lookup.open("s", "gone.png") == LookupResult(None, CacheStatus.MISS)
    assert len(slow.scans) <= 1 + (time.monotonic() - began)


def test_a_failed_scan_is_retried(tree: Tree, catalog: Catalog, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = Reader(Lookup(tree, catalog))
    draw(root, "s/project_a/x.png", b"a")
    with monkeypatch.context() as patched:
        patched.setattr(Tree, "find", lambda _self, _key: (_ for _ in ()).throw(OSError(5, "provoked")))
        for _ in range(3):
            with pytest.raises(OSError, match="provoked"):
                ask("s", "x.png")
    assert ask("s", "x.png") == (b"a", CacheStatus.MISS)


def test_a_project_renamed_right_after_a_scan_is_found(ask: Reader, root: Path) -> None:
    draw(root, "s/project_a/x.png", b"a")
    assert ask("s", "x.png") == (b"a", CacheStatus.MISS)
    (root / "s/project_a").rename(root / "s/project_b")
    assert ask("s", "x.png") == (b"a", CacheStatus.STALE)


@on_both_engines
def test_no_plot_is_reported_absent_while_the_root_is_lost(tree: Tree, catalog: Catalog, root: Path) -> None:
    now = time.time()
    catalog.store_heartbeat(Heartbeat("here", 1, now, now, "lost"))
    with pytest.raises(RootLostError):
        Lookup(tree, catalog).open("s", "x.png")


def test_a_row_that_points_outside_the_session_opens_nothing(
    ask: Reader, catalog: Catalog, tmp_path: Path, root: Path
) -> None:
    draw(tmp_path, "secret.png", b"secret")
    draw(root, "s/project_a/x.png", b"a")
    with sqlite3.connect(catalog.database.path) as connection:
        for project, name in [("project_a/../../..", "secret.png"), ("project_a", "../../../secret.png")]:
            connection.execute("INSERT INTO plot VALUES ('s', ?, ?, 1, 1, 1, 1, 1)", (name, project))
    connection.close()
    assert ask("s", "secret.png") == (None, CacheStatus.STALE)
    assert ask("s", "../../../secret.png") == (None, CacheStatus.MISS)


def test_answers_leave_no_descriptor_open(ask: Reader, tree: Tree, catalog: Catalog, root: Path) -> None:
    draw(root, "s/project_a/x.png")
    reconcile(tree, catalog, [""])
    ask("s", "x.png")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for number in range(20):
        ask("s", "x.png")
        ask("s", f"gone{number}.png")
    shutil.rmtree(root / "s")
    ask("s", "x.png")
    assert len(list(Path("/proc/self/fd").iterdir())) == before
