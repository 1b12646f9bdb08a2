"""flock(2) with a deadline. The kernel releases the lock when its holder dies."""

import fcntl
import time

from plotindex.errors import LockTimeoutError


def acquire_lock(fd: int, deadline: float | None) -> None:
    """Take an exclusive lock by `deadline` (monotonic seconds); None waits for ever.

    Raises:
        LockTimeoutError: another process held the lock until then.
    """
    if deadline is None:
        fcntl.flock(fd, fcntl.LOCK_EX)
        return
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise LockTimeoutError("Another process is writing the catalogue.") from None
            time.sleep(0.001)
        else:
            return
