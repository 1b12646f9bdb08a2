"""Open a folder by its path, following only symlinks that lead where their owner may lead this process."""

import errno
import os
from pathlib import Path

from plotindex.errors import UnsafePathError
from plotindex.system.openat import FOLDER_PATH_FLAGS
from plotindex.system.permissions import user_name
from plotindex.system.text import printable

MAX_SYMLINKS = 40
"""As in the kernel (path_resolution(7))."""
LINK_FLAGS = getattr(os, "O_PATH", os.O_RDONLY) | os.O_NOFOLLOW | os.O_CLOEXEC


def open_trusted_folder(path: Path) -> int:
    """A descriptor (O_PATH) of the folder at `path`.

    A symlink on the way must belong to root, to this user or to the owner of the folder that it leads to.

    Raises:
        UnsafePathError: another user's symlink is on the way.
        OSError: the folder cannot be opened.
    """
    pending = list(reversed(path.parts))
    owners: dict[int, str] = {}
    links = 0
    fd = os.open("/" if path.is_absolute() else ".", FOLDER_PATH_FLAGS)
    try:
        while pending:
            part = pending.pop()
            try:
                fd = _replace_fd(fd, part)
            except NotADirectoryError:
                owner, target = _read_link(part, fd)
                owners[owner] = part
                links += 1
                if links > MAX_SYMLINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path)) from None
                pending += reversed(Path(target).parts)
        for owner in owners.keys() - {0, os.geteuid(), os.fstat(fd).st_uid}:
            raise UnsafePathError(
                f"{printable(str(path))} leads through {printable(owners[owner])}, a symlink of {user_name(owner)}: "
                "remove the link, or run this as that user."
            )
    except BaseException:
        os.close(fd)
        raise
    return fd


def _replace_fd(fd: int, part: str) -> int:
    """Open a folder in the directory `fd`, and close `fd`. An absolute `part` is opened as it is."""
    deeper = os.open(part, FOLDER_PATH_FLAGS, dir_fd=fd)
    os.close(fd)
    return deeper


def _read_link(name: str, fd: int) -> tuple[int, str]:
    """The owner and the target of a symlink in the directory `fd`.

    Raises:
        NotADirectoryError: it is another file.
    """
    link = os.open(name, LINK_FLAGS, dir_fd=fd)
    try:
        return os.fstat(link).st_uid, os.readlink("", dir_fd=link)
    except OSError as error:
        # readlink(2) reports a file that is no symlink as ENOENT or EINVAL.
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), name) from error
    finally:
        os.close(link)
