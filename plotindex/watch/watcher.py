"""watchdog: events become scopes. The only module that imports watchdog.

Events say where to look, never what happened: whatever an event is about, the answer is the path of an entry that
may have changed. Of watchdog it uses the observer with its queue and dispatcher, and the reader of inotify(7);
not its books of moves and recursive watches, which lose folders under renames.
See docs/decisions/0003-events-name-scopes.md.
"""

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers.api import BaseObserver

from plotindex.tree import ScopeSet, Tree
from plotindex.watch.inotify import ChangesEvent, TreeEmitter
from plotindex.watch.watches import Watches

log = logging.getLogger(__name__)


class PendingChanges(NamedTuple):
    """What may have changed, and the barriers that stand behind it."""

    scopes: ScopeSet
    barriers: list[str]


class ChangeQueue(FileSystemEventHandler):
    """What watchdog's dispatcher hands changes to. It only collects, and never raises."""

    def __init__(self) -> None:
        self._arrived = threading.Condition()
        self._changes = PendingChanges(ScopeSet(), [])

    def dispatch(self, event: FileSystemEvent) -> None:
        if isinstance(event, ChangesEvent):
            with self._arrived:
                self._changes.scopes.update(event.scopes.paths())
                self._changes.barriers.extend(event.barriers)
                self._arrived.notify()

    def __len__(self) -> int:
        return self._changes.scopes.count + len(self._changes.barriers)

    def take(self, timeout: float) -> PendingChanges:
        """What has arrived, as soon as there is something or `timeout` seconds have passed."""
        with self._arrived:
            self._arrived.wait_for(lambda: len(self) > 0, timeout)
            taken, self._changes = self._changes, PendingChanges(ScopeSet(), [])
            return taken


class Watcher:
    """The scopes of a tree that may have changed, as they change."""

    def __init__(self, tree: Tree, barriers: Path, make_watches: Callable[[], Watches] = Watches) -> None:
        """`barriers` is a folder outside the tree: the name of each new file in it comes behind earlier changes."""
        self._tree = tree
        self._barriers = barriers
        self._collector = ChangeQueue()
        self._make_watches = make_watches
        self.watches = make_watches()
        self._observer: BaseObserver | None = None
        self._emitter: TreeEmitter | None = None
        self._former_overflows = 0

    def start(self) -> None:
        """Begin to listen; which folders are watched is for its caller to say, to `watches`.

        Raises:
            OSError: the root cannot be seen, or there is no inotify descriptor or watch to be had.
        """
        self.stop()
        observer = BaseObserver(TreeEmitter, tree=self._tree, watches=self.watches, barriers=self._barriers)
        observer.schedule(self._collector, str(self._tree.root), recursive=True)
        self._observer = observer
        (self._emitter,) = (emitter for emitter in observer.emitters if isinstance(emitter, TreeEmitter))
        try:
            observer.start()
        except BaseException:
            # What has not begun cannot be lost.
            self.stop()
            raise

    def stop(self) -> None:
        """End watching; what was not taken is forgotten."""
        observer, emitter = self._observer, self._emitter
        self._observer = self._emitter = None
        self.watches = self._make_watches()
        if observer is not None and emitter is not None:
            self._former_overflows += emitter.overflows
            observer.stop()
            for thread in (emitter.reader, emitter, observer):
                if thread is not None and thread.is_alive():
                    thread.join()
        self._collector.take(0)

    def take(self, timeout: float) -> PendingChanges:
        """What may have changed; nothing when nothing came for `timeout` seconds."""
        return self._collector.take(timeout)

    @property
    def is_started(self) -> bool:
        return self._observer is not None

    def why_deaf(self) -> str | None:
        """Why no more changes will be seen until the next `start`, or None while they are."""
        if self._observer is None or self._emitter is None:
            return "not started"
        if self._emitter.lost or not self._emitter.is_alive():
            return self._emitter.lost or "the emitter thread died"
        return None if self._observer.is_alive() else "the dispatcher thread died"

    @property
    def read_at(self) -> float:
        """When an event was last read, by `time.monotonic()`."""
        return self._emitter.reader.read_at if self._emitter and self._emitter.reader else 0.0

    @property
    def overflows(self) -> int:
        return self._former_overflows + (self._emitter.overflows if self._emitter else 0)

    @property
    def pending(self) -> int:
        return len(self._collector)
