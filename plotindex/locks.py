"""Locks between processes, all flock(2): the kernel lets go of them when their holder dies."""

import errno
import fcntl
import os
import socket
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from plotindex.errors import CatalogError, LockTimeoutError, SettingsError
from plotindex.layout import printable
from plotindex.sharing import create_private

REMEDIES = {
    errno.ENOSPC: "make room on that disk",
    errno.EDQUOT: "make room there for this user",
    errno.EROFS: "mount that disk writable, or set PLOTINDEX_STATE_DIR",
}
"""What mends it that a file cannot be written, where that is no matter of permissions."""
TOLD_BYTES = 1024
"""The size of an indexer's lock file, whatever it tells: what it tells later needs no room on a disk that is full."""
ASKED_SECONDS = 0.3
"""How long an indexer waits for one who only asks whether there is any."""


class WriterQueue:
    """Writers take turns, in the order they came.

    SQLite's own busy-waiting starves: whoever sleeps misses the gap. Here a writer waits on flock(2), which
    wakes it; and it waits for its place in the queue before it waits for its turn, so that one who
    has just written cannot come first again while another waits.
    """

    def __init__(self, database: Path) -> None:
        self._queue = database.with_name(database.name + ".queue")
        self._turn = database.with_name(database.name + ".turn")

    @contextmanager
    def turn(self, timeout: float | None = None) -> Iterator[None]:
        """Hold the turn. `timeout` in seconds; None waits as long as it takes.

        Raises:
            LockTimeoutError: others held it for longer.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._opened(self._turn) as turn_fd:
            with self._opened(self._queue) as queue_fd:
                _lock(queue_fd, deadline)
                _lock(turn_fd, deadline)
            yield

    @contextmanager
    def _opened(self, path: Path) -> Iterator[int]:
        try:
            fd = open_private(path)
        except OSError as error:
            remedy = REMEDIES.get(error.errno or 0, "let this user write it")
            raise CatalogError(f"The catalogue cannot be written at {path} ({error.strerror}): {remedy}.") from error
        try:
            yield fd
        finally:
            os.close(fd)


class Indexing(NamedTuple):
    """What the lock file of an indexer tells."""

    is_held: bool
    """Whether the indexer is alive."""
    trouble: str
    """What is wrong with it, with the remedy; empty where it has said nothing."""
    holder: str = ""
    """Which process it is or was; empty where nobody has said so."""

    def has_lost(self, host: str, pid: int) -> bool:
        """Whether that process was the last to hold it, and is gone."""
        return not self.is_held and self.holder == _holder(host, pid)


def _holder(host: str, pid: int) -> str:
    """How a lock file names the process that holds it."""
    return f"process {pid} on {host}"


@contextmanager
def sole_indexer(path: Path) -> Iterator[Callable[[str], None]]:
    """Be the one indexer that holds the lock file `path`; call what is yielded to tell there what is wrong.

    Raises:
        SettingsError: another one does; the message says which.
    """
    with _for_the_operator(path):
        fd = open_private(path)

    def tell(trouble: str) -> None:
        told = f"{_holder(socket.gethostname(), os.getpid())}\n{trouble}\n".encode()[: TOLD_BYTES - 1]
        # Where this cannot be written either, whoever reads sees that the indexer lives and says nothing.
        with suppress(OSError):
            os.pwrite(fd, told.ljust(TOLD_BYTES - 1) + b"\n", 0)

    try:
        try:
            _lock(fd, time.monotonic() + ASKED_SECONDS)
        except LockTimeoutError:
            holder = _told_in(fd)[0] or "another process"
            raise SettingsError(f"An indexer already watches this root: {holder}. Stop it first.") from None
        tell("")
        yield tell
    finally:
        os.close(fd)


def indexing(path: Path) -> Indexing | None:
    """Whether an indexer holds the lock file `path`, and what it tells; None where that cannot be seen."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        holder, trouble = _told_in(fd)
        return Indexing(True, trouble, holder)
    except OSError:
        return None
    else:
        return Indexing(False, "", _told_in(fd)[0])
    finally:
        os.close(fd)


def _told_in(fd: int) -> tuple[str, str]:
    lines = os.pread(fd, TOLD_BYTES, 0).decode(errors="replace").split("\n")
    return lines[0].strip(), lines[1].strip() if len(lines) > 1 else ""


@contextmanager
def changing(path: Path) -> Iterator[None]:
    """Be the one process that changes the file `path`, by a lock file beside it.

    Raises:
        SettingsError: this user cannot write there.
    """
    with _for_the_operator(path):
        fd = open_private(path.with_name(path.name + ".lock"))
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


@contextmanager
def _for_the_operator(path: Path) -> Iterator[None]:
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
    with _for_the_operator(path):
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


def _lock(fd: int, deadline: float | None) -> None:
    if deadline is None:
        fcntl.flock(fd, fcntl.LOCK_EX)
        return
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise LockTimeoutError("The catalogue is being written by others.") from None
            time.sleep(0.001)
        else:
            return
