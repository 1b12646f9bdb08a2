"""Scans in child processes: the same results as in this process, which takes over when one dies."""

import errno
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import psutil
import pytest

from plotindex.tree import scanner as module
from plotindex.tree import walk_protocol, walk_worker
from plotindex.tree.grammar import Layout
from plotindex.tree.parallel_walk import WalkProcess
from plotindex.tree.plots import Plot, PlotKey
from plotindex.tree.scanner import Scanner
from plotindex.tree.scopes import Scope
from plotindex.tree.tree import Tree
from plotindex.tree.walk import Walk
from tests.support.hostile_tree import NOT_PLOTS, UNUSUAL_NAMES, UNUSUAL_SESSION, draw_hostile_tree
from tests.support.processes import draw, wait_until

T = TypeVar("T")


def children(tree: Tree) -> set[int]:
    """The processes that scan a tree for this one."""
    words = {"plotindex.tree.walk_worker", str(tree.root)}
    return {one.pid for one in psutil.Process().children() if words <= set(one.cmdline())}


def outcome(scan: Callable[[], T]) -> T | tuple[int | None, str | None]:
    try:
        return scan()
    except OSError as error:
        return error.errno, error.strerror


def parts(walk: Walk) -> tuple[object, ...]:
    return sorted(walk.rows), sorted(walk.unreadable), walk.unsupported, walk.truncated, walk.cutoff


def test_a_scanner_finds_and_walks_what_the_tree_does(root: Path, tmp_path: Path) -> None:
    draw_hostile_tree(tmp_path)
    draw(root, "s/project_b/x.png", mtime_ns=2**62)
    tree = Tree(root, Layout(max_plots=1))
    scanner = Scanner(tree)
    keys = [("s", "x.png"), ("s", "sub/x.svg"), ("s", "x.txt"), ("missing", "x.png"), ("s", "n" * 300 + ".png")]
    keys += [(UNUSUAL_SESSION, name) for name in UNUSUAL_NAMES] + [(session, name) for session, _, name in NOT_PLOTS]
    for key in {PlotKey(*key) for key in keys if tree.layout.parse_key(*key)}:
        assert outcome(lambda key=key: scanner.find(key)) == outcome(lambda key=key: tree.find(key)), key  # type: ignore[misc]
    for session in [*tree.sessions(), "missing", "linked"]:
        assert parts(scanner.walk(Scope(session))) == parts(tree.walk(Scope(session)))
    assert len(scanner.walk(Scope("s")).rows) > 1
    assert len(children(tree)) == 1


def test_the_error_of_a_scan_is_raised_here(tree: Tree, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw(root, "s/project_a/x.png")
    error = OSError(errno.EIO, "broken", "/a/path")

    def fail(_self: Tree, _key: PlotKey) -> list[Plot]:
        raise error

    monkeypatch.setattr(Tree, "find", fail)
    with Path(os.devnull).open("wb") as sink, pytest.raises(OSError, match="broken") as raised:
        walk_protocol.unpack_copies(walk_worker._find(tree, PlotKey("s", "x.png"), sink))
    assert (raised.value.errno, raised.value.filename) == (errno.EIO, "/a/path")


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGSTOP])
def test_this_process_scans_where_a_child_died_and_another_child_later(
    tree: Tree, root: Path, monkeypatch: pytest.MonkeyPatch, sent: signal.Signals
) -> None:
    monkeypatch.setattr(module, "RESTART_SECONDS", 0.1)
    draw(root, "s/project_a/x.png")
    key, scanner = PlotKey("s", "x.png"), Scanner(tree)
    expected = tree.find(key)

    def has_one_child() -> bool:
        assert scanner.find(key) == expected
        return len(children(tree)) == 1

    wait_until(has_one_child)
    (first,) = children(tree)
    os.kill(first, sent)
    with monkeypatch.context() as patch:
        patch.setattr("plotindex.tree.parallel_walk.SILENCE_TIMEOUT_SECONDS", 0.2)
        assert scanner.find(key) == expected
    assert len(scanner.walk(Scope("s")).rows) == 1
    wait_until(has_one_child)
    assert children(tree) != {first}


def test_this_process_scans_where_none_can_start(tree: Tree, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> WalkProcess:
        raise OSError(errno.EAGAIN, "no process")

    monkeypatch.setattr(module, "WalkProcess", refuse)
    draw(root, "s/project_a/x.png")
    assert len(Scanner(tree).find(PlotKey("s", "x.png"))) == 1


def test_scans_at_once_have_a_process_each_which_the_next_ones_use(tree: Tree, root: Path) -> None:
    for number in range(300):
        draw(root, f"s/project_{number}/x.png")
    scanner = Scanner(tree)
    with ThreadPoolExecutor(2) as pool:
        for _ in range(10):
            found = [pool.submit(scanner.find, PlotKey("s", "x.png")) for _ in range(2)]
            assert [len(one.result()) for one in found] == [300, 300]
    # The threads that started the processes have ended; these have not.
    before = children(tree)
    assert len(before) in (1, 2)
    assert len(scanner.find(PlotKey("s", "x.png"))) == 300
    assert children(tree) == before


def test_a_forked_child_leaves_the_processes_to_its_parent(tree: Tree, root: Path) -> None:
    draw(root, "s/project_a/x.png")
    scanner, key = Scanner(tree), PlotKey("s", "x.png")
    expected = scanner.find(key)
    before = children(tree)
    pid = os.fork()
    if pid == 0:
        is_right = scanner.find(key) == expected and children(tree).isdisjoint(before)
        scanner._reset_after_fork()
        os._exit(0 if is_right else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert scanner.find(key) == expected
    assert children(tree) == before


def test_no_process_is_left_when_the_scanner_or_its_process_has_gone(tree: Tree, root: Path) -> None:
    draw(root, "s/project_a/x.png")
    scanner = Scanner(tree)
    scanner.find(PlotKey("s", "x.png"))
    assert children(tree)
    del scanner
    assert not children(tree)
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        Scanner(tree).find(PlotKey("s", "x.png"))
        scanner = Scanner(tree)
        scanner.find(PlotKey("s", "x.png"))
        os.write(writing, str(*children(tree)).encode())
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    orphan = int(os.read(reading, 100))
    os.close(reading)
    os.close(writing)
    wait_until(lambda: not psutil.pid_exists(orphan) or psutil.Process(orphan).status() == psutil.STATUS_ZOMBIE)


def test_a_long_scan_of_a_key_sends_keepalives(tree: Tree, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw(root, "s/project_a/x.png")
    monkeypatch.setattr(walk_worker, "KEEPALIVE_SECONDS", 0.01)
    sent: list[bytes] = []
    original = Tree.find

    def find(self: Tree, key: PlotKey) -> list[Plot]:
        wait_until(lambda: len(sent) >= 3)
        return original(self, key)

    class Sink:
        def write(self, content: bytes) -> None:
            sent.append(content)

        def flush(self) -> None: ...

    monkeypatch.setattr(Tree, "find", find)
    response = walk_worker._find(tree, PlotKey("s", "x.png"), Sink())  # type: ignore[arg-type]
    assert len(walk_protocol.unpack_copies(response)) == 1
    assert set(sent) == {walk_protocol.LENGTH.pack(walk_protocol.KEEPALIVE)}
