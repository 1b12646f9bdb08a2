"""Walks in a second process: the same results as in this one, which takes over when the process fails."""

import io
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import closing
from importlib import import_module
from pathlib import Path

import pytest

from plotindex.cli.startup import migrate_in_subprocess
from plotindex.config.settings import Settings
from plotindex.index.reconcile import reconcile
from plotindex.index.verify import differences
from plotindex.storage.catalog import Catalog
from plotindex.tree import parallel_walk as module
from plotindex.tree import walk_protocol, walk_worker
from plotindex.tree.grammar import Layout
from plotindex.tree.parallel_walk import ParallelWalk, WalkProcess
from plotindex.tree.scopes import Scope
from plotindex.tree.tree import Tree
from plotindex.tree.walk import Walk
from tests.support.hostile_tree import draw_hostile_tree
from tests.support.processes import draw, run_plotindex, wait_until
from tests.tools.torture import folders_to_watch
from tests.watch.test_watcher import Listening

# The package's API has a function of that name.
reconciling = import_module("plotindex.index.reconcile")


@pytest.fixture(autouse=True)
def start_for_one_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MIN_SESSIONS", 1)


@pytest.fixture
def walk_process(tree: Tree) -> Iterator[WalkProcess]:
    with closing(WalkProcess(tree)) as walk_process:
        yield walk_process


def results(walk: Walk) -> dict[str, object]:
    assert walk.advance()
    errors = {path: (error.errno, error.strerror) for path, error in walk.unreadable.items()}
    names = ("unsupported", "stamps", "folders", "excluded", "ignored", "cutoff", "truncated", "hard_linked")
    return {"rows": sorted(walk.rows), "errors": errors, **{name: getattr(walk, name) for name in names}}


@pytest.mark.parametrize(
    "layout",
    [
        Layout(),
        Layout(max_plots=5, max_depth=1),
        Layout(max_filename_bytes=20, max_names_bytes=60),
        Layout("*", frozenset({".svg"})),
        Layout("*", ignore=""),
        Layout("*", ignore="late.* a"),
        Layout("."),
        Layout("project_* ."),
    ],
)
def test_a_walk_process_returns_what_a_walk_returns(root: Path, tmp_path: Path, layout: Layout) -> None:
    draw_hostile_tree(tmp_path)
    draw(root, "s/project_a/late.png", mtime_ns=2**62)
    os.link(root / "s/project_a/late.png", root / "s/project_a/again.png")
    draw(root, "s/project_a/a/b/c/deep.png")
    for folder in ("s/project_a", "s"):
        (root / os.fsdecode(folder.encode() + b"/project_\xff.png")).mkdir()
    os.close(os.open(os.fsencode(root / "s/project_a") + b"/\xff.png", os.O_CREAT))
    tree = Tree(root, layout)
    with closing(WalkProcess(tree)) as walk_process:
        for session in [*tree.sessions(), "missing", "linked"]:
            with tree.open_reader() as reader:
                parallel = results(ParallelWalk(reader, Scope(session), walk_process, None))
                assert parallel == results(reader.start_walk(Scope(session), is_bounded=True))
        assert walk_process.is_alive


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGSTOP])
def test_this_process_walks_everything_when_the_walk_process_is_killed_or_stopped(
    tree: Tree, catalog: Catalog, root: Path, monkeypatch: pytest.MonkeyPatch, sent: signal.Signals
) -> None:
    monkeypatch.setattr(module, "SILENCE_TIMEOUT_SECONDS", 0.2)
    for number in range(12):
        draw(root, f"session_{number}/project_a/x.png")
    processes = []

    def collect(self: WalkProcess, session: str, walk: Walk) -> bool:
        processes.append(self)
        if session == "session_3":
            self._process.send_signal(sent)
        return original(self, session, walk)

    original = WalkProcess.collect
    monkeypatch.setattr(WalkProcess, "collect", collect)
    assert reconcile(tree, catalog, [""]).added == 12
    assert not list(differences(tree, catalog))
    assert not processes[0].is_alive


def test_nothing_is_imported_from_the_working_directory(
    settings: Settings, root: Path, environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(60):
        draw(root, f"session_{number}/project_a/x.png")
    monkeypatch.undo()
    here = tmp_path / "here"
    for name in ("__init__", "__main__", "tree/__init__", "tree/walk_worker"):
        (here / "plotindex" / f"{name}.py").parent.mkdir(parents=True, exist_ok=True)
        (here / "plotindex" / f"{name}.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'w').close()")
    monkeypatch.chdir(here)
    migrate_in_subprocess(settings)
    installed = str(Path(sys.executable).with_name("plotindex"))
    done = run_plotindex(["rebuild", "--root", str(root)], environment, here, command=[installed])
    assert (done.returncode, done.stdout[:24]) == (0, "60 sessions, 60 plots, 6"), done.stderr
    assert not (tmp_path / "imported").exists()


def test_a_slow_walk_sends_keepalives(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk_worker, "KEEPALIVE_SECONDS", 0.0)
    for number in range(20):
        draw(root, f"s/project_{number}/x.png")
    requests, responses = io.BytesIO(walk_protocol.LENGTH.pack(1) + b"s"), io.BytesIO()
    walk_worker.serve_requests(Tree(root), requests, responses, is_bounded=True)
    keepalive = walk_protocol.LENGTH.pack(walk_protocol.KEEPALIVE)
    assert responses.getvalue().startswith(keepalive * 20)
    with closing(WalkProcess(Tree(root))) as walk_process:
        assert walk_process.request("s")
        walk_process._buffer += keepalive * 20
        walk = Tree(root).walk(Scope("missing"))
        wait_until(lambda: walk_process.collect("s", walk))
    assert len(walk.rows) == 20


def test_this_process_walks_when_the_walk_process_is_slow(
    tree: Tree, catalog: Catalog, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(module.MAX_PENDING_SESSIONS + 10):
        draw(root, f"session_{number:02}/project_a/x.png")
    processes: list[WalkProcess] = []

    def request(self: WalkProcess, session: str) -> bool:
        if not processes:
            self._process.send_signal(signal.SIGSTOP)
        processes.append(self)
        return original(self, session)

    def progress(settled: int, _targets: int) -> None:
        # All the sessions that were not requested from it.
        if settled == 10:
            processes[0]._process.send_signal(signal.SIGCONT)

    original = WalkProcess.request
    monkeypatch.setattr(WalkProcess, "request", request)
    monkeypatch.setattr(reconciling, "MAX_CHANGES", 1)
    assert reconcile(tree, catalog, [""], progress=progress).added == module.MAX_PENDING_SESSIONS + 10
    assert len(processes) == module.MAX_PENDING_SESSIONS


def test_a_folder_made_before_the_process_walks_is_passed_to_the_callback(
    tree: Tree, root: Path, walk_process: WalkProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(root, "s/project_a/x.png")
    entered = []

    def request(self: WalkProcess, session: str) -> bool:
        draw(root, "s/project_a/sub/y.png")
        return original(self, session)

    original = WalkProcess.request
    monkeypatch.setattr(WalkProcess, "request", request)
    with tree.open_reader() as reader:
        walk = ParallelWalk(reader, Scope("s"), walk_process, lambda path, _: entered.append(path))
        assert walk.advance()
    assert set(entered) == {"s", "s/project_a", "s/project_a/sub"}
    assert [row[2] for row in sorted(walk.rows)] == ["sub/y.png", "x.png"]


def test_the_result_of_a_cancelled_request_is_not_used_for_a_later_one(
    tree: Tree, root: Path, walk_process: WalkProcess
) -> None:
    draw(root, "s/project_a/x.png")
    with tree.open_reader() as reader:
        cancelled = ParallelWalk(reader, Scope("s"), walk_process, None)
        cancelled.close()
        draw(root, "s/project_a/y.png")
        assert len(results(ParallelWalk(reader, Scope("s"), walk_process, None))["rows"]) == 2  # type: ignore[arg-type]


def test_the_first_scan_of_an_indexer_watches_every_folder(
    tree: Tree, catalog: Catalog, root: Path, tmp_path: Path
) -> None:
    for number in range(12):
        draw(root, f"session_{number}/project_a/sub/x.png")
        draw(root, f"session_{number}/project_b/x.png")
    listening = Listening(tree, catalog, tmp_path / "barriers")
    try:
        listening.start()
        assert listening.watched_inodes() == set(folders_to_watch(root))
        assert not list(differences(tree, catalog))
        draw(root, "session_7/project_a/sub/y.png")
        listening.expect("session_7/project_a/sub/y.png")
    finally:
        listening.watcher.stop()
