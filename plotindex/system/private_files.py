"""State files that only their owner, or the group that shares their folder, can read; and locks on them."""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from plotindex.errors import WRITE_ERROR_REMEDIES, SettingsError
from plotindex.system.permissions import create_private
from plotindex.system.text import printable


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
    except OSError as error:
        remedy = WRITE_ERROR_REMEDIES.get(error.errno or 0, "let this user write it, or set PLOTINDEX_STATE_DIR")
        raise SettingsError(f"{path.parent} cannot be written ({error.strerror}): {remedy}.") from None


def write_private(path: Path, content: bytes) -> None:
    """Replace a file's content atomically. The caller must be the only writer.

    Raises:
        SettingsError: the folder is not writable, or the disk is full; the file is unchanged.
    """
    new = path.with_name(path.name + ".new")
    with explain_write_errors(path):
        new.unlink(missing_ok=True)
        try:
            with os.fdopen(open_private(new, 0o640), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            new.rename(path)
        except OSError:
            with suppress(OSError):
                new.unlink()
            raise


def read_private(path: Path) -> bytes:
    """The content of a state file.

    Raises:
        SettingsError: it is not a regular file; a pipe or a device might never end.
        OSError: it cannot be read.
    """
    # Non-blocking: opening a pipe without a writer would hang. Symlinks are allowed.
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise SettingsError(
                f"{printable(str(path))} is not a regular file: remove it, or restore it from a backup."
            )
        with os.fdopen(fd, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(fd)


def file_signature(path: Path) -> tuple[int, ...]:
    """Inode, mtime and size of a file, which change when it is replaced or rewritten; empty if it does not exist."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return ()
    return status.st_ino, status.st_mtime_ns, status.st_size


def open_private(path: Path, shared: int = 0o660) -> int:
    """Open a file for reading and writing; a new one is made as by `create_private`."""
    try:
        return create_private(path, shared)
    except FileExistsError:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
