"""Which file systems a tree lies on, from /proc/self/mountinfo (proc_pid_mountinfo(5))."""

import os
import re
import select
from pathlib import Path
from typing import NamedTuple

MOUNTINFO = Path("/proc/self/mountinfo")


# Changes that other hosts make to any other are not told by inotify(7).
LOCAL = frozenset({"bcachefs", "btrfs", "exfat", "ext2", "ext3", "ext4", "f2fs", "jfs", "msdos", "nilfs2", "ntfs"})
LOCAL |= {"ntfs3", "overlay", "ramfs", "reiserfs", "rootfs", "tmpfs", "ubifs", "udf", "vfat", "xfs", "zfs"}
STAMPING = frozenset({"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "nilfs2", "tmpfs", "xfs", "zfs"})
"""Those whose folders have another ctime after each name that comes or goes."""
NETWORK = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "gpfs", "lustre", "nfs", "nfs4", "orangefs", "smb3", "smbfs"}
)
NETWORK |= {"fuse.ceph", "fuse.glusterfs", "fuse.rclone", "fuse.s3fs", "fuse.sshfs"}
"""Those that are surely shared with other hosts; of what is in neither set nobody knows."""


class Mount(NamedTuple):
    number: int
    point: str
    fs_type: str
    source: str


def mount_of(path: Path) -> Mount | None:
    """The mount that `path` lies on, or None where the system does not say (no /proc: macOS)."""
    real = os.path.realpath(path)
    found = None
    longest = 0
    for line in _lines():
        # A later line is mounted over an earlier one with the same or a shorter point.
        point = _unescape(line.split(" ", 5)[4])
        if _holds(point, real) and len(point) >= longest:
            found, longest = line, len(point)
    return _parse(found) if found else None


def mounts_of(root: Path) -> dict[str, Mount]:
    """The mount that the root lies on, under "", and each one below it, under its path relative to the root."""
    real = os.path.realpath(root)
    found = {mount.point[len(real) + 1 :]: mount for mount in _mounts() if mount.point.startswith(f"{real}/")}
    own = mount_of(root)
    return {"": own, **found} if own else found


class MountChanges:
    """Tells when something was mounted or unmounted: the kernel makes mountinfo readable anew (proc(5))."""

    def __init__(self) -> None:
        self._poller = select.poll()
        self._file = MOUNTINFO.open("rb")
        self._poller.register(self._file, select.POLLPRI)

    def happened(self) -> bool:
        """Whether there was any since the last call."""
        return bool(self._poller.poll(0))

    def close(self) -> None:
        self._file.close()


def _mounts() -> list[Mount]:
    return [_parse(line) for line in _lines()]


def _lines() -> list[str]:
    try:
        table = MOUNTINFO.read_text(errors="surrogateescape")
    except FileNotFoundError:
        return []
    # Not splitlines(): the kernel escapes a line feed in a name, but no form feed and its like.
    return table.rstrip("\n").split("\n")


def _parse(line: str) -> Mount:
    before, _, after = line.partition(" - ")
    fs_type, source = after.split(" ")[:2]
    fields = before.split(" ")
    return Mount(int(fields[0]), _unescape(fields[4]), fs_type, _unescape(source))


def _unescape(text: str) -> str:
    return text if "\\" not in text else re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), text)


def _holds(point: str, path: str) -> bool:
    return point in ("/", path) or path.startswith(point + "/")
