"""The lock file of an indexer: one indexer per state folder, and the problem that it last reported."""

import fcntl
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from plotindex.errors import LockTimeoutError, SettingsError
from plotindex.system import acquire_lock, explain_write_errors, open_private, open_private_folder

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


@contextmanager
def hold_indexer_lock(path: Path) -> Iterator[Callable[[str], None]]:
    """Hold the lock file; yields a function that writes the indexer's current problem into it.

    Raises:
        SettingsError: another indexer holds it.
    """
    with explain_write_errors(path):
        fd = open_private(path)

    def report(problem: str) -> None:
        content = f"{_holder(socket.gethostname(), os.getpid())}\n{problem}\n".encode()[: LOCK_FILE_BYTES - 1]
        # If this fails too, readers still see a living indexer without a heartbeat.
        with suppress(OSError):
            os.pwrite(fd, content.ljust(LOCK_FILE_BYTES - 1) + b"\n", 0)

    try:
        try:
            acquire_lock(fd, time.monotonic() + LOCK_SECONDS)
        except LockTimeoutError:
            holder = _read(fd)[0] or "another process"
            raise SettingsError(f"An indexer already watches this root: {holder}. Stop it first.") from None
        report("")
        yield report
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
