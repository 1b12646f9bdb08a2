"""Which file system a path lies on, from /proc/self/mountinfo (proc_pid_mountinfo(5))."""

import os
import re
from pathlib import Path
from typing import NamedTuple

MOUNTINFO = Path("/proc/self/mountinfo")


class Mount(NamedTuple):
    point: str
    fs_type: str
    source: str


def mount_of(path: Path) -> Mount | None:
    """The mount that `path` lies on, or None where the system does not say (no /proc: macOS)."""
    try:
        table = MOUNTINFO.read_text(errors="surrogateescape")
    except FileNotFoundError:
        return None
    real = os.path.realpath(path)
    found = None
    # Not splitlines(): the kernel escapes a line feed in a name, but no form feed and its like.
    for mount in map(_parse, table.rstrip("\n").split("\n")):
        # A later line is mounted over an earlier one with the same or a shorter point.
        if _holds(mount.point, real) and (found is None or len(mount.point) >= len(found.point)):
            found = mount
    return found


def _parse(line: str) -> Mount:
    before, _, after = line.partition(" - ")
    fs_type, source = after.split(" ")[:2]
    return Mount(_unescape(before.split(" ")[4]), fs_type, _unescape(source))


def _unescape(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), text)


def _holds(point: str, path: str) -> bool:
    return point in ("/", path) or path.startswith(point + "/")
