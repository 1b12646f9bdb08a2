"""The lock file of an indexer: one indexer per state folder, and what it last reported."""

import fcntl
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from plotindex.errors import LockTimeoutError, SettingsError
from plotindex.system import acquire_lock, explain_write_errors, open_private

TOLD_BYTES = 1024
"""The size of an indexer's lock file, whatever it tells: what it tells later needs no room on a disk that is full."""
ASKED_SECONDS = 0.3
"""How long an indexer waits for one who only asks whether there is any."""


class LockState(NamedTuple):
    """What the lock file of an indexer tells."""

    is_held: bool
    """Whether the indexer is alive."""
    trouble: str
    """What is wrong with it, with the remedy; empty where it has said nothing."""
    holder: str = ""
    """Which process it is or was; empty where nobody has said so."""

    def is_abandoned_by(self, host: str, pid: int) -> bool:
        """Whether that process was the last to hold it, and is gone."""
        return not self.is_held and self.holder == _holder(host, pid)


def _holder(host: str, pid: int) -> str:
    """How a lock file names the process that holds it."""
    return f"process {pid} on {host}"


@contextmanager
def hold_indexer_lock(path: Path) -> Iterator[Callable[[str], None]]:
    """Be the one indexer that holds the lock file `path`; call what is yielded to tell there what is wrong.

    Raises:
        SettingsError: another one does; the message says which.
    """
    with explain_write_errors(path):
        fd = open_private(path)

    def tell(trouble: str) -> None:
        told = f"{_holder(socket.gethostname(), os.getpid())}\n{trouble}\n".encode()[: TOLD_BYTES - 1]
        # Where this cannot be written either, whoever reads sees that the indexer lives and says nothing.
        with suppress(OSError):
            os.pwrite(fd, told.ljust(TOLD_BYTES - 1) + b"\n", 0)

    try:
        try:
            acquire_lock(fd, time.monotonic() + ASKED_SECONDS)
        except LockTimeoutError:
            holder = _told_in(fd)[0] or "another process"
            raise SettingsError(f"An indexer already watches this root: {holder}. Stop it first.") from None
        tell("")
        yield tell
    finally:
        os.close(fd)


def read_indexer_lock(path: Path) -> LockState | None:
    """Whether an indexer holds the lock file `path`, and what it tells; None where that cannot be seen."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        holder, trouble = _told_in(fd)
        return LockState(True, trouble, holder)
    except OSError:
        return None
    else:
        return LockState(False, "", _told_in(fd)[0])
    finally:
        os.close(fd)


def _told_in(fd: int) -> tuple[str, str]:
    lines = os.pread(fd, TOLD_BYTES, 0).decode(errors="replace").split("\n")
    return lines[0].strip(), lines[1].strip() if len(lines) > 1 else ""
