"""What tells whether the entries of a folder are still the same."""

import os

FolderStamp = tuple[int, int, int, int]
"""Device, inode, mtime and ctime of a folder; unchanged stamp, unchanged entries."""
LEAF_FOLDER_LINKS = 2
"""st_nlink of a folder without subfolders, on file systems that count their ".."."""


def read_stamp(fd: int) -> FolderStamp:
    """The stamp of an open folder."""
    return stamp_of(os.fstat(fd))


def stamp_of(status: os.stat_result) -> FolderStamp:
    """The stamp of a folder with this status."""
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns
