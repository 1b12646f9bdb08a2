"""Opening beneath a directory: one component at a time, through no symlink (open(2): O_NOFOLLOW with dir_fd).

There is no gap between check and use in which a script could swap what it was for something else.
"""

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

# Not able to look is not the same as gone: any other errno leaves what is known as it is.
# ENXIO is open(2) on a socket, which is no regular file.
ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO})

FOLDER_PATH = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


# Non-blocking, so that a FIFO called x.png hangs nobody.
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


@contextmanager
def closing_descriptor(fd: int) -> Iterator[int]:
    """Close `fd` at the end."""
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def folder_beneath(parts: Sequence[str], fd: int, flags: int = FOLDER) -> Iterator[int]:
    """The folder that `parts` lead to from the directory `fd`, through no symlink."""
    opened = fd
    try:
        for position, part in enumerate(parts, 1):
            last = position == len(parts)
            deeper = os.open(part, flags if last else FOLDER_PATH, dir_fd=opened)
            if opened != fd:
                os.close(opened)
            opened = deeper
        yield opened
    finally:
        if opened != fd:
            os.close(opened)


def open_beneath(folder: str, parts: Sequence[str]) -> int:
    """A descriptor of the file that `parts` (two or more) lead to from `folder`, through no symlink on the way.

    `folder` itself may be reached through some. Not blocking; what kind of file it is, is for the caller to see.
    """
    # O_NOFOLLOW minds the last component alone: behind the first part each is opened from the one before.
    fd = os.open(f"{folder}/{parts[0]}", FOLDER_PATH)
    for part in parts[1:-1]:
        try:
            deeper = os.open(part, FOLDER_PATH, dir_fd=fd)
        finally:
            os.close(fd)
        fd = deeper
    try:
        return os.open(parts[-1], FILE, dir_fd=fd)
    finally:
        os.close(fd)


def status_beneath(parts: Sequence[str], fd: int) -> os.stat_result:
    """The status of what `parts` lead to from the directory `fd`, itself no symlink and through none."""
    *folders, name = parts
    with folder_beneath(folders, fd, FOLDER_PATH) as folder_fd:
        return os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
