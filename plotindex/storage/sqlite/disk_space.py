"""The part of the disk that is kept free of new rows, so that rows can be deleted on a full disk."""

import os
from collections.abc import Callable
from pathlib import Path

from plotindex.system import format_size, printable

MAX_RESERVE_BYTES = 1 << 26
"""As much as the log may hold that is not in the database yet."""
RESERVE_SHARE = 1 / 8
"""Share of a small disk."""
RESUME_FACTOR = 1.5
"""How often the reserve must be free before rows are added again."""


def reserve_bytes(folder: Path) -> int:
    """The size of the reserve on the disk of a folder.

    Raises:
        OSError: the folder cannot be accessed.
    """
    disk = os.statvfs(folder)
    return min(MAX_RESERVE_BYTES, int(disk.f_blocks * disk.f_frsize * RESERVE_SHARE))


def free_bytes(folder: Path) -> int:
    """Free bytes on the disk of a folder, for users other than root. Raises OSError."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def file_bytes(file: Path) -> int:
    """Size of a file; 0 if there is none."""
    try:
        return file.stat().st_size
    except OSError:
        return 0


def wal_bytes(database: Path) -> int:
    """Size of the log."""
    return file_bytes(database.with_name(f"{database.name}-wal"))


class DiskSpace:
    """Whether the disk of a database has room for new rows."""

    def __init__(self, database: Path, room_inside: Callable[[], int]) -> None:
        """`room_inside` counts the bytes in the file that new rows can take, less those that a checkpoint adds."""
        self._database = database
        self._room_inside = room_inside
        self._resume_bytes = 0
        """Bytes that must be free before rows are added again; 0 while they are added."""

    def problem(self, growth: int = 0) -> str:
        """Why no rows that take `growth` bytes may be added, with the fix; empty if they may."""
        folder = self._database.parent
        try:
            free, reserve = free_bytes(folder), reserve_bytes(folder)
        except OSError:
            return ""
        needed = max(reserve + growth, self._resume_bytes)
        if free - wal_bytes(self._database) >= needed or free + self._room_inside() >= needed:
            self._resume_bytes = 0
            return ""
        self._resume_bytes = max(needed, int(reserve * RESUME_FACTOR))
        return (
            f"The database {printable(str(self._database))} gets no new plots (disk is full except for the reserve for "
            f"removals): make room there, until {format_size(self._resume_bytes)} are free."
        )
