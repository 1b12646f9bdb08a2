"""The survey covers exactly the folders that the indexer watches."""

import os
from pathlib import Path

import pytest

from plotindex.ops.doctor.permissions import Credentials
from plotindex.ops.doctor.tree_survey import MAX_SYMLINKS, survey
from plotindex.tree.grammar import Layout
from plotindex.tree.scopes import Scope
from plotindex.tree.tree import Tree
from tests.support.other_users import reachable_folder, run_as_user
from tests.support.processes import draw

reachable = pytest.fixture(reachable_folder)


def watched_folders(tree: Tree) -> set[str]:
    """The folders that the look of the indexer enters, each of which is watched."""
    found: set[str] = set()
    with tree.open_reader() as reader:
        for name in tree.sessions(on_folder=lambda path, _fd: found.add(path)):
            reader.start_walk(Scope(name), on_folder=lambda path, _fd: found.add(path)).advance()
    return found


def test_survey_counts_the_watched_folders(root: Path) -> None:
    for place in ("s/project_a/1/2/3/x.png", "s/project_b/x.png", "s/other/1/x.png", "t/x.png", "u/project_a/1/x.png"):
        draw(root, place)
    Path(os.fsdecode(os.fsencode(root) + b"/s/project_a/\xff/below")).mkdir(parents=True)
    Path(os.fsdecode(os.fsencode(root) + b"/\xff/project_a")).mkdir(parents=True)
    (root / "s/project_a/link").symlink_to(root / "u")
    (root / "v").symlink_to(root / "u")
    for depth, count in ((0, 7), (1, 9), (32, 11)):
        tree = Tree(root, Layout(max_depth=depth))
        assert survey(tree).folders == len(watched_folders(tree)) == count


def test_survey_returns_owners_and_latest_change_and_reports_progress(root: Path) -> None:
    for name in ("s", "t", "u"):
        draw(root, f"{name}/project_a/x.png")
    draw(root, "t/project_a/y.png")
    progress: list[tuple[int, int]] = []
    seen = survey(Tree(root), lambda done, of: progress.append((done, of)))
    assert progress == [(1, 3), (2, 3), (3, 3)]
    assert seen.newest == ((root / "t/project_a").stat().st_ctime_ns, "t/project_a")
    status = root.stat()
    assert seen.owners == {status.st_uid: {status.st_gid}}


def test_survey_counts_symlinks_beyond_the_limit(root: Path) -> None:
    (root / "s/project_a").mkdir(parents=True)
    for number in range(MAX_SYMLINKS + 5):
        (root / f"s/project_l{number}").symlink_to("project_a")
    seen = survey(Tree(root))
    assert (seen.symlink_count, len(seen.symlinks)) == (MAX_SYMLINKS + 5, MAX_SYMLINKS)


def test_survey_continues_past_an_unreadable_folder(reachable: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can look as somebody else: run the tests as root")
    for name in ("a", "b"):
        draw(reachable, f"s/project_{name}/sub/x.png")
    (reachable / "s/project_a").chmod(0o700)

    def survey_text() -> str:
        seen = survey(Tree(reachable))
        return f"{seen.folders} {list(seen.unreadable)}"

    assert run_as_user(Credentials(51_201, frozenset({51_201})), survey_text) == "4 ['s/project_a']"
