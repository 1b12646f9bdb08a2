"""Only one process of a state folder inspects at a time: another one would read the same plots."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from plotindex.config import Settings
from plotindex.system import acquire_lock, explain_write_errors, open_private


@contextmanager
def inspection_turn(settings: Settings, timeout: float | None) -> Iterator[None]:
    """Be the one process that inspects. Waits for `timeout` seconds, with None for as long as it takes.

    Raises:
        LockTimeoutError: another process inspects.
        SettingsError: the lock file cannot be written.
    """
    with explain_write_errors(settings.inspection_lock):
        fd = open_private(settings.inspection_lock)
    try:
        acquire_lock(fd, None if timeout is None else monotonic() + timeout)
        yield
    finally:
        os.close(fd)
