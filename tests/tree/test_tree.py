"""Walk, stat, find and open plots beneath the root."""

import errno
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from plotindex.tree.grammar import Layout
from plotindex.tree.plots import PlotKey
from plotindex.tree.scopes import Scope
from plotindex.tree.tree import Tree
from tests.support.processes import PNG, draw


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def make_hostile_tree(root: Path, outside: Path) -> None:
    draw(outside, "secret.png")
    draw(outside, "project_z/x.png")
    draw(root, "s/project_a/real.png")
    draw(root, "s/elsewhere/x.png")
    (root / "s/project_a/link.png").symlink_to(outside / "secret.png")
    (root / "s/project_a/inside.png").symlink_to("real.png")
    (root / "s/project_a/sub").symlink_to(outside)
    (root / "s/project_link").symlink_to(outside / "project_z")
    (root / "linked").symlink_to(outside)
    os.mkfifo(root / "s/project_a/fifo.png")
    (root / "s/project_a/folder.png").mkdir()
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(root / "s/project_a/socket.png"))


def test_only_regular_files_beneath_the_root_are_walked_found_and_opened(
    tree: Tree, root: Path, tmp_path: Path
) -> None:
    make_hostile_tree(root, tmp_path / "outside")
    assert tree.sessions() == ["s"]
    assert [plot.path for plot in tree.walk(Scope("s")).plots] == ["s/project_a/real.png"]
    assert tree.walk(Scope("linked")).plots == []
    for session, project, name in [
        ("s", "project_a", "link.png"),
        ("s", "project_a", "inside.png"),
        ("s", "project_a", "sub/secret.png"),
        ("s", "project_link", "x.png"),
        ("linked", "project_z", "x.png"),
        ("s", "project_a", "fifo.png"),
        ("s", "project_a", "folder.png"),
        ("s", "project_a", "socket.png"),
        ("s", "elsewhere", "x.png"),
        ("s", "project_a", "../elsewhere/x.png"),
        ("s/project_a/..", "project_a", "real.png"),
        ("..", "outside", "secret.png"),
    ]:
        assert tree.stat_plot(session, project, name) is None
        key = tree.layout.parse_key(session, name)
        assert key is None or tree.open(key, project) is None
        assert tree.find(PlotKey(session, name)) == []


def test_the_opened_file_is_the_checked_one(tree: Tree, root: Path) -> None:
    draw(root, "s/project_a/x.png", b"first")
    opened = tree.open(PlotKey("s", "x.png"), "project_a")
    assert opened is not None
    draw(root, "s/project_a/new.png", b"second").rename(root / "s/project_a/x.png")
    assert os.read(opened.fd, 100) == b"first"
    assert opened.plot.size == 5
    os.close(opened.fd)


def test_a_folder_swapped_for_a_symlink_again_and_again_never_leads_outside(
    tree: Tree, root: Path, tmp_path: Path
) -> None:
    draw(tmp_path, "outside/sub/x.png", b"secret")
    draw(root, "s/project_a/sub/x.png", b"public")
    place, aside = root / "s/project_a/sub", root / "s/project_a/aside"
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            place.rename(aside)
            place.symlink_to(tmp_path / "outside/sub")
            place.unlink()
            aside.rename(place)

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        seen: set[bytes] = set()
        looks = 0
        # On a busy machine, the swapping process may not have run in between.
        while looks < 3000 or not seen:
            looks += 1
            opened = tree.open(PlotKey("s", "sub/x.png"), "project_a")
            if opened:
                seen.add(os.read(opened.fd, 100))
                os.close(opened.fd)
            seen.update(b"outside" for plot in tree.walk(Scope("s")).plots if plot.size != 6)
    finally:
        stop.set()
        swapper.join()
    assert seen == {b"public"}


def test_a_very_deep_tree_is_walked_down_to_the_indexed_depth(tree: Tree, root: Path) -> None:
    draw(root, "s/project_a/top.png")
    descriptor = os.open(root / "s/project_a", os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("d", dir_fd=descriptor)
        deeper = os.open("d", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = deeper
    os.close(os.open("deep.png", os.O_CREAT | os.O_WRONLY, dir_fd=descriptor))
    os.close(descriptor)
    walk, whole = (
        Tree(root, Layout(max_depth=depth, max_filename_bytes=4096)).walk(Scope("s")) for depth in (32, 1200)
    )
    # pytest's cleanup (shutil.rmtree) cannot delete so deep a tree.
    subprocess.run(["rm", "-rf", root / "s"], check=True)
    assert (len(walk.plots), walk.excluded) == (1, 1)
    assert sorted(plot.filename.count("/") for plot in whole.plots) == [0, 1200]


def test_no_descriptor_is_left_open(tree: Tree, root: Path, tmp_path: Path) -> None:
    make_hostile_tree(root, tmp_path / "outside")
    before = open_descriptors()
    tree.sessions()
    tree.walk(Scope("s"))
    tree.find(PlotKey("s", "real.png"))
    for name in ("real.png", "fifo.png", "folder.png", "gone/x.png", "sub/secret.png"):
        tree.stat_plot("s", "project_a", name)
        opened = tree.open(PlotKey("s", name), "project_a")
        if opened:
            os.close(opened.fd)
    assert open_descriptors() == before


def test_the_current_copy_is_the_newest_then_the_greatest_project(tree: Tree, root: Path) -> None:
    draw(root, "s/project_a/x.png", mtime_ns=20)
    draw(root, "s/project_b/x.png", mtime_ns=10)
    draw(root, "s/project_c/x.png", mtime_ns=20)
    assert [copy.project for copy in tree.find(PlotKey("s", "x.png"))] == ["project_c", "project_a", "project_b"]


def test_the_version_changes_with_size_time_and_file(tree: Tree, root: Path) -> None:
    versions = []
    for content, time in ((b"one", 5), (b"two", 5), (b"three", 5), (b"three", 6)):
        draw(root, "s/project_a/x.png", content, mtime_ns=time)
        plot = tree.stat_plot("s", "project_a", "x.png")
        assert plot is not None
        versions.append(plot.version)
    draw(root, "s/project_a/new.png", b"three", mtime_ns=6).rename(root / "s/project_a/x.png")
    plot = tree.stat_plot("s", "project_a", "x.png")
    assert plot is not None
    assert len({*versions, plot.version}) == 5


def test_a_name_that_is_not_utf8_is_reported_and_the_rest_is_walked(tree: Tree, root: Path) -> None:
    draw(root, "s/project_a/x.png")
    for name in (b"s/project_a/\xff.png", b"s/project_a/\xfe.txt"):
        (root / os.fsdecode(name)).write_bytes(PNG)
    (root / os.fsdecode(b"s/project_a/\xfd")).mkdir()
    (root / os.fsdecode(b"s/project_\xfc")).mkdir()
    (root / os.fsdecode(b"\xfb")).mkdir()
    walk = tree.walk(Scope("s"))
    odd: dict[str, str] = {}
    assert tree.sessions(odd) == ["s"]
    assert [plot.path for plot in walk.plots] == ["s/project_a/x.png"]
    named = [os.fsdecode(path) for path in (b"s/project_a/\xff.png", b"s/project_a/\xfd", b"s/project_\xfc")]
    assert sorted(walk.unsupported) == sorted(named)
    assert list(odd) == [os.fsdecode(b"\xfb")]


def test_a_name_longer_than_the_file_system_allows_is_absent(tree: Tree, root: Path) -> None:
    draw(root, "s/project_a/x.png")
    name = "n" * 300 + ".png"
    assert tree.stat_plot("s", "project_a", name) is None
    assert tree.open(PlotKey("s", name), "project_a") is None
    assert tree.find(PlotKey("s", name)) == []


UNPRIVILEGED = """
import os, sys
from pathlib import Path
from plotindex.tree.plots import PlotKey
from plotindex.tree.scopes import Scope
from plotindex.tree.tree import Tree
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
else:
    (Path(sys.argv[1]) / "s/project_b").chmod(0)
tree = Tree(Path(sys.argv[1]))
walk = tree.walk(Scope("s"))
print(sorted(plot.path for plot in walk.plots))
print({path: error.errno for path, error in walk.unreadable.items()})
try:
    print(tree.stat_plot("s", "project_b", "x.png"))
except OSError as error:
    print("look", error.errno)
try:
    print(tree.find(PlotKey("s", "only.png")))
except OSError as error:
    print("find", error.errno)
for name in ("fifo.png", "mine.png"):
    try:
        key = tree.layout.parse_key("s", name)
        print(tree.open(key, "project_a"))
    except OSError as error:
        print("open", error.errno)
"""


def test_an_unreadable_path_is_not_an_absent_one(root: Path) -> None:
    draw(root, "s/project_a/x.png")
    draw(root, "s/project_b/x.png")
    draw(root, "s/project_b/only.png")
    (root / "s/project_b").chmod(0o700)
    os.mkfifo(root / "s/project_a/fifo.png", 0)
    draw(root, "s/project_a/mine.png").chmod(0)
    for folder in (root, *root.parents):
        if folder.stat().st_mode & 0o005 != 0o005:
            folder.chmod(0o755)
    done = subprocess.run([sys.executable, "-c", UNPRIVILEGED, str(root)], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == [
        "['s/project_a/mine.png', 's/project_a/x.png']",
        f"{{'s/project_b': {errno.EACCES}}}",
        f"look {errno.EACCES}",
        f"find {errno.EACCES}",
        "None",
        f"open {errno.EACCES}",
    ], done.stderr


def test_the_identity_of_a_root_is_its_file_system_and_its_inode(tree: Tree, root: Path, tmp_path: Path) -> None:
    before = tree.identity()
    root.rename(tmp_path / "away")
    with pytest.raises(FileNotFoundError):
        tree.identity()
    root.mkdir()
    assert tree.identity() != before
    root.rmdir()
    (tmp_path / "away").rename(root)
    assert tree.identity() == before
