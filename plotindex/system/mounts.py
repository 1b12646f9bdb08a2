"""The file systems of a tree, from /proc/self/mountinfo (proc_pid_mountinfo(5))."""

import os
import re
import select
from pathlib import Path
from typing import NamedTuple

MOUNTINFO = Path("/proc/self/mountinfo")

# On any other file system, inotify(7) may miss the changes of other hosts.
LOCAL_FS_TYPES = frozenset(
    {"bcachefs", "btrfs", "exfat", "ext2", "ext3", "ext4", "f2fs", "jfs", "msdos", "nilfs2", "ntfs"}
)
LOCAL_FS_TYPES |= {"ntfs3", "overlay", "ramfs", "reiserfs", "rootfs", "tmpfs", "ubifs", "udf", "vfat", "xfs", "zfs"}
RELIABLE_CTIME_FS_TYPES = frozenset(
    {"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "nilfs2", "tmpfs", "xfs", "zfs"}
)
"""A directory's ctime changes with every entry that is added or removed."""
NETWORK_FS_TYPES = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "gpfs", "lustre", "nfs", "nfs4", "orangefs", "smb3", "smbfs"}
)
NETWORK_FS_TYPES |= {"fuse.ceph", "fuse.glusterfs", "fuse.rclone", "fuse.s3fs", "fuse.sshfs"}
"""Shared with other hosts. Types in neither set are unknown."""


class Mount(NamedTuple):
    mount_id: int
    point: str
    fs_type: str
    source: str


def find_mount(path: Path) -> Mount | None:
    """The mount that holds `path`, or None where /proc is missing."""
    real = os.path.realpath(path)
    found = None
    longest = 0
    for line in _read_lines():
        # A later line hides an earlier one with the same or a shorter mount point.
        point = _unescape(line.split(" ", 5)[4])
        if _contains(point, real) and len(point) >= longest:
            found, longest = line, len(point)
    return _parse(found) if found else None


def mounts_below(root: Path) -> dict[str, Mount]:
    """The mount that holds the root, under "", and each mount below it, by path relative to the root."""
    real = os.path.realpath(root)
    found = {mount.point[len(real) + 1 :]: mount for mount in _mounts() if mount.point.startswith(f"{real}/")}
    own = find_mount(root)
    return {"": own, **found} if own else found


class MountMonitor:
    """Detects mounts and unmounts: each makes mountinfo signal POLLPRI (proc(5))."""

    def __init__(self) -> None:
        self._poller = select.poll()
        self._file = MOUNTINFO.open("rb")
        self._poller.register(self._file, select.POLLPRI)

    def has_changed(self) -> bool:
        """Whether the mounts have changed since the last call."""
        return bool(self._poller.poll(0))

    def close(self) -> None:
        self._file.close()


def _mounts() -> list[Mount]:
    return [_parse(line) for line in _read_lines()]


def _read_lines() -> list[str]:
    try:
        table = MOUNTINFO.read_text(errors="surrogateescape")
    except FileNotFoundError:
        return []
    # Not splitlines(): the kernel escapes line feeds in names, but not form feeds and the like.
    return table.rstrip("\n").split("\n")


def _parse(line: str) -> Mount:
    before, _, after = line.partition(" - ")
    fs_type, source = after.split(" ")[:2]
    fields = before.split(" ")
    return Mount(int(fields[0]), _unescape(fields[4]), fs_type, _unescape(source))


def _unescape(text: str) -> str:
    return text if "\\" not in text else re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), text)


def _contains(point: str, path: str) -> bool:
    return point in ("/", path) or path.startswith(point + "/")
