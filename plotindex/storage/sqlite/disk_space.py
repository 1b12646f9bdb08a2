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


class DiskSpace:
    """Whether the disk of a database has room for new rows."""

    def __init__(self, database: Path, free_bytes_inside: Callable[[], int]) -> None:
        """`free_bytes_inside` counts the bytes in the database file that new rows can take."""
        self._database = database
        self._free_bytes_inside = free_bytes_inside
        self._resume_bytes = 0
        """Bytes that must be free before rows are added again; 0 while they are added."""
        self.is_short = False
        """Whether less than the reserve was free on the disk when last checked."""

    def problem(self, growth: int = 0) -> str:
        """Why no rows that take `growth` bytes may be added, with the fix; empty if they may."""
        folder = self._database.parent
        try:
            disk, reserve = os.statvfs(folder), reserve_bytes(folder)
        except OSError:
            return ""
        free = disk.f_bavail * disk.f_frsize
        self.is_short = free < reserve
        needed = max(reserve + growth, self._resume_bytes)
        if free >= needed or free + self._free_bytes_inside() >= needed:
            self._resume_bytes = 0
            return ""
        self._resume_bytes = max(needed, int(reserve * RESUME_FACTOR))
        return (
            f"The database {printable(str(self._database))} gets no new plots (disk is full except for the reserve for "
            f"removals): make room there, until {format_size(self._resume_bytes)} are free."
        )
