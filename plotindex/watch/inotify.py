"""Read inotify(7) through watchdog, and turn each event into a scope. The only module that imports watchdog.

Used of watchdog: the observer with its queue and dispatcher, and the reader of one inotify descriptor. Not used: its
move grouping and recursive watches, which lose folders under renames (docs/decisions/0003-events-name-scopes.md).
"""

import logging
import os
import struct
import time
from pathlib import Path

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers.api import BaseObserver, EventEmitter, EventQueue, ObservedWatch
from watchdog.observers.inotify_c import (
    InotifyConstants,
    InotifyEvent,
    InotifyFD,
    Mask,
    WatchCallback,
    WatchDescriptor,
    inotify_add_watch,
    inotify_rm_watch,
)

from plotindex.system import is_encodable
from plotindex.tree import Tree
from plotindex.watch.changes import ChangeQueue, Changes
from plotindex.watch.watched_folders import Watches

log = logging.getLogger(__name__)


# No IN_OPEN or IN_ACCESS: serving plots causes no event. No IN_*_SELF: the watch of the parent reports these.
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
"""Interval of the check that the root and the barrier folder are still the watched directories."""
OVERFLOW_LOG_SECONDS = 60.0
READ_BYTES = 1 << 20
"""Enough for the kernel's whole queue in one read."""


class ChangesEvent(FileSystemEvent):
    """Carries changes through watchdog's queue."""

    event_type = "changes"

    def __init__(self, changes: Changes) -> None:
        super().__init__("")
        self.changes = changes

    # By identity: the queue drops an event that equals the one before it.
    __eq__ = object.__eq__
    __hash__ = object.__hash__


class ChangesReceiver(FileSystemEventHandler):
    """Puts what watchdog dispatches into a queue. Never raises."""

    def __init__(self, queue: ChangeQueue) -> None:
        self._queue = queue

    def dispatch(self, event: FileSystemEvent) -> None:
        if isinstance(event, ChangesEvent):
            self._queue.put(event.changes.scopes.paths(), event.changes.barriers)


class InotifyReader(InotifyFD):
    """watchdog's reader thread of one inotify descriptor, which records the error that ended it.

    All events have one receiver: watchdog's own record of each watch and its callbacks takes half a kilobyte.
    """

    def __init__(self, receiver: WatchCallback) -> None:
        super().__init__()
        self._receiver = receiver
        self.error: BaseException | None = None
        self.last_read = 0.0
        """When events were last read, by `time.monotonic()`."""

    @property
    def descriptor(self) -> int:
        return self._inotify_fd

    def run(self) -> None:
        try:
            super().run()
        except BaseException as error:  # noqa: BLE001 - the emitter reports it within a second
            self.error = error

    def watch(self, path: bytes, mask: Mask) -> int:
        """Watch a folder; return its watch descriptor, -1 on EACCES. Raises OSError."""
        with self._lock:
            descriptor = inotify_add_watch(self._inotify_fd, path, mask)
            if descriptor == -1:
                self._raise_error()
            return descriptor

    def unwatch(self, descriptor: WatchDescriptor) -> None:
        """End a watch, unless it has ended. Raises OSError."""
        with self._lock:
            if inotify_rm_watch(self._inotify_fd, descriptor) == -1:
                self._raise_error(ignore_invalid_argument=True)

    def handle_event(self, event: InotifyEvent) -> None:
        if event.is_queue_overflow:
            self._receiver.on_queue_overflow()
        elif event.is_ignored:
            self._receiver.on_watch_deleted(event.wd)
        else:
            self._receiver.on_event(event)

    def read_events(self, *, event_buffer_size: int = READ_BYTES) -> list[InotifyEvent]:
        """Read events, one for each entry: creating, writing and closing a file are merged."""
        buffer = self._read_event_buffer(event_buffer_size)
        self.last_read = time.monotonic()
        events: dict[tuple[int, int, bytes], int] = {}
        offset = 0
        while offset < len(buffer):
            wd, mask, _, length = HEADER.unpack_from(buffer, offset)
            start = offset + HEADER.size
            offset = start + length
            # The padding of a name is always the same, so the padded names can be compared.
            events[wd, mask & IN_ISDIR if length else mask, buffer[start:offset]] = mask
        return [
            InotifyEvent(WatchDescriptor(wd), Mask(mask), 0, name.rstrip(b"\0"))
            for (wd, _, name), mask in events.items()
        ]


class TreeEmitter(EventEmitter, WatchCallback):
    """Turns the events of watched folders into scopes, and those of the barrier folder into barriers."""

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
        self._barrier_wd = -1
        self._folders: list[tuple[Path, tuple[int, int], str]] = []
        """The watched root and barrier folder: path, device and inode, name."""
        self._checked = 0.0
        self._log_overflow_at = 0.0
        self.buffer = ChangeQueue()
        self.reader: InotifyReader | None = None
        self.overflows = 0
        self.failure: str | None = None
        """Why no more changes are reported; the observer must be replaced."""

    def on_thread_start(self) -> None:
        for folder, name in ((self._tree.root, "root"), (self._barrier_folder, "barrier folder")):
            self._folders.append((folder, _identity(folder), name))
        self.reader = InotifyReader(self)
        self.reader.start()
        self._barrier_wd = self.reader.watch(os.fsencode(self._barrier_folder), BARRIER_MASK)
        if self._barrier_wd == -1:
            raise PermissionError(f"Cannot watch {self._barrier_folder}")
        self._watches.attach(self._add_watch, self._remove_watch, self.reader.descriptor)

    def on_thread_stop(self) -> None:
        # Wakes `queue_events`.
        self.buffer.put([""])
        if self.reader is not None:
            self.reader.stop()

    def queue_events(self, timeout: float) -> None:
        """Forward what has arrived, and check the folders. Called in a loop by watchdog's thread."""
        changes = self.buffer.take(timeout)
        if not self.should_keep_running():
            return
        if any(changes):
            self.queue_event(ChangesEvent(changes))
        if not self.failure and time.monotonic() >= self._checked + CHECK_SECONDS:
            self._check_folders()
            self._checked = time.monotonic()

    def on_event(self, event: InotifyEvent) -> None:
        """Report the entry of a watched folder. Called by the reader."""
        name = os.fsdecode(event.name)
        if not name or not is_encodable(name):
            return
        if event.wd == self._barrier_wd:
            self.buffer.put((), [name])
        for folder in self._watches.paths(event.wd):
            path = f"{folder}/{name}" if folder else name
            if self._can_matter(path, event.mask & IN_ISDIR):
                self.buffer.put((path,))

    def on_watch_deleted(self, wd: WatchDescriptor) -> None:
        """Report a folder that was deleted, or unmounted, which no other event reports."""
        if wd == self._barrier_wd:
            self.fail("the barrier folder was deleted")
        for path in self._watches.discard(wd):
            if not path:
                self.fail("the root was deleted or unmounted")
            elif self.should_keep_running():
                self.buffer.put((path,))

    def on_queue_overflow(self) -> None:
        """Report the root, since the kernel dropped events."""
        self.overflows += 1
        now = time.monotonic()
        if now >= self._log_overflow_at:
            log.warning("inotify queue overflow; starting a full scan.")
            self._log_overflow_at = now + OVERFLOW_LOG_SECONDS
        self.buffer.put([""])

    def fail(self, reason: str) -> None:
        if not self.failure and self.should_keep_running():
            self.failure = reason
            self.buffer.put([""])

    def _check_folders(self) -> None:
        if self.reader is None or not self.reader.is_alive():
            self.fail(f"the inotify reader thread died ({self.reader and self.reader.error!r})")
            return
        for folder, identity, name in self._folders:
            try:
                if _identity(folder) != identity:
                    self.fail(f"the {name} was replaced by another directory")
            except OSError as error:
                self.fail(f"cannot stat the {name} ({error.strerror})")

    def _can_matter(self, path: str, is_folder: int) -> bool:
        """Whether a file may be a plot, or a folder may contain plots."""
        parts, name, layout = path.split("/", 2), path.rpartition("/")[2], self._tree.layout
        if layout.is_ignored(name):
            return False
        if is_folder:
            return len(parts) < 2 or layout.has_session_project or layout.is_project(parts[1])
        in_project = len(parts) == 3 and layout.is_project(parts[1])
        in_session = len(parts) > 1 and layout.has_session_project
        return (in_project or in_session) and layout.has_suffix(name)

    def _add_watch(self, fd: int) -> int:
        assert self.reader is not None
        # By descriptor: this is the folder that is listed next, even if its path now leads elsewhere.
        return self.reader.watch(b"/proc/self/fd/%d/." % fd, MASK)

    def _remove_watch(self, descriptor: int) -> None:
        assert self.reader is not None
        self.reader.unwatch(WatchDescriptor(descriptor))


class TreeObserver(BaseObserver):
    """watchdog's observer with one emitter: puts the changes of a tree into a queue."""

    def __init__(self, tree: Tree, watches: Watches, barriers: Path, queue: ChangeQueue) -> None:
        super().__init__(TreeEmitter, tree=tree, watches=watches, barriers=barriers)
        self.schedule(ChangesReceiver(queue), str(tree.root), recursive=True)
        (self.emitter,) = (emitter for emitter in self.emitters if isinstance(emitter, TreeEmitter))

    def failure(self) -> str | None:
        """Why no more changes are reported, or None."""
        if self.emitter.failure or not self.emitter.is_alive():
            return self.emitter.failure or "the emitter thread died"
        return None if self.is_alive() else "the dispatcher thread died"

    def stop_and_join(self) -> None:
        self.stop()
        for thread in (self.emitter.reader, self.emitter, self):
            if thread is not None and thread.is_alive():
                thread.join()


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino
