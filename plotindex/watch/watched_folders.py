"""The inotify watches of the indexer: which folders have one, which do not, and which sessions come first."""

import errno
import threading
import time
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from plotindex.watch.folder_snapshots import FolderSnapshots, fingerprint_of_open
from plotindex.watch.watch_table import WatchMap

FDINFO = Path("/proc/self/fdinfo")


# inotify(7); the limit of a container's user namespace may be lower, see namespaces(7).
LIMITS = (Path("/proc/sys/fs/inotify/max_user_watches"), Path("/proc/sys/user/max_inotify_watches"))
SESSION_FRACTION = 8
"""Once half of the watches are in use, one session may have at most an eighth of the limit."""
QUIET_SECONDS = 60.0
"""A session without changes for this long may lose its watches to another one."""

Add = Callable[[int], int]
"""Descriptor of a folder -> the watch descriptor, or -1 on EACCES."""
Remove = Callable[[int], None]
"""Ends a watch, which the kernel may have ended already."""


class Watches:
    """The watches of one inotify descriptor.

    Folders are added by one thread; another one may call `paths` and `discard`. Until `attach` nothing is watched, and
    no folder counts as unwatched.
    """

    def __init__(self, max_watches: int | None = None, is_polled: Callable[[str], bool] = lambda _path: False) -> None:
        """Watch up to `max_watches` folders. Events do not report every change in folders that `is_polled`."""
        self._max_watches = max_watches
        self._is_polled = is_polled
        self._add: Add | None = None
        self._remove: Remove | None = None
        self._info = FDINFO
        self._lock = threading.Lock()
        self._map = WatchMap()
        self._audited: set[int] | None = None
        self._missed: list[str] = []
        self._changed: dict[str, float] = {}
        """Session with watches below its own folder -> its last change; ordered, the oldest first."""
        self._ceiling: int | None = None
        """Number of watches when the kernel refused one more."""
        self.expected_sessions = 0
        """Number of sessions in the current full scan. A watch is reserved for the folder of each."""
        self.limit: int | None = None
        self.snapshots = FolderSnapshots(self._is_watched)
        """Of the folders that are unwatched or polled."""

    def attach(self, add: Add, remove: Remove, descriptor: int) -> None:
        """Use the functions of this inotify(7) descriptor from now on."""
        self._add, self._remove = add, remove
        self._info = FDINFO / str(descriptor)
        self.read_limit()

    def __len__(self) -> int:
        return len(self._map)

    def read_limit(self) -> None:
        """Read the kernel's limits again; `limit` is the lowest one, or None if there is none."""
        limits = [int(file.read_text()) for file in LIMITS if file.exists()]
        self.limit = min([*limits, *([] if self._max_watches is None else [self._max_watches])], default=None)
        self._ceiling = None

    def sessions(self) -> list[str]:
        """The sessions with watched or unwatched folders."""
        return list({*self._map.sessions(), *filter(None, self.snapshots.sessions())})

    def knows(self, session: str) -> bool:
        """Whether a session has watched or unwatched folders."""
        return self._map.count_in(session) > 0 or session in self.snapshots

    def paths(self, descriptor: int) -> tuple[str, ...]:
        """The folders of a watch, usually one."""
        with self._lock:
            return self._map.paths(descriptor)

    def discard(self, descriptor: int) -> tuple[str, ...]:
        """Forget a watch that the kernel has removed; return its folders."""
        with self._lock:
            paths = self._map.paths(descriptor)
            for path in paths:
                self._map.remove(path)
            return paths

    def add(self, path: str, fd: int) -> None:
        """Watch a folder, open as `fd`. The caller lists it afterwards, so that no change falls in between."""
        is_watched = self._add is not None and self._watch(path, fd, self._add)
        if self._is_polled(path) or not (is_watched or self._add is None):
            self.snapshots.record(path, fingerprint_of_open(fd))
        if not path:
            self.snapshots.commit("", ("",), ())

    def _watch(self, path: str, fd: int, add: Add) -> bool:
        descriptor = -1
        if self._has_room(path):
            try:
                descriptor = add(fd)
            except OSError as error:
                if error.errno == errno.ENOSPC:
                    self._ceiling = len(self._map)
        if descriptor == -1:
            self._unwatch([path])
            return False
        with self._lock:
            was_known = path in self._map.paths(descriptor)
            unused = self._map.put(path, descriptor)
        session, slash, _ = path.partition("/")
        if slash:
            self._changed.setdefault(session, time.monotonic())
        # A session known to have unwatched folders has missed nothing.
        if self._audited is not None and not (was_known and descriptor in self._audited):
            self._missed += [] if session in self.snapshots else [path]
        self._end([unused])
        return True

    def prune(self, scopes: Collection[str], keep: Collection[str], unreadable: Collection[str]) -> None:
        """Finish the scan of scopes of one session: remove the watches within them except those to `keep`."""
        for scope in scopes:
            self._unwatch(path for path in self._map.at_and_below(scope) if path not in keep)
        for session in {scope.partition("/")[0] for scope in scopes}:
            self.snapshots.commit(session, set(scopes), unreadable)
            if session in self._changed and not self._map.count_in(session):
                del self._changed[session]

    def record_change(self, session: str) -> bool:
        """Record a change in a session; return whether the session should get more watches."""
        if session in self._changed:
            del self._changed[session]
            self._changed[session] = time.monotonic()
        return bool(self.snapshots.watchable_in(session)) and not self._has_share(session)

    def make_room(self, session: str) -> bool:
        """Take watches from the sessions unchanged for longest; return whether there is room for this session."""
        if self.limit is None or self._add is None:
            return False
        room = self._capacity() - self._reserved() - len(self._map)
        missing = min(self.snapshots.watchable_in(session), max(1, self.limit // SESSION_FRACTION)) - room
        long_ago = time.monotonic() - QUIET_SECONDS
        while missing > 0:
            quietest = next((name for name in self._changed if name != session), None)
            if quietest is None or self._changed[quietest] > long_ago:
                break
            released = self._release(quietest)
            missing, room = missing - released, room + released
        return room > 0

    def _release(self, session: str) -> int:
        """Remove the watches of a session, but keep that of its own folder if there is room for one per session."""
        keeps_own = len(self.sessions()) <= self._capacity() // 2
        del self._changed[session]
        paths = [path for path in self._map.at_and_below(session) if not (keeps_own and path == session)]
        self._unwatch(paths)
        # A change before the next scan leaves no trace in a fingerprint.
        self.snapshots.invalidate(session, paths)
        return len(paths)

    def begin_audit(self) -> None:
        """Read the watch descriptors from the kernel (proc(5), /proc/pid/fdinfo), independently of this object."""
        if self._add is None:
            return
        try:
            lines = self._info.read_text().splitlines()
        except OSError:
            # The reader has ended and closed the descriptor; the watcher is restarted in a moment.
            return
        self._audited = {int(line.split()[1].partition(":")[2], 16) for line in lines if line.startswith("inotify ")}
        self._missed = []

    def end_audit(self) -> list[str]:
        """The folders added since `begin_audit` that had no watch, or one with a wrong path."""
        missed, self._missed, self._audited = self._missed, [], None
        return missed

    def _is_watched(self, path: str) -> bool:
        return self._add is None or self._map.get(path) is not None

    def _has_room(self, path: str) -> bool:
        """Whether a watch is free for this folder: the root and the folders of sessions come first."""
        if self.limit is None or self._map.get(path) is not None:
            return True
        session, is_below, _ = path.partition("/")
        room = self._capacity() - len(self._map) - (self._reserved() if is_below else 0)
        return room > 0 and not (is_below and self._has_share(session))

    def _capacity(self) -> int:
        assert self.limit is not None
        return self.limit if self._ceiling is None else min(self.limit, self._ceiling)

    def _reserved(self) -> int:
        """Watches reserved for sessions that are not scanned yet, at most half of the limit."""
        assert self.limit is not None
        return min(max(0, self.expected_sessions - self._map.session_count), self.limit // 2)

    def _has_share(self, session: str) -> bool:
        """Whether a session has its full share, now that watches are scarce."""
        if self.limit is None or len(self._map) < self.limit // 2:
            return False
        return self._map.count_in(session) >= self.limit // SESSION_FRACTION

    def _unwatch(self, paths: Iterable[str]) -> None:
        with self._lock:
            unused = [self._map.remove(path) for path in list(paths)]
        self._end(unused)

    def _end(self, descriptors: Iterable[int | None]) -> None:
        for descriptor in descriptors:
            if descriptor is not None and self._remove is not None:
                self._remove(descriptor)
