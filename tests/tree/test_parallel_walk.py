"""A second process looks at sessions: it sees what a walk here sees, and what it does not see is looked at here."""

import io
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import closing
from importlib import import_module
from pathlib import Path

import pytest

from plotindex.cli.options import migrate_apart
from plotindex.config.settings import Settings
from plotindex.index.reconcile import reconcile
from plotindex.index.verify import differences
from plotindex.storage.catalog import Catalog
from plotindex.tree import parallel_walk as module
from plotindex.tree import walk_worker as scouting
from plotindex.tree.layout import Layout
from plotindex.tree.parallel_walk import ScoutedWalk, WalkProcess
from plotindex.tree.scopes import Scope
from plotindex.tree.tree import Tree
from plotindex.tree.walk import Walk
from tests.support.hostile_tree import draw_hostile_tree
from tests.support.processes import draw, run_plotindex, wait_until
from tests.tools.torture import folders_to_watch
from tests.watch.test_watcher import Listening

# The package's face has a function of that name.
reconciling = import_module("plotindex.index.reconcile")


@pytest.fixture(autouse=True)
def for_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FEWEST_SESSIONS", 1)


@pytest.fixture
def scout(tree: Tree) -> Iterator[WalkProcess]:
    with closing(WalkProcess(tree)) as scout:
        yield scout


def seen(walk: Walk) -> dict[str, object]:
    assert walk.go_on()
    errors = {path: (error.errno, error.strerror) for path, error in walk.unreadable.items()}
    names = ("odd", "stamps", "folders", "deep", "cut", "left_out", "linked")
    return {"rows": sorted(walk.rows), "errors": errors, **{name: getattr(walk, name) for name in names}}


@pytest.mark.parametrize("layout", [Layout(), Layout(max_plots=5, max_depth=1), Layout("*", frozenset({".svg"}))])
def test_a_scout_sees_what_a_walk_sees(root: Path, tmp_path: Path, layout: Layout) -> None:
    draw_hostile_tree(tmp_path)
    draw(root, "s/project_a/late.png", mtime_ns=2**62)
    os.link(root / "s/project_a/late.png", root / "s/project_a/again.png")
    draw(root, "s/project_a/a/b/c/deep.png")
    for folder in ("s/project_a", "s"):
        (root / os.fsdecode(folder.encode() + b"/project_\xff.png")).mkdir()
    os.close(os.open(os.fsencode(root / "s/project_a") + b"/\xff.png", os.O_CREAT))
    tree = Tree(root, layout)
    with closing(WalkProcess(tree)) as scout:
        for session in [*tree.sessions(), "missing", "linked"]:
            with tree.looking() as glance:
                there = seen(ScoutedWalk(glance, Scope(session), scout, None, layout.max_plots))
                assert there == seen(glance.walking(Scope(session), most=layout.max_plots))
        assert scout.is_alive


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGSTOP])
def test_when_the_scout_is_killed_or_stopped_everything_is_looked_at_here(
    tree: Tree, catalog: Catalog, root: Path, monkeypatch: pytest.MonkeyPatch, sent: signal.Signals
) -> None:
    monkeypatch.setattr(module, "SILENT_SECONDS", 0.2)
    for number in range(12):
        draw(root, f"session_{number}/project_a/x.png")
    scouts = []

    def take(self: WalkProcess, session: str, walk: Walk) -> bool:
        scouts.append(self)
        if session == "session_3":
            self._process.send_signal(sent)
        return was_taken(self, session, walk)

    was_taken = WalkProcess.take
    monkeypatch.setattr(WalkProcess, "take", take)
    assert reconcile(tree, catalog, [""]).added == 12
    assert not list(differences(tree, catalog))
    assert not scouts[0].is_alive


def test_nothing_is_imported_from_where_somebody_stands(
    settings: Settings, root: Path, environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(60):
        draw(root, f"session_{number}/project_a/x.png")
    monkeypatch.undo()
    here = tmp_path / "here"
    for name in ("__init__", "__main__", "scouting"):
        (here / "plotindex" / f"{name}.py").parent.mkdir(parents=True, exist_ok=True)
        (here / "plotindex" / f"{name}.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'w').close()")
    monkeypatch.chdir(here)
    migrate_apart(settings)
    installed = str(Path(sys.executable).with_name("plotindex"))
    done = run_plotindex(["rebuild", "--root", str(root)], environment, here, command=[installed])
    assert (done.returncode, done.stdout[:24]) == (0, "60 sessions, 60 plots, 6"), done.stderr
    assert not (tmp_path / "imported").exists()


def test_a_scout_that_takes_its_time_is_not_taken_for_one_that_is_stuck(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scouting, "SIGN_SECONDS", 0.0)
    for number in range(20):
        draw(root, f"s/project_{number}/x.png")
    questions, answers = io.BytesIO(scouting.LENGTH.pack(1) + b"s"), io.BytesIO()
    scouting.answer_all(Tree(root), questions, answers)
    sign = scouting.LENGTH.pack(scouting.STILL_LOOKING)
    assert answers.getvalue().startswith(sign * 20)
    with closing(WalkProcess(Tree(root))) as scout:
        assert scout.ask("s")
        scout._read += sign * 20
        walk = Tree(root).walk(Scope("missing"))
        wait_until(lambda: scout.take("s", walk))
    assert len(walk.rows) == 20


def test_nobody_waits_for_a_scout_that_is_slow(
    tree: Tree, catalog: Catalog, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(module.MOST_AHEAD + 10):
        draw(root, f"session_{number:02}/project_a/x.png")
    scouts: list[WalkProcess] = []

    def ask(self: WalkProcess, session: str) -> bool:
        if not scouts:
            self._process.send_signal(signal.SIGSTOP)
        scouts.append(self)
        return was_asked(self, session)

    def progress(settled: int, _targets: int) -> None:
        # All those that it was not asked for.
        if settled == 10:
            scouts[0]._process.send_signal(signal.SIGCONT)

    was_asked = WalkProcess.ask
    monkeypatch.setattr(WalkProcess, "ask", ask)
    monkeypatch.setattr(reconciling, "MAX_CHANGES", 1)
    assert reconcile(tree, catalog, [""], progress=progress).added == module.MOST_AHEAD + 10
    assert len(scouts) == module.MOST_AHEAD


def test_a_folder_that_comes_before_the_scout_looks_is_entered_too(
    tree: Tree, root: Path, scout: WalkProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(root, "s/project_a/x.png")
    entered = []

    def ask(self: WalkProcess, session: str) -> bool:
        draw(root, "s/project_a/sub/y.png")
        return was_asked(self, session)

    was_asked = WalkProcess.ask
    monkeypatch.setattr(WalkProcess, "ask", ask)
    with tree.looking() as glance:
        walk = ScoutedWalk(glance, Scope("s"), scout, lambda path, _: entered.append(path), None)
        assert walk.go_on()
    assert set(entered) == {"s", "s/project_a", "s/project_a/sub"}
    assert [row[2] for row in sorted(walk.rows)] == ["sub/y.png", "x.png"]


def test_what_was_asked_for_and_given_up_is_not_taken_for_what_is_asked_for_later(
    tree: Tree, root: Path, scout: WalkProcess
) -> None:
    draw(root, "s/project_a/x.png")
    with tree.looking() as glance:
        given_up = ScoutedWalk(glance, Scope("s"), scout, None, None)
        given_up.close()
        draw(root, "s/project_a/y.png")
        assert len(seen(ScoutedWalk(glance, Scope("s"), scout, None, None))["rows"]) == 2  # type: ignore[arg-type]


def test_the_first_look_of_an_indexer_watches_every_folder(
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
