"""A first-come, first-served queue of writers, built on flock(2)."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from plotindex.errors import CatalogError, UnsafePathError, UnusableDatabaseError
from plotindex.system import acquire_lock, open_private, write_error_remedy


class WriterQueue:
    """Writers take turns in the order of their arrival.

    SQLite's busy-wait starves: a sleeping writer misses the gap. Here a writer waits on flock(2), which
    wakes it. It locks the queue before it locks the turn, so that a writer that has just finished
    cannot overtake one that waits.
    """

    def __init__(self, database: Path) -> None:
        self._queue = database.with_name(database.name + ".queue")
        self.file = database.with_name(database.name + ".turn")
        """Closed by each writer after its turn."""

    @contextmanager
    def turn(self, timeout: float | None = None) -> Iterator[None]:
        """Hold the turn. `timeout` in seconds; None waits indefinitely.

        Raises:
            LockTimeoutError: others held it for longer.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._opened(self.file) as turn_fd:
            with self._opened(self._queue) as queue_fd:
                acquire_lock(queue_fd, deadline)
                acquire_lock(turn_fd, deadline)
            yield

    @contextmanager
    def _opened(self, path: Path) -> Iterator[int]:
        try:
            fd = open_private(path)
        except UnsafePathError as error:
            raise UnusableDatabaseError(str(error)) from None
        except OSError as error:
            remedy = write_error_remedy(error, path.parent, "make it writable for this user (chmod, chown)")
            raise CatalogError(f"The catalogue cannot be written at {path} ({error.strerror}): {remedy}.") from error
        try:
            yield fd
        finally:
            os.close(fd)
