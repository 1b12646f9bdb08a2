"""Open beneath a directory: one component at a time, following no symlink (open(2): O_NOFOLLOW with dir_fd).

No gap between check and use lets a script swap what was checked.
"""

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

ABSENT_ERRNOS = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO})
"""Errors that prove absence; any other leaves the catalogue as it is. ENXIO is open(2) on a socket."""

FOLDER_PATH_FLAGS = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Non-blocking: opening a FIFO called x.png must not hang.
FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


@contextmanager
def closing_fd(fd: int) -> Iterator[int]:
    """Close `fd` on exit."""
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def open_folder_beneath(parts: Sequence[str], fd: int, flags: int = FOLDER_FLAGS) -> Iterator[int]:
    """A descriptor of the folder at `parts` below the directory `fd`; closed on exit, unless it is `fd` itself."""
    opened = fd
    try:
        for position, part in enumerate(parts, 1):
            last = position == len(parts)
            deeper = os.open(part, flags if last else FOLDER_PATH_FLAGS, dir_fd=opened)
            if opened != fd:
                os.close(opened)
            opened = deeper
        yield opened
    finally:
        if opened != fd:
            os.close(opened)


def open_beneath(folder: str, parts: Sequence[str]) -> int:
    """A descriptor of the file at `parts` (two or more) below `folder`, opened non-blocking.

    `folder` itself may contain symlinks. The caller checks the type of the file.
    """
    # O_NOFOLLOW applies to the last component alone, so each one after the first is opened from its parent.
    fd = os.open(f"{folder}/{parts[0]}", FOLDER_PATH_FLAGS)
    for part in parts[1:-1]:
        try:
            deeper = os.open(part, FOLDER_PATH_FLAGS, dir_fd=fd)
        finally:
            os.close(fd)
        fd = deeper
    try:
        return os.open(parts[-1], FILE_FLAGS, dir_fd=fd)
    finally:
        os.close(fd)


def stat_beneath(parts: Sequence[str], fd: int) -> os.stat_result:
    """The status of the entry at `parts` below the directory `fd`, following no symlink."""
    *folders, name = parts
    with open_folder_beneath(folders, fd, FOLDER_PATH_FLAGS) as folder_fd:
        return os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
