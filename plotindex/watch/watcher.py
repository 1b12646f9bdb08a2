"""The watcher: reports the scopes that may have changed, and its own failure. It can be restarted."""

from collections.abc import Callable
from pathlib import Path

from plotindex.tree import Tree
from plotindex.watch.changes import ChangeQueue, Changes
from plotindex.watch.inotify import TreeObserver
from plotindex.watch.watched_folders import Watches


class Watcher:
    """Watches a tree and a folder of barriers through one inotify descriptor."""

    def __init__(self, tree: Tree, barriers: Path, make_watches: Callable[[], Watches] = Watches) -> None:
        """`barriers` is a folder outside the tree; a file created in it is reported after all earlier changes."""
        self._tree = tree
        self._barriers = barriers
        self._queue = ChangeQueue()
        self._make_watches = make_watches
        self.watches = make_watches()
        self._observer: TreeObserver | None = None
        self._former_overflows = 0

    def start(self) -> None:
        """Start or restart watching. The caller adds the folders to `watches`.

        Raises:
            OSError: the root is inaccessible, or the limit of inotify instances or watches is reached.
        """
        self.stop()
        self._observer = TreeObserver(self._tree, self.watches, self._barriers, self._queue)
        try:
            self._observer.start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop watching and discard what has not been taken."""
        observer, self._observer = self._observer, None
        self.watches = self._make_watches()
        if observer is not None:
            self._former_overflows += observer.emitter.overflows
            observer.stop_and_join()
        self._queue.take(0)

    def take(self, timeout: float) -> Changes:
        """Return the changes since the last call, after waiting up to `timeout` seconds for the first."""
        return self._queue.take(timeout)

    @property
    def is_started(self) -> bool:
        return self._observer is not None

    def failure(self) -> str | None:
        """The reason why no changes are reported until the next `start`, or None."""
        return self._observer.failure() if self._observer else "not started"

    @property
    def last_read(self) -> float:
        """When an event was last read, by `time.monotonic()`."""
        reader = self._observer.emitter.reader if self._observer else None
        return reader.last_read if reader else 0.0

    @property
    def overflows(self) -> int:
        return self._former_overflows + (self._observer.emitter.overflows if self._observer else 0)

    @property
    def pending(self) -> int:
        return len(self._queue)
