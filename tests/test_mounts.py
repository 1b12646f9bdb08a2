"""Which file system a path lies on."""

from pathlib import Path

import pytest

from plotindex import mounts
from plotindex.mounts import mount_of

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
    mount = mount_of(Path(path))
    assert mount is not None
    assert mount.fs_type == fs_type


def test_where_the_system_does_not_say_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounts, "MOUNTINFO", tmp_path / "none")
    assert mount_of(tmp_path) is None


def test_this_machines_own_table_is_understood(tmp_path: Path) -> None:
    mount = mount_of(Path("/proc/self"))
    assert mount is not None
    assert (mount.point, mount.fs_type) == ("/proc", "proc")
