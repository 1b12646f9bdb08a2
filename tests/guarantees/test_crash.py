"""kill -9 at any moment: the database always opens, and after the next start the catalogue equals the tree."""

import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil
import pytest

from plotindex.config.settings import Settings
from plotindex.errors import CatalogError
from plotindex.index import catalog_state
from plotindex.index.liveness import require_indexer
from plotindex.index.lookup import CacheStatus, Lookup
from plotindex.index.verify import differences
from plotindex.ops import health
from plotindex.ops.status import read_status
from plotindex.storage.catalog import Catalog
from plotindex.storage.sqlite import database
from plotindex.system.stop_request import StopRequest
from plotindex.tree.plots import PlotKey
from plotindex.tree.tree import Tree
from plotindex.watch import heartbeat as heartbeats
from plotindex.watch import indexer as indexer_module
from plotindex.watch.barriers import wait_for_sync
from plotindex.watch.indexer import Indexer
from tests import CHECKOUT
from tests.guarantees.test_convergence import plots_by_hand
from tests.support.processes import RunPlotindex, StartService, all_plots, draw, free_port, wait_until


def assert_sound(catalog: Catalog) -> None:
    with sqlite3.connect(catalog.database.path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        tallies = dict(connection.execute("SELECT session, plots FROM session").fetchall())
        assert tallies == dict(connection.execute("SELECT session, count(*) FROM plot GROUP BY session").fetchall())
    connection.close()


def test_a_rebuild_killed_at_any_moment_leaves_a_sound_catalogue(
    root: Path, tree: Tree, catalog: Catalog, plotindex: RunPlotindex, environment: dict[str, str]
) -> None:
    chance = random.Random(7)
    for number in range(6000):
        draw(root, f"s{number % 5}/project_{number % 7}/{number}.png")
    command = [sys.executable, "-m", "plotindex", "rebuild", "--root", str(root)]
    for attempt in range(8):
        draw(root, f"s{attempt}/project_a/new.png")
        extra = ["--from-scratch"] if attempt % 3 == 2 else []
        with subprocess.Popen([*command, *extra], env=environment, stdout=subprocess.DEVNULL) as process:
            try:
                process.wait(0.4 + chance.random() * 0.8)
            except subprocess.TimeoutExpired:
                process.kill()
        assert_sound(catalog)
    done = plotindex("rebuild")
    assert done.returncode == 0, done.stderr
    assert all_plots(catalog) == plots_by_hand(root)
    assert_sound(catalog)
    assert not list(differences(tree, catalog))


def test_an_indexer_killed_at_any_moment_starts_again_equal_to_the_tree(
    root: Path, catalog: Catalog, service: StartService, indexer: StartService
) -> None:
    chance = random.Random(8)
    draw(root, "kept/project_a/x.png")
    churn = subprocess.Popen([sys.executable, "-m", "tests.support.churn", str(root), "5", "15"])
    try:
        for _ in range(6):
            with service("watch") as running:
                try:
                    running.process.wait(0.5 + chance.random())
                except subprocess.TimeoutExpired:
                    running.process.send_signal(signal.SIGKILL)
                    running.process.wait(10)
            assert_sound(catalog)
    finally:
        churn.kill()
        churn.wait(10)
    # The killed indexer's last heartbeat may still be recent: check the new one's.
    with indexer():
        assert all_plots(catalog) == plots_by_hand(root)
        draw(root, "calm/project_a/after.png")
        wait_until(lambda: all_plots(catalog) == plots_by_hand(root))
    assert_sound(catalog)


def has_children(process: psutil.Process) -> bool:
    return len(process.children()) == 2


def has_written_since(catalog: Catalog, clock: int) -> bool:
    return catalog.header().clock > clock


def test_indexer_and_server_killed_in_a_storm_recover_with_the_first_scan(
    root: Path, catalog: Catalog, service: StartService, indexer: StartService
) -> None:
    storm = subprocess.Popen([sys.executable, "-m", "tests.support.churn", str(root), "6", "60"])
    try:
        for _ in range(2):
            with service("run", "--port", str(free_port())) as running:
                parent = psutil.Process(running.pid)
                running.wait_for(partial(has_children, parent))
                running.wait_for(partial(has_written_since, catalog, catalog.header().clock))
                family = [parent, *parent.children(recursive=True)]
                for member in family:
                    member.send_signal(signal.SIGKILL)
                running.process.wait(10)
                assert not psutil.wait_procs(family[1:], 10)[1]
            assert_sound(catalog)
    finally:
        storm.kill()
        storm.wait(10)
    with indexer() as watching:
        assert all_plots(catalog) == plots_by_hand(root)
        draw(root, "calm/project_a/after.png")
        wait_until(lambda: all_plots(catalog) == plots_by_hand(root))
        assert "Traceback" not in watching.stderr
    assert_sound(catalog)


def fill(disk: Path) -> Path:
    """Fill a disk."""
    file = disk / "filling"
    with suppress(OSError), file.open("ab", buffering=0) as rest:
        while rest.write(b"x" * 4096):
            pass
    return file


def test_a_full_disk_under_the_database_is_reported_and_no_reader_gets_a_wrong_answer(
    small_disk: Path,
    root: Path,
    tree: Tree,
    catalog: Catalog,
    settings: Settings,
    indexer: StartService,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A heartbeat is valid for a shorter time than by default, but longer than the indexer takes to write the next.
    for module in (catalog_state, health):
        monkeypatch.setattr(module, "HEARTBEAT_SECONDS", 3.5)

    def trouble() -> str:
        return str(read_status(catalog, tree.layout).trouble)

    def ask(filename: str) -> tuple[bytes | None, CacheStatus]:
        answer = Lookup(tree, catalog).open("s", filename)
        if answer.opened is None:
            return None, answer.cache_status
        with os.fdopen(answer.opened.fd, "rb") as file:
            return file.read(), answer.cache_status

    for number in range(10):
        draw(root, f"s/project_a/{number}.png", b"before")
    with indexer() as running:
        assert ask("0.png") == (b"before", CacheStatus.HIT)
        filling = fill(small_disk)
        for number in range(600):
            draw(root, f"s/project_a/{number}.png", b"after")
        (root / "s/project_a/1.png").unlink()
        wait_until(lambda: "disk is full" in running.stderr)
        # Answered from the catalogue or by a scan, but always as it is now.
        assert ask("0.png")[0] == ask("599.png")[0] == b"after"
        assert ask("1.png")[0] is ask("600.png")[0] is None
        wait_until(lambda: ask("0.png") == (b"after", CacheStatus.UNWATCHED))
        assert re.search("last reported|blocked", trouble())
        lock = settings.indexer_lock
        told = str(read_status(catalog, tree.layout, lock=lock).trouble)
        assert re.search("disk is full.*: make room", told), told
        assert "The indexer runs, but" in str(Lookup(tree, catalog, lock=lock).degraded_reason())
        filling.unlink()
        wait_until(lambda: all_plots(catalog) == plots_by_hand(root))
        wait_until(lambda: (ask("599.png"), trouble()) == ((b"after", CacheStatus.HIT), "None"))
        draw(root, "s/project_a/last.png")
        wait_until(lambda: all_plots(catalog) == plots_by_hand(root))
        assert running.stderr.count("disk is full") < 20
        assert "Traceback" not in running.stderr
    assert not list(differences(tree, catalog))
    assert_sound(catalog)


def is_past(moment: float) -> bool:
    return time.monotonic() > moment


def test_a_database_locked_by_another_program_loses_nothing_and_blocks_no_reader(
    root: Path,
    tree: Tree,
    catalog: Catalog,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Simulate a minute in half a second."""
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.5)
    monkeypatch.setattr(indexer_module, "RETRY_SECONDS", 0.1)
    monkeypatch.setattr(heartbeats, "STORE_SECONDS", 0.1)
    monkeypatch.setattr(heartbeats, "HEARTBEAT_SECONDS", 0.2)
    draw(root, "s/project_a/x.png", b"x")
    stop = StopRequest()
    thread = threading.Thread(target=Indexer(tree, catalog, settings, stop).run)
    thread.start()
    other = sqlite3.connect(catalog.database.path, isolation_level=None)
    try:
        wait_until(lambda: [beat.state for beat in catalog.heartbeats()] == ["watching"])
        for seconds in (0.1, 1.2):
            other.execute("BEGIN EXCLUSIVE")
            draw(root, f"s/project_a/drawn-{seconds}.png", b"new")
            (root / "s/project_a/x.png").write_bytes(b"changed")
            answer = Lookup(tree, catalog).open("s", f"drawn-{seconds}.png")
            assert (answer.cache_status, os.read(getattr(answer.opened, "fd", -1), 9)) == (CacheStatus.MISS, b"new")
            os.close(getattr(answer.opened, "fd", -1))
            release_at = time.monotonic() + seconds
            wait_until(partial(is_past, release_at))
            assert catalog.current(PlotKey("s", f"drawn-{seconds}.png")) is None
            other.execute("ROLLBACK")
            wait_until(lambda: all_plots(catalog) == plots_by_hand(root))
            wait_until(lambda: catalog.heartbeats()[0].state == "watching")
        assert f"The database {catalog.database.path} is locked by another program" in caplog.text
        assert thread.is_alive()
    finally:
        other.close()
        stop.set()
        thread.join(10)
    assert_sound(catalog)


CLOCK = """
import os, time
def shifted(clock=time.time):
    with open(os.environ["SHIFT"]) as shift:
        return clock() + float(shift.read())
time.time = shifted
time.time_ns = lambda: int(shifted() * 10**9)
"""
"""A sitecustomize.py that shifts a process's clock by the seconds in a file; file times come from the kernel."""


def test_a_clock_set_back_neither_revives_a_dead_indexer_nor_hides_a_live_one(
    root: Path,
    tmp_path: Path,
    tree: Tree,
    catalog: Catalog,
    indexer: StartService,
    settings: Settings,
) -> None:
    (tmp_path / "sitecustomize.py").write_text(CLOCK)
    shift = tmp_path / "shift"
    shift.write_text("86400")
    shifted = {"PYTHONPATH": f"{tmp_path}:{CHECKOUT}", "SHIFT": str(shift)}

    def ask() -> CacheStatus:
        answer = Lookup(tree, catalog).open("s", "x.png")
        os.close(getattr(answer.opened, "fd", -1))
        return answer.cache_status

    def trouble() -> str:
        return str(read_status(catalog, tree.layout).trouble)

    draw(root, "s/project_a/x.png", b"of tomorrow", mtime_ns=2**62)
    draw(root, "s/project_b/x.png")
    with indexer(env=shifted) as running:
        assert all_plots(catalog) == plots_by_hand(root)
        running.stop(signal.SIGKILL)
    # Killed, then the clock set back: a heartbeat in the future is invalid.
    assert catalog.heartbeats()[0].heartbeat > time.time() + 80_000
    draw(root, "s/project_b/y.png")
    assert ask() == CacheStatus.UNWATCHED
    with pytest.raises(CatalogError, match="start `plotindex watch`"):
        require_indexer(catalog)
    with indexer(env=shifted) as running:
        assert all_plots(catalog) == plots_by_hand(root)
        assert [beat.pid for beat in catalog.heartbeats()] == [running.pid]
        # The same for a running indexer whose clock differs.
        assert ask() == CacheStatus.UNWATCHED
        assert "start `plotindex watch`" in trouble()
        # Set back while it runs: the next heartbeat has the new time, and nothing waits for a day.
        (tmp_path / "no-shift").write_text("0")
        (tmp_path / "no-shift").rename(shift)
        wait_until(lambda: (ask(), trouble()) == (CacheStatus.HIT, "None"))
        # A change that keeps name, size and mtime, as its writer's clock is set back, too.
        draw(root, "s/project_a/x.png", b"of Tomorrow", mtime_ns=2**62)
        assert wait_for_sync(settings.barrier_folder, 20, lambda: require_indexer(catalog))
        assert all_plots(catalog) == plots_by_hand(root)
        assert "Traceback" not in running.stderr
