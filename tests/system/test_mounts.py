"""The file system of a path."""

from contextlib import closing
from pathlib import Path

import pytest

from plotindex.config.settings import Polling
from plotindex.system import mounts
from plotindex.system.mounts import find_mount
from plotindex.tree.tree import Tree
from plotindex.watch.polled_scopes import PolledScopes

TABLE = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:26 / /data rw - tmpfs first rw
31 22 0:27 / /data/with\\040space rw shared:5 master:2 - xfs /dev/b rw
32 22 0:28 / /data\fodd\x85 rw - btrfs /dev/c rw
33 22 0:29 / /data rw - nfs4 host:/over rw
"""


@pytest.mark.parametrize(
    ("path", "fs_type"),
    [
        ("/", "ext4"),
        ("/database", "ext4"),
        ("/data", "nfs4"),
        ("/data/x", "nfs4"),
        ("/data/with space/x", "xfs"),
        ("/data\fodd\x85/x", "btrfs"),
    ],
)
def test_the_last_and_longest_mount_point_above_a_path_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, fs_type: str
) -> None:
    (tmp_path / "mountinfo").write_text(TABLE)
    monkeypatch.setattr(mounts, "MOUNTINFO", tmp_path / "mountinfo")
    mount = find_mount(Path(path))
    assert mount is not None
    assert mount.fs_type == fs_type


def test_without_mountinfo_there_is_no_mount(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounts, "MOUNTINFO", tmp_path / "none")
    assert find_mount(tmp_path) is None


def test_this_machines_own_table_is_parsed(tmp_path: Path) -> None:
    mount = find_mount(Path("/proc/self"))
    assert mount is not None
    assert (mount.point, mount.fs_type) == ("/proc", "proc")


FOREIGN = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:26 / {root}/far rw - nfs4 host:/far rw
31 22 0:27 / {root}/near rw - xfs /dev/b rw
32 22 0:28 / {root}/near/project_a/deep rw - cifs //host/deep rw
33 22 0:29 / {root}/near/data rw - nfs4 host:/data rw
34 22 0:30 / {root}-beside rw - nfs4 host:/beside rw
35 22 0:31 / {root}/odd rw - fuse.\x1b[31m odd rw
"""


def test_network_and_unknown_file_systems_that_can_hold_plots_are_polled(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mountinfo").write_text(FOREIGN.format(root=tree.root))
    monkeypatch.setattr(mounts, "MOUNTINFO", tmp_path / "mountinfo")
    with closing(PolledScopes(tree, Polling.AUTO)) as polled:
        assert polled.scopes == {
            "far": "file system nfs4",
            "near/project_a/deep": "file system cifs",
            "odd": "file system fuse.\\x1b[31m",
        }
        assert not polled.everything
    for polling, scopes in ((Polling.NEVER, set()), (Polling.ALWAYS, {""})):
        with closing(PolledScopes(tree, polling)) as polled:
            assert polled.scopes.keys() == scopes
    (tmp_path / "mountinfo").write_text(f"22 1 254:0 / {tree.root} rw - nfs4 host:/ rw\n")
    with closing(PolledScopes(tree, Polling.AUTO)) as polled:
        assert polled.everything
        assert polled.describe() == "the root (file system nfs4)"
