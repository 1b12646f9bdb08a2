"""The lock file of an indexer: one indexer per state folder, and the problem that it last reported."""

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from plotindex.errors import LockTimeoutError, SettingsError, StateLostError
from plotindex.system import (
    ABSENT_ERRNOS,
    acquire_lock,
    explain_write_errors,
    open_private,
    open_private_folder,
    printable,
)

LOCK_FILE_BYTES = 1024
"""The fixed size of the lock file: a problem can be reported on a full disk."""
LOCK_SECONDS = 0.3
"""How long an indexer waits for the lock: processes that read its state hold it for a moment."""


class LockState(NamedTuple):
    """The content of an indexer's lock file."""

    is_held: bool
    """Whether the indexer is alive."""
    problem: str
    """The problem that it reports, with the fix; empty if there is none."""
    holder: str = ""
    """The process that holds or last held the lock; empty if unknown."""

    def is_abandoned_by(self, host: str, pid: int) -> bool:
        """Whether that process was the last holder and has ended."""
        return not self.is_held and self.holder == _holder(host, pid)


class IndexerLock:
    """The lock file of this process, while it is held."""

    def __init__(self, path: Path, fd: int) -> None:
        self._path = path
        self._fd = fd

    def report(self, problem: str) -> None:
        """Write the indexer's current problem into the file; an empty text if there is none."""
        content = f"{_holder(socket.gethostname(), os.getpid())}\n{problem}\n".encode()[: LOCK_FILE_BYTES - 1]
        # If this fails too, readers still see a living indexer without a heartbeat.
        with suppress(OSError):
            os.pwrite(self._fd, content.ljust(LOCK_FILE_BYTES - 1) + b"\n", 0)

    def check(self) -> None:
        """Check that the path still leads to this file: otherwise another indexer could start beside this one.

        Raises:
            StateLostError: the file or its folder was deleted or replaced.
        """
        try:
            found = self._path.stat()
        except OSError as error:
            if error.errno not in ABSENT_ERRNOS:
                return
        else:
            if os.path.samestat(found, os.fstat(self._fd)):
                return
        what = self._path if self._path.parent.is_dir() else self._path.parent
        raise StateLostError(
            f"{printable(str(what))} was deleted or replaced while the indexer was running: restart `plotindex watch`, "
            "which creates it again. Find out which program does that."
        )


@contextmanager
def hold_indexer_lock(path: Path) -> Iterator[IndexerLock]:
    """Hold the lock file.

    Raises:
        SettingsError: another indexer holds it.
    """
    with explain_write_errors(path):
        fd = open_private(path)

    try:
        try:
            acquire_lock(fd, time.monotonic() + LOCK_SECONDS)
        except LockTimeoutError:
            holder = _read(fd)[0] or "another process"
            raise SettingsError(f"An indexer already watches this root: {holder}. Stop it first.") from None
        lock = IndexerLock(path, fd)
        lock.report("")
        yield lock
    finally:
        os.close(fd)


def read_indexer_lock(path: Path) -> LockState | None:
    """The state of the lock file, or None if it cannot be read."""
    try:
        with open_private_folder(path.parent) as folder:
            fd = folder.open(path.name, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        holder, problem = _read(fd)
        return LockState(True, problem, holder)
    except OSError:
        return None
    else:
        return LockState(False, "", _read(fd)[0])
    finally:
        os.close(fd)


def _holder(host: str, pid: int) -> str:
    return f"process {pid} on {host}"


def _read(fd: int) -> tuple[str, str]:
    """The holder and the problem."""
    lines = os.pread(fd, LOCK_FILE_BYTES, 0).decode(errors="replace").split("\n")
    return lines[0].strip(), lines[1].strip() if len(lines) > 1 else ""
