"""The part of the disk that is kept free of new rows, so that rows can be deleted on a full disk."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from plotindex.system import format_size, printable

MAX_RESERVE_BYTES = 1 << 26
"""As much as the log may hold that is not in the database yet."""
RESERVE_SHARE = 1 / 8
"""Share of a small disk."""
RESUME_FACTOR = 1.5
"""How often the reserve must be free before rows are added again."""
RETRY_SECONDS = 30.0
"""How long rows wait for as much room as those took that were refused: their cause may be gone."""
HISTORY_SHARE = 1 / 2
"""Share of the reserve that stays free of the history's rows, which follow those of the catalogue."""
OTHERS_FACTOR = 3
"""How often the reserve stays free of other files."""


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


def room_for_others(folder: Path) -> int:
    """Bytes that files other than databases may take on the disk of a folder. Raises OSError."""
    return free_bytes(folder) - OTHERS_FACTOR * reserve_bytes(folder)


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

    def __init__(self, database: Path, room_inside: Callable[[], int], *, is_catalogue: bool) -> None:
        """`room_inside` counts the bytes in the file that new rows can take, less those that a checkpoint adds."""
        self._database = database
        self._room_inside = room_inside
        self._is_catalogue = is_catalogue
        self._resume_bytes = 0
        """Bytes that must be free before rows are added again; 0 while they are added."""
        self._retry_at = 0.0

    def problem(self, growth: int = 0) -> str:
        """Why no rows that take `growth` bytes may be added, with the fix; empty if they may."""
        folder = self._database.parent
        try:
            free, reserve = free_bytes(folder), reserve_bytes(folder)
        except OSError:
            return ""
        if not self._is_catalogue:
            reserve = int(reserve * HISTORY_SHARE)
        least = int(reserve * RESUME_FACTOR)
        if time.monotonic() >= self._retry_at:
            self._resume_bytes = min(self._resume_bytes, least)
        needed = max(reserve + growth, self._resume_bytes)
        if free - wal_bytes(self._database) >= needed or free + self._room_inside() >= needed:
            self._resume_bytes = 0
            return ""
        self._resume_bytes = max(needed, least)
        if growth:
            self._retry_at = time.monotonic() + RETRY_SECONDS
        what = "plots" if self._is_catalogue else "versions"
        return (
            f"The database {printable(str(self._database))} gets no new {what} (disk is full except for the reserve "
            f"for removals): make room there, until {format_size(self._resume_bytes)} are free."
        )
