"""Take a flock(2) lock by a deadline. The kernel releases it when its holder dies."""

import fcntl
import time

from plotindex.errors import LockTimeoutError


def lock(fd: int, deadline: float | None) -> None:
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
