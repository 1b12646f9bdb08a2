"""One inotify descriptor: read its events, and turn each into the scope that may have changed (inotify(7))."""

import logging
import os
import struct
import threading
import time
from functools import lru_cache
from pathlib import Path

from watchdog.events import FileSystemEvent
from watchdog.observers.api import EventEmitter, EventQueue, ObservedWatch
from watchdog.observers.inotify_c import (
    CallbackId,
    InotifyConstants,
    InotifyEvent,
    InotifyFD,
    Mask,
    WatchCallback,
    WatchDescriptor,
)

from plotindex.system import is_encodable
from plotindex.tree import ScopeSet, Tree
from plotindex.watch.watches import Watches

log = logging.getLogger(__name__)


# Never opens and reads: serving plots causes no event. Nor what becomes of a watched folder itself: its parent tells.
MASK = Mask(
    InotifyConstants.IN_CLOSE_WRITE
    | InotifyConstants.IN_MODIFY
    | InotifyConstants.IN_ATTRIB
    | InotifyConstants.IN_MOVE
    | InotifyConstants.IN_CREATE
    | InotifyConstants.IN_DELETE
    | InotifyConstants.IN_ONLYDIR
    | InotifyConstants.IN_EXCL_UNLINK
)
IN_ISDIR = InotifyConstants.IN_ISDIR
HEADER = struct.Struct("iIII")
"""inotify(7): watch descriptor, mask, cookie, length of the name that follows."""
BARRIER_MASK = Mask(InotifyConstants.IN_CREATE | InotifyConstants.IN_ONLYDIR)
CHECK_SECONDS = 1.0
"""How often the emitter checks that it still watches the root."""
SAY_SECONDS = 60.0
"""In a storm of overflows they are counted, and said so often."""
READ_BYTES = 1 << 20
"""The kernel's whole queue in one read: it overflows only when as much again happens meanwhile."""


class ChangesEvent(FileSystemEvent):
    """What watchdog's queue carries: scopes within which something may have changed, and barriers behind them."""

    event_type = "changes"

    def __init__(self, scopes: ScopeSet, barriers: list[str]) -> None:
        super().__init__("")
        self.scopes = scopes
        self.barriers = barriers

    # Two events are never the same: the queue would leave out the second.
    __eq__ = object.__eq__
    __hash__ = object.__hash__


class InotifyReader(InotifyFD):
    """watchdog's reader of one inotify descriptor, which keeps what it died of."""

    died: BaseException | None = None
    read_at = 0.0
    """When something was last read, by `time.monotonic()`."""

    @property
    def descriptor(self) -> int:
        return self._inotify_fd

    def run(self) -> None:
        try:
            super().run()
        except BaseException as error:  # noqa: BLE001 - the emitter sees it within a second and reports it
            self.died = error

    def read_events(self, *, event_buffer_size: int = READ_BYTES) -> list[InotifyEvent]:
        """Each entry that something happened to once, however often: creating, writing and closing a file is three."""
        buffer = self._read_event_buffer(event_buffer_size)
        self.read_at = time.monotonic()
        events: dict[tuple[int, int, bytes], int] = {}
        offset = 0
        while offset < len(buffer):
            wd, mask, _, length = HEADER.unpack_from(buffer, offset)
            begin = offset + HEADER.size
            offset = begin + length
            # Names come padded with zeros, always alike: so they are compared.
            events[wd, mask & IN_ISDIR if length else mask, buffer[begin:offset]] = mask
        return [
            InotifyEvent(WatchDescriptor(wd), Mask(mask), 0, name.rstrip(b"\0"))
            for (wd, _, name), mask in events.items()
        ]


class BarrierFolder(WatchCallback):
    """The folder in which a new file is a question: has all that came before it been dealt with?"""

    def __init__(self, emitter: "TreeEmitter") -> None:
        self._emitter = emitter

    def on_event(self, event: InotifyEvent) -> None:
        if event.name:
            self._emitter.hint_barrier(os.fsdecode(event.name))

    def on_watch_deleted(self, _wd: WatchDescriptor) -> None:
        self._emitter.lose("the barrier folder was deleted")

    def on_queue_overflow(self) -> None:
        """The emitter is told, too."""


class TreeEmitter(EventEmitter):
    """Turns the events of the watched folders into scopes."""

    def __init__(
        self,
        event_queue: EventQueue,
        watch: ObservedWatch,
        *,
        tree: Tree,
        watches: Watches,
        barriers: Path,
        **_defaults: object,
    ) -> None:
        super().__init__(event_queue, watch, timeout=CHECK_SECONDS)
        self._tree = tree
        self._watches = watches
        self._barrier_folder = barriers
        self._root_seen: tuple[int, int] | None = None
        self._root_checked = 0.0
        self._lock = threading.Lock()
        self._arrived = threading.Event()
        self._scopes = ScopeSet()
        self._barriers: list[str] = []
        self._stopping = False
        self.reader: InotifyReader | None = None
        self._say_overflow_at = 0.0
        self.overflows = 0
        self.lost: str | None = None
        """Why nothing more will be seen; the observer has to be replaced."""

    def on_thread_start(self) -> None:
        self._root_seen = self._see_root()
        self.reader = InotifyReader()
        self.reader.start()
        path = os.fsencode(self._barrier_folder)
        # The first number is the barrier folder's; watches count on from there.
        if self.reader.add_callback(path, BARRIER_MASK, BarrierFolder(self), CallbackId(0)) == -1:
            raise PermissionError(f"Cannot watch {self._barrier_folder}")
        self._watches.begin(self._add_watch, self._remove_watch, self.reader.descriptor)

    def on_thread_stop(self) -> None:
        self._stopping = True
        self._arrived.set()
        if self.reader is not None:
            self.reader.stop()

    def queue_events(self, timeout: float) -> None:
        """Called again and again by watchdog's thread: hands on what has arrived, and checks the root."""
        self._arrived.wait(timeout)
        self._arrived.clear()
        with self._lock:
            scopes, barriers, self._scopes, self._barriers = self._scopes, self._barriers, ScopeSet(), []
        if scopes or barriers:
            self.queue_event(ChangesEvent(scopes, barriers))
        if not self._stopping and not self.lost and time.monotonic() >= self._root_checked + CHECK_SECONDS:
            self._check_root()
            self._root_checked = time.monotonic()

    def on_event(self, event: InotifyEvent) -> None:
        """Called by the reader for each event of a watched folder."""
        name = os.fsdecode(event.name)
        if not name or not is_encodable(name):
            return
        is_folder = event.mask & IN_ISDIR
        for folder in self._watches.paths(event.wd):
            path = f"{folder}/{name}" if folder else name
            if self._can_hold_plots(path) if is_folder else self._may_be_plot(path):
                self._hint(path)

    def on_watch_deleted(self, wd: WatchDescriptor) -> None:
        """Called when a folder was deleted, which its parent says too, or unmounted, which only this says."""
        for path in self._watches.drop(wd):
            if not path:
                self.lose("the root was deleted or unmounted")
            elif not self._stopping:
                self._hint(path)

    def on_queue_overflow(self) -> None:
        """Called when the kernel dropped events."""
        self.overflows += 1
        now = time.monotonic()
        if now >= self._say_overflow_at:
            log.warning("inotify queue overflow; starting a full scan.")
            self._say_overflow_at = now + SAY_SECONDS
        self._hint("")

    def hint_barrier(self, name: str) -> None:
        with self._lock:
            self._barriers.append(name)
            self._arrived.set()

    def lose(self, why: str) -> None:
        if not self.lost and not self._stopping:
            self.lost = why
            self._hint("")

    def _hint(self, scope: str) -> None:
        with self._lock:
            self._scopes.add(scope)
        if not self._arrived.is_set():
            self._arrived.set()

    def _check_root(self) -> None:
        if self.reader is None or not self.reader.is_alive():
            self.lose(f"the inotify reader thread died ({self.reader and self.reader.died!r})")
            return
        try:
            seen = self._see_root()
        except OSError as error:
            self.lose(f"cannot stat the root ({error.strerror})")
            return
        if seen != self._root_seen:
            self.lose("the root was replaced by another directory")

    def _see_root(self) -> tuple[int, int]:
        status = self._tree.root.stat()
        return status.st_dev, status.st_ino

    def _may_be_plot(self, path: str) -> bool:
        parts = path.split("/", 2)
        layout = self._tree.layout
        return len(parts) == 3 and layout.is_project(parts[1]) and layout.has_suffix(path.rpartition("/")[2])

    def _can_hold_plots(self, path: str) -> bool:
        parts = path.split("/", 2)
        return len(parts) < 2 or self._tree.layout.is_project(parts[1])

    def _add_watch(self, fd: int, number: int) -> int:
        assert self.reader is not None
        # Through the descriptor: whatever its path has become, this is the folder that is listed next.
        return self.reader.add_callback(_path_of(fd), MASK, self, CallbackId(number))

    def _remove_watch(self, descriptor: int, number: int) -> None:
        assert self.reader is not None
        self.reader.remove_callbacks([(WatchDescriptor(descriptor), CallbackId(number))])


@lru_cache(64)
def _path_of(fd: int) -> bytes:
    """A path of an open folder: the same object each time, since the reader keeps one for each watch."""
    return b"/proc/self/fd/%d/." % fd
