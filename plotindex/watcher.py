"""watchdog: events become scopes. The only module that imports watchdog.

Events say where to look, never what happened: whatever an event is about, the answer is the path of an entry that
may have changed. Of watchdog it uses the observer with its queue and dispatcher, and the reader of inotify(7);
not its books of moves and recursive watches, which lose folders under renames (docs/design.md).
"""

import errno
import logging
import os
import threading
import time
from itertools import count
from pathlib import Path

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers.api import BaseObserver, EventEmitter, EventQueue, ObservedWatch
from watchdog.observers.inotify_c import CallbackId, InotifyConstants, InotifyEvent, InotifyFD, Mask, WatchDescriptor

from plotindex.beneath import ABSENT, FOLDER_PATH
from plotindex.labels import Labels, Watch
from plotindex.layout import covers, is_text
from plotindex.tree import Tree

# Never opens and reads: serving plots causes no event.
MASK = Mask(
    InotifyConstants.IN_CLOSE_WRITE
    | InotifyConstants.IN_MODIFY
    | InotifyConstants.IN_ATTRIB
    | InotifyConstants.IN_MOVE
    | InotifyConstants.IN_CREATE
    | InotifyConstants.IN_DELETE
    | InotifyConstants.IN_DELETE_SELF
    | InotifyConstants.IN_MOVE_SELF
    | InotifyConstants.IN_ONLYDIR
    | InotifyConstants.IN_EXCL_UNLINK
)
CHECK_SECONDS = 1.0
"""How often the emitter checks that it still watches the root."""
RETRY_SECONDS = 5.0
"""How often folders that could not be watched are looked at, and tried again."""
MOST_SCOPES = 50_000
"""Beyond so many the root stands for all."""
BATCH_SCOPES = 1_000
BATCH_SECONDS = 0.025
"""While changes keep coming they are taken in batches this long."""
WATCH_LIMIT = Path("/proc/sys/fs/inotify/max_user_watches")

log = logging.getLogger(__name__)


class ScopeEvent(FileSystemEvent):
    """Something within a scope may have changed; the scope is its `src_path`."""

    event_type = "scope"


class Reader(InotifyFD):
    """watchdog's reader of one inotify descriptor, which keeps what it died of."""

    died: BaseException | None = None

    def run(self) -> None:
        try:
            super().run()
        except BaseException as error:  # noqa: BLE001 - the emitter sees it within a second and reports it
            self.died = error


class TreeEmitter(EventEmitter):
    """Watches the folders that can hold plots, level-triggered.

    An event about a folder says only that this folder and all below it may have changed: the watches there are put
    right from the disk as it is then, watching first and listing second. So labels are right before the next
    event is looked at, no event waits for a partner, and no order of renames leaves a folder unwatched.
    """

    def __init__(self, event_queue: EventQueue, watch: ObservedWatch, *, tree: Tree, **_defaults: object) -> None:
        super().__init__(event_queue, watch, timeout=CHECK_SECONDS)
        self._tree = tree
        self._reader: Reader | None = None
        self._root_seen: tuple[int, int] | None = None
        self._lock = threading.RLock()
        self._ids = count()
        self._labels = Labels()
        self._retry_at = 0.0
        self._stopping = False
        self.unwatched: dict[str, OSError] = {}
        """Folder -> why it is not watched: it is looked at every few seconds instead."""
        self.overflows = 0
        self.lost: str | None = None
        """Why nothing more will be seen; the observer has to be replaced."""

    @property
    def watched(self) -> int:
        return len(self._labels)

    def on_thread_start(self) -> None:
        self._root_seen = self._see_root()
        self._reader = Reader()
        self._reader.start()
        self._refresh("")

    def on_thread_stop(self) -> None:
        self._stopping = True
        if self._reader is not None:
            self._reader.stop()

    def queue_events(self, timeout: float) -> None:
        """Called again and again by watchdog's thread; here it looks after what no event tells."""
        if self.stopped_event.wait(timeout) or self.lost:
            return
        if self._reader is None or not self._reader.is_alive():
            self._lose(f"the reader of events ended ({self._reader and self._reader.died!r})")
            return
        try:
            seen = self._see_root()
        except OSError as error:
            self._lose(f"the root cannot be seen ({error.strerror})")
            return
        if seen != self._root_seen:
            self._lose("the root is another directory than the one watched")
        elif self.unwatched and time.monotonic() >= self._retry_at:
            self._retry_at = time.monotonic() + RETRY_SECONDS
            for path in list(self.unwatched):
                self._hint_folder(path)

    def on_event(self, event: InotifyEvent) -> None:
        """Called by the reader for each event of a watched folder."""
        with self._lock:
            folder = self._labels.path(event.wd)
        if folder is None or self._stopping or not event.name:
            return
        name = os.fsdecode(event.name)
        path = f"{folder}/{name}" if folder else name
        if not is_text(name):
            return
        if event.mask & InotifyConstants.IN_ISDIR:
            self._hint_folder(path, rewatch=not event.is_attrib or path in self.unwatched)
        elif self._may_be_plot(path):
            self._hint(path)

    def on_watch_deleted(self, wd: WatchDescriptor) -> None:
        """Called when a folder was deleted, which its parent says too, or unmounted, which only this says."""
        with self._lock:
            path = self._labels.path(wd)
            if path is None or self._stopping:
                return
            self._labels.remove(path)
        if path:
            self._hint_folder(path)
        else:
            self._lose("the root was deleted or unmounted")

    def on_queue_overflow(self) -> None:
        """Called when the kernel dropped events."""
        self.overflows += 1
        log.warning("The kernel's queue of events overflowed; everything is looked at again.")
        self._hint_folder("")

    def _see_root(self) -> tuple[int, int]:
        status = self._tree.root.stat()
        return status.st_dev, status.st_ino

    def _may_be_plot(self, path: str) -> bool:
        parts = path.split("/")
        layout = self._tree.layout
        return len(parts) >= 3 and layout.is_project(parts[1]) and layout.has_suffix(parts[-1])

    def _can_hold_plots(self, path: str) -> bool:
        parts = path.split("/", 2)
        return len(parts) < 2 or self._tree.layout.is_project(parts[1])

    def _hint(self, scope: str) -> None:
        self.queue_event(ScopeEvent(scope))

    def _hint_folder(self, path: str, *, rewatch: bool = True) -> None:
        if self._can_hold_plots(path):
            if rewatch:
                self._refresh(path)
            self._hint(path)

    def _lose(self, why: str) -> None:
        if not self.lost:
            self.lost = why
            self._hint("")

    def _refresh(self, top: str) -> None:
        """Put the watches at and below `top` right, from the disk as it is now."""
        with self._lock:
            seen = set()
            pending = [top]
            while pending:
                path = pending.pop()
                try:
                    pending.extend(self._watch_folder(path))
                except OSError as error:
                    if error.errno not in ABSENT:
                        self.unwatched[path] = error
                else:
                    seen.add(path)
                    self.unwatched.pop(path, None)
            for path in [path for path in self._labels.at_and_below(top) if path not in seen]:
                self._unwatch(self._labels.remove(path))
            for path in [path for path in self.unwatched if covers(top, path) and not self._is_there(path)]:
                del self.unwatched[path]

    def _watch_folder(self, path: str) -> list[str]:
        """Watch one folder, then list it; return the folders in it that can hold plots."""
        assert self._reader is not None
        with self._tree.folder(path.split("/") if path else ()) as fd:
            identity = CallbackId(next(self._ids))
            # Through the descriptor: whatever its path has become, this is the folder that is listed next.
            wd = self._reader.add_callback(b"/proc/self/fd/%d/." % fd, MASK, self, identity)
            if wd == -1:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            for obsolete in self._labels.put(path, Watch(wd, identity)):
                self._unwatch(obsolete)
            with os.scandir(fd) as entries:
                names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False) and is_text(entry.name)]
        folders = (f"{path}/{name}" if path else name for name in names)
        return [folder for folder in folders if self._can_hold_plots(folder)]

    def _unwatch(self, watch: Watch | None) -> None:
        if watch is not None and self._reader is not None:
            self._reader.remove_callbacks([(WatchDescriptor(watch.descriptor), CallbackId(watch.callback))])

    def _is_there(self, path: str) -> bool:
        try:
            with self._tree.folder(path.split("/"), FOLDER_PATH):
                return True
        except OSError as error:
            return error.errno not in ABSENT


class ScopeCollector(FileSystemEventHandler):
    """What watchdog's dispatcher hands scopes to. It only adds to a set, and never raises."""

    def __init__(self) -> None:
        self._arrived = threading.Condition()
        self._scopes: set[str] = set()

    def dispatch(self, event: FileSystemEvent) -> None:
        with self._arrived:
            if len(self._scopes) >= MOST_SCOPES:
                self._scopes = {""}
            self._scopes.add(os.fsdecode(event.src_path))
            self._arrived.notify()

    def __len__(self) -> int:
        return len(self._scopes)

    def take(self, timeout: float, at_least: int = 1) -> set[str]:
        """The scopes that have arrived, as soon as there are `at_least` so many or `timeout` seconds have passed."""
        with self._arrived:
            if len(self._scopes) < at_least:
                self._arrived.wait_for(lambda: len(self._scopes) >= at_least, timeout)
            taken, self._scopes = self._scopes, set()
            return taken


class Watcher:
    """The scopes of a tree that may have changed, as they change."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._collector = ScopeCollector()
        self._observer: BaseObserver | None = None
        self._last_taken = 0.0
        self._former_overflows = 0

    def start(self) -> None:
        """Begin to watch.

        Raises:
            OSError: the root cannot be watched.
        """
        self.stop()
        observer = BaseObserver(TreeEmitter, tree=self._tree)
        observer.schedule(self._collector, str(self._tree.root), recursive=True)
        observer.start()
        self._observer = observer

    def stop(self) -> None:
        """End watching; what was not taken is forgotten."""
        observer, self._observer = self._observer, None
        if observer is not None:
            self._former_overflows += sum(emitter.overflows for emitter in _emitters(observer))
            observer.stop()
            observer.join()

    def take(self, timeout: float) -> set[str]:
        """Scopes that may have changed; none when there were none for `timeout` seconds.

        At once when changes are few; while they keep coming, in batches.
        """
        since = time.monotonic() - self._last_taken
        taken = self._collector.take(BATCH_SECONDS - since, BATCH_SCOPES) if since < BATCH_SECONDS else set()
        taken = taken or self._collector.take(timeout)
        if taken:
            self._last_taken = time.monotonic()
        return taken

    @property
    def is_started(self) -> bool:
        return self._observer is not None

    def why_deaf(self) -> str | None:
        """Why no more changes will be seen until the next `start`, or None while they are."""
        if self._observer is None:
            return "it is not started"
        for emitter in self._emitters():
            if emitter.lost or not emitter.is_alive():
                return emitter.lost or "the emitter of events ended"
        return None if self._observer.is_alive() else "the dispatcher of events ended"

    @property
    def watched(self) -> int:
        return sum(emitter.watched for emitter in self._emitters())

    @property
    def unwatched(self) -> dict[str, OSError]:
        return {path: error for emitter in self._emitters() for path, error in emitter.unwatched.items()}

    @property
    def overflows(self) -> int:
        return self._former_overflows + sum(emitter.overflows for emitter in self._emitters())

    @property
    def limit(self) -> int | None:
        """How many folders the kernel lets this user watch, or None where it does not say."""
        try:
            return int(WATCH_LIMIT.read_text())
        except FileNotFoundError:
            return None

    @property
    def pending(self) -> int:
        return len(self._collector)

    def _emitters(self) -> list[TreeEmitter]:
        return _emitters(self._observer) if self._observer else []


def _emitters(observer: BaseObserver) -> list[TreeEmitter]:
    return [emitter for emitter in observer.emitters if isinstance(emitter, TreeEmitter)]
