"""The failure of any part of the watcher is detected and repaired."""

import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from watchdog.observers.inotify_c import InotifyEvent, WatchDescriptor

from plotindex.config.settings import Settings
from plotindex.index.lookup import Lookup
from plotindex.ops.metrics import Metrics
from plotindex.ops.status import read_status
from plotindex.storage.catalog import Catalog
from plotindex.storage.heartbeat import Heartbeat
from plotindex.storage.stats import IndexerStats
from plotindex.system.stop_request import StopRequest
from plotindex.tree.tree import Tree
from plotindex.watch import heartbeat as heartbeats
from plotindex.watch import indexer as indexer_module
from plotindex.watch import inotify, self_test
from plotindex.watch import rolling_rescan as rolling
from plotindex.watch.barriers import create_barrier
from plotindex.watch.indexer import Indexer
from plotindex.watch.inotify import InotifyReader, TreeEmitter
from tests.guarantees.test_convergence import plots_by_hand
from tests.support.processes import StartService, all_plots, draw, wait_until

RunIndexer = Callable[..., Indexer]


@pytest.fixture
def run_indexer(
    tree: Tree, catalog: Catalog, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RunIndexer]:
    """An indexer in a thread of this process, watching; what it does once in many seconds it does in a moment."""
    monkeypatch.setattr(self_test, "SELF_TEST_SECONDS", 0.2)
    monkeypatch.setattr(self_test, "SILENT_SECONDS", 0.5)
    monkeypatch.setattr(heartbeats, "HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setattr(indexer_module, "IDLE_SECONDS", 0.05)
    monkeypatch.setattr(rolling, "UNWATCHED_SECONDS", 0.2)
    monkeypatch.setattr(inotify, "CHECK_SECONDS", 0.05)
    stop = StopRequest()
    threads: list[threading.Thread] = []

    def run(rescan_seconds: int = 3600, max_watches: int | None = None) -> Indexer:
        own = replace(settings, rescan_seconds=rescan_seconds, rescan_share=100, max_watches=max_watches)
        indexer = Indexer(tree, catalog, own, stop)
        threads.append(threading.Thread(target=indexer.run))
        threads[0].start()
        wait_until(lambda: [beat.state for beat in catalog.heartbeats()] == ["watching"])
        return indexer

    yield run
    stop.set()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def beat_of(catalog: Catalog) -> Heartbeat:
    return catalog.heartbeats()[0]


def emitter_of(indexer: Indexer) -> TreeEmitter:
    observer = indexer._watcher._observer
    assert observer is not None
    return observer.emitter


def reader_of(indexer: Indexer) -> InotifyReader:
    reader = emitter_of(indexer).reader
    assert reader is not None
    return reader


def kill_reader(indexer: Indexer, monkeypatch: pytest.MonkeyPatch) -> None:
    victim = reader_of(indexer)

    def handle(reader: InotifyReader, event: InotifyEvent) -> None:
        if reader is victim:
            raise RuntimeError("provoked")
        original(reader, event)

    original = InotifyReader.handle_event
    monkeypatch.setattr(InotifyReader, "handle_event", handle)


def kill_emitter(indexer: Indexer, _monkeypatch: pytest.MonkeyPatch) -> None:
    emitter_of(indexer).stop()


def kill_dispatcher(indexer: Indexer, _monkeypatch: pytest.MonkeyPatch) -> None:
    observer = indexer._watcher._observer
    assert observer is not None
    observer.event_queue.put(None)


def deafen(indexer: Indexer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away every watch behind the indexer's back: all its threads live, and nothing comes."""
    emitter, watches = emitter_of(indexer), indexer._watcher.watches
    monkeypatch.setattr(emitter, "on_watch_deleted", lambda _: None)
    for descriptor in {emitter._barrier_wd, *(watches._map.get(path) for path in watches._map.at_and_below(""))}:
        assert descriptor is not None
        reader_of(indexer).unwatch(WatchDescriptor(descriptor))


@pytest.mark.parametrize("harm", [kill_reader, kill_emitter, kill_dispatcher, deafen])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_part_that_dies_is_detected_and_replaced_with_a_full_scan(
    root: Path,
    catalog: Catalog,
    run_indexer: RunIndexer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    harm: Callable[[Indexer, pytest.MonkeyPatch], None],
) -> None:
    draw(root, "s/project_a/x.png")
    indexer = run_indexer()
    harm(indexer, monkeypatch)
    draw(root, "s/project_a/y.png")
    wait_until(lambda: beat_of(catalog).replaced == 1)
    wait_until(lambda: beat_of(catalog).state == "watching" and all_plots(catalog) == plots_by_hand(root))
    draw(root, "s/project_a/z.png")
    wait_until(lambda: all_plots(catalog) == plots_by_hand(root))
    assert caplog.text.count("Watcher failed") == 1
    assert beat_of(catalog).replaced == 1


def test_the_audit_finds_a_folder_that_is_not_watched_though_the_books_say_so(
    root: Path, catalog: Catalog, run_indexer: RunIndexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(root, "s/project_a/sub/x.png")
    draw(root, "s/project_b/x.png")
    indexer = run_indexer(rescan_seconds=2)
    watches = indexer._watcher.watches
    descriptor = watches._map.get("s/project_a/sub")
    assert descriptor is not None
    told = threading.Event()
    # As if the kernel had said nothing.
    monkeypatch.setattr(emitter_of(indexer), "on_watch_deleted", lambda _: told.set())
    reader_of(indexer).unwatch(WatchDescriptor(descriptor))
    assert told.wait(20)
    monkeypatch.undo()
    draw(root, "s/project_a/sub/y.png")
    wait_until(lambda: (beat_of(catalog).missed, beat_of(catalog).missed_folders) == (1, 1))
    assert all_plots(catalog) == plots_by_hand(root)
    wait_until(lambda: (beat_of(catalog).missed, beat_of(catalog).missed_folders) == (0, 0))
    draw(root, "s/project_a/sub/z.png")
    wait_until(lambda: all_plots(catalog) == plots_by_hand(root))


def test_with_no_watches_left_folders_are_looked_at_instead_until_there_are_some(
    root: Path, catalog: Catalog, indexer: StartService
) -> None:
    """In a user namespace (user_namespaces(7)) the limit can be lowered without harm to anybody else."""
    limit = "/proc/sys/user/max_inotify_watches"
    prefix = ["unshare", "--user", "--map-root-user", "sh", "-c", f'echo 20 > {limit} && exec "$@"', "sh"]
    if subprocess.run([*prefix, "true"], check=False, stderr=subprocess.DEVNULL).returncode:
        pytest.skip("user namespaces are not allowed here")
    for number in range(60):
        draw(root, f"s/project_{number}/x.png")
    with indexer(prefix=prefix) as running:
        wait_until(lambda: beat_of(catalog).unwatched)
        assert beat_of(catalog).watch_limit == 20
        for number in range(60):
            draw(root, f"s/project_{number}/y.png")
        wait_until(lambda: all_plots(catalog) == plots_by_hand(root))
        enter = ["nsenter", "--user", "--preserve-credentials", f"--target={running.pid}"]
        subprocess.run([*enter, "sh", "-c", f"echo 1000 > {limit}"], check=True)
        wait_until(lambda: beat_of(catalog).unwatched == 0)
        assert beat_of(catalog).watched == 62


def test_what_is_not_to_be_watched_is_found_all_the_same_and_how_late_is_said(
    root: Path, tree: Tree, catalog: Catalog, settings: Settings, run_indexer: RunIndexer
) -> None:
    plots = [draw(root, f"s/project_{number}/x.png") for number in range(20)]
    indexer = run_indexer(max_watches=6)

    def measured() -> IndexerStats:
        return IndexerStats.load(beat_of(catalog).measured)

    wait_until(lambda: measured().folders_round and measured().files_round)
    plots[19].write_bytes(b"rewritten")
    draw(root, "new/project_a/x.png")
    wait_until(lambda: all_plots(catalog) == plots_by_hand(root))
    # Its answer waits for what no event tells of.
    draw(root, "s/project_18/y.png")
    file = create_barrier(settings.barrier_folder, "sync-test")
    wait_until(lambda: not file.exists())
    assert all_plots(catalog) == plots_by_hand(root)
    assert len(indexer._watcher.watches) <= 6
    wait_until(lambda: beat_of(catalog).unwatched == measured().rolled_folders > 16)
    status = read_status(catalog, tree.layout)
    assert (beat_of(catalog).state, beat_of(catalog).watch_limit, status.trouble) == ("watching", 6, None)
    assert re.search(
        r"\nrolling    \d+ folders in 2 sessions: new and removed plots appear within \d", status.as_text()
    )
    events, rounds = status.as_json()["indexer"]["parts"]
    assert (events["means"], rounds["means"], rounds["folders"]) == ("events", "rounds", beat_of(catalog).unwatched)
    assert 0 < rounds["by_files"]["seconds"] <= rounds["by_files"]["age"]
    assert Lookup(tree, catalog).degraded_reason() is None
    _, text = Metrics().exposition(catalog, "")
    numbers = dict(re.findall(r'^plotindex_indexer_(\w+(?:{by="\w+"})?) (\S+)$', text.decode(), re.MULTILINE))
    assert float(numbers["unwatched_folders"]) == float(numbers["rolled_folders"]) == rounds["folders"]
    assert float(numbers['round_seconds{by="folders"}']) > 0
    assert float(numbers['view_age_seconds{by="files"}']) > 0


def test_a_folder_that_may_not_be_listed_is_watched_once_it_may(
    root: Path, catalog: Catalog, run_indexer: RunIndexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(root, "s/project_a/x.png")
    original = Tree.folder

    def refuse(tree: Tree, parts: tuple[str, ...], *flags: int) -> object:
        if list(parts)[:2] == ["s", "project_b"] and refusing:
            raise PermissionError(13, "Permission denied")
        return original(tree, parts, *flags)

    refusing = [True]
    monkeypatch.setattr(Tree, "folder", refuse)
    run_indexer()
    draw(root, "s/project_b/x.png")
    wait_until(lambda: beat_of(catalog).unwatched == 1 and beat_of(catalog).unreadable == 1)
    refusing.clear()
    wait_until(lambda: beat_of(catalog).unwatched == 0)
    assert all_plots(catalog) == plots_by_hand(root)
    os.utime(root / "s/project_b/x.png")
    wait_until(lambda: all_plots(catalog) == plots_by_hand(root))
