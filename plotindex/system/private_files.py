"""Locks between processes, all flock(2): the kernel lets go of them when their holder dies."""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from plotindex.errors import REMEDIES, SettingsError
from plotindex.system.permissions import create_private
from plotindex.system.text import printable


@contextmanager
def changing(path: Path) -> Iterator[None]:
    """Be the one process that changes the file `path`, by a lock file beside it.

    Raises:
        SettingsError: this user cannot write there.
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
    try:
        yield
    except OSError as error:
        remedy = REMEDIES.get(error.errno or 0, "let this user write it, or set PLOTINDEX_STATE_DIR")
        raise SettingsError(f"{path.parent} cannot be written ({error.strerror}): {remedy}.") from None


def write_private(path: Path, content: bytes) -> None:
    """Replace a file's content, whole or not at all. The caller is its one writer.

    Its owner alone can read it and, where a group shares the folder, that group.

    Raises:
        SettingsError: this user cannot write there, or the disk is full; the file is what it was.
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
    """The content of a file that plotindex writes.

    Raises:
        SettingsError: it is a folder, a pipe or a device, of which nobody knows whether it ever ends.
        OSError: it cannot be read.
    """
    # A pipe that nobody writes to would be waited for; a symlink may be meant.
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise SettingsError(f"{printable(str(path))} is no regular file: remove it and, from a backup, restore it.")
        with os.fdopen(fd, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(fd)


def signature_of(path: Path) -> tuple[int, ...]:
    """What changes when a file is replaced by `write_private` or rewritten; empty while it is not there."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return ()
    return status.st_ino, status.st_mtime_ns, status.st_size


def open_private(path: Path, shared: int = 0o660) -> int:
    """Open a file for reading and writing; a new one is its owner's alone, `shared` where a group shares the folder."""
    try:
        return create_private(path, shared)
    except FileExistsError:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
