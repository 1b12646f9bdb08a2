"""State files that only their owner, or the group that shares their folder, can read; and locks on them."""

import errno
import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from plotindex.errors import WRITE_ERROR_REMEDIES, SettingsError, UnsafePathError
from plotindex.system.humanize import format_size
from plotindex.system.private_folder import PrivateFolder, open_private_folder
from plotindex.system.text import printable

MAX_BYTES = 1 << 23
"""Of a state file that is read as a whole: some 20,000 tokens. A larger one would fill the memory."""


@contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    """Hold the exclusive right to change the file `path`, by flock(2) on `path` + ".lock".

    Raises:
        SettingsError: the lock file cannot be written.
    """
    with explain_write_errors(path):
        fd = open_private(path.with_name(path.name + ".lock"))
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


@contextmanager
def explain_write_errors(path: Path) -> Iterator[None]:
    """Turn an OSError about `path` into a SettingsError with its remedy."""
    try:
        yield
    except UnsafePathError as error:
        raise SettingsError(str(error)) from None
    except OSError as error:
        remedy = write_error_remedy(
            error, path.parent, "make it writable for this user (chmod, chown), or set PLOTINDEX_STATE_DIR"
        )
        raise SettingsError(f"{path.parent} cannot be written ({error.strerror}): {remedy}.") from None


def write_error_remedy(error: OSError, folder: Path, otherwise: str) -> str:
    """What fixes a write error in a folder; `otherwise` for a missing permission."""
    if error.errno == errno.ENOSPC and has_no_inodes(folder):
        return "delete files on that disk, which has no inode left (`df -i`)"
    return WRITE_ERROR_REMEDIES.get(error.errno or 0, otherwise)


def has_no_inodes(folder: Path) -> bool:
    """Whether no file can be created on the disk of a folder. Raises OSError."""
    disk = os.statvfs(folder)
    # Some file systems have no limit, and report zero inodes.
    return disk.f_files > 0 and disk.f_favail == 0


def write_private(path: Path, content: bytes) -> None:
    """Replace a file's content atomically. The caller must be the only writer.

    Raises:
        SettingsError: the folder is not writable, the disk is full, or the content too long; the file is unchanged.
    """
    if len(content) > MAX_BYTES:
        limit = format_size(MAX_BYTES)
        raise SettingsError(f"{printable(str(path))} cannot grow beyond {limit}: remove entries, such as old tokens.")
    with explain_write_errors(path), open_private_folder(path.parent) as folder:
        folder.remove_temporary(path.name)
        folder.replace(path.name, content)


def read_private(path: Path) -> bytes:
    """The content of a state file.

    Raises:
        SettingsError: it may be another user's trap, as `PrivateFolder.open` says, or is larger than any state file.
        OSError: it cannot be read.
    """
    try:
        with open_private_folder(path.parent) as folder, os.fdopen(folder.open(path.name, os.O_RDONLY), "rb") as file:
            if os.fstat(file.fileno()).st_size <= MAX_BYTES and len(content := file.read(MAX_BYTES + 1)) <= MAX_BYTES:
                return content
    except UnsafePathError as error:
        raise SettingsError(str(error)) from None
    raise SettingsError(
        f"{printable(str(path))} is damaged (larger than {format_size(MAX_BYTES)}): restore it, or remove it."
    )


def file_signature(path: str | Path) -> tuple[int, ...]:
    """Inode, mtime and size of a file, which change when it is replaced or rewritten; empty if it does not exist."""
    try:
        # Not by a Path, which takes longer than the call: once for each request.
        status = os.lstat(path)
    except FileNotFoundError:
        return ()
    return status.st_ino, status.st_mtime_ns, status.st_size


def opened_files(folder: Path, names: re.Pattern[str]) -> Iterator[tuple[PrivateFolder, str, int]]:
    """The folder, and the name and descriptor of each file with such a name that can be read; closed after the step."""
    with suppress(OSError), open_private_folder(folder) as opened:
        for name in filter(names.fullmatch, opened.names()):
            try:
                fd = opened.open(name, os.O_RDONLY)
            except OSError:
                continue
            try:
                yield opened, name, fd
            finally:
                os.close(fd)


def open_private(path: Path) -> int:
    """A descriptor of a state file for reading and writing, created if it is missing.

    Raises:
        UnsafePathError: it may be another user's trap, as `PrivateFolder.open` says.
        OSError: it cannot be opened.
    """
    with open_private_folder(path.parent) as folder:
        return folder.open_or_create(path.name, 0o660)
