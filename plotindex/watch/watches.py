"""Which folders are watched, and which are not and why."""

import errno
import threading
import time
from collections.abc import Callable, Collection, Iterable
from itertools import count
from pathlib import Path

from plotindex.watch.snapshots import FolderSnapshots, fingerprint_of_open
from plotindex.watch.watch_map import Watch, WatchMap

FDINFO = Path("/proc/self/fdinfo")


# inotify(7); namespaces(7): in a container there may be a lower one.
LIMITS = (Path("/proc/sys/fs/inotify/max_user_watches"), Path("/proc/sys/user/max_inotify_watches"))
SHARE = 8
"""Once half of the watches there are is in use, one session may have an eighth of them, not more."""
QUIET_SECONDS = 60.0
"""For so long at least nothing has changed in a session that gives up its watches to another one."""

Add = Callable[[int, int], int]
"""(descriptor of a folder, number) -> the kernel's watch descriptor, or -1 where it says EACCES."""
Remove = Callable[[int, int], None]


class Watches:
    """The watches of one inotify descriptor. Entering is for one thread; another may ask for paths and drop.

    Until `begin` has been called nothing is watched, and nothing is said to be unwatched.
    """

    def __init__(self, most: int | None = None, is_polled: Callable[[str], bool] = lambda _path: False) -> None:
        """Watch so many folders `most`; of those that are polled no event tells everything, watched or not."""
        self._most = most
        self._is_polled = is_polled
        self._add: Add | None = None
        self._remove: Remove | None = None
        self._info = FDINFO
        self._lock = threading.Lock()
        self._numbers = count(1)
        self._labels = WatchMap()
        self._audit: set[int] | None = None
        self._found: list[str] = []
        self._changed: dict[str, float] = {}
        """Sessions with watches below their own folder -> when something last changed; the quietest comes first."""
        self._ceiling: int | None = None
        """How many there were when the kernel had no more."""
        self.expected = 0
        """How many sessions are being looked at, each of which is to have a watch for its own folder."""
        self.limit: int | None = None
        self.stamps = FolderSnapshots()
        """Of the folders that are not watched, or polled."""

    def begin(self, add: Add, remove: Remove, descriptor: int) -> None:
        """Watch by these functions what is entered from now on; `descriptor` is that of inotify(7)."""
        self._add, self._remove = add, remove
        self._info = FDINFO / str(descriptor)
        self.read_limit()

    def __len__(self) -> int:
        return len(self._labels)

    def read_limit(self) -> None:
        """Note how many folders may be watched: as many as the kernel lets this user, or fewer; None if nobody says."""
        limits = [int(file.read_text()) for file in LIMITS if file.exists()]
        self.limit = min([*limits, *([] if self._most is None else [self._most])], default=None)
        self._ceiling = None

    def sessions(self) -> list[str]:
        """The sessions of which something is watched, or should be."""
        return list({*self._labels.sessions(), *filter(None, self.stamps.sessions())})

    def paths(self, descriptor: int) -> tuple[str, ...]:
        """The folders that a watch stands for: mostly one."""
        with self._lock:
            return self._labels.paths(descriptor)

    def drop(self, descriptor: int) -> tuple[str, ...]:
        """Forget a watch that the kernel has ended; return the folders it stood for."""
        with self._lock:
            paths = self._labels.paths(descriptor)
            for path in paths:
                self._labels.remove(path)
            return paths

    def enter(self, path: str, fd: int) -> None:
        """Watch the folder `path`, open as `fd`. Its caller lists it afterwards, so that nothing falls in between."""
        is_watched = self._add is not None and self._watch(path, fd, self._add)
        if self._is_polled(path) or not (is_watched or self._add is None):
            self.stamps.note(path, fingerprint_of_open(fd))
        if not path:
            self._settle("", ("",), ())

    def _watch(self, path: str, fd: int, add: Add) -> bool:
        descriptor, number = -1, next(self._numbers)
        if self._has_room(path):
            try:
                descriptor = add(fd, number)
            except OSError as error:
                if error.errno == errno.ENOSPC:
                    self._ceiling = len(self._labels)
        if descriptor == -1:
            with self._lock:
                obsolete = self._labels.remove(path)
        else:
            with self._lock:
                right = path in self._labels.paths(descriptor)
                obsolete = self._labels.put(path, Watch(descriptor, number))
            session, slash, _ = path.partition("/")
            if slash:
                self._changed.setdefault(session, time.monotonic())
            # Of what is known not to be watched nobody has missed anything.
            if self._audit is not None and not (right and descriptor in self._audit) and session not in self.stamps:
                self._found.append(path)
        self._end([obsolete])
        return descriptor != -1

    def leave(self, scopes: Collection[str], entered: Collection[str], closed: Collection[str]) -> None:
        """All within the scopes, of one session, was looked at: watch nothing there but what was entered.

        `closed` are folders that could not be entered.
        """
        for scope in scopes:
            with self._lock:
                gone = [path for path in self._labels.at_and_below(scope) if path not in entered]
                obsolete = [self._labels.remove(path) for path in gone]
            self._end(obsolete)
        for session in {scope.partition("/")[0] for scope in scopes}:
            self._settle(session, set(scopes), closed)
            if session in self._changed and not self._labels.size_of(session):
                del self._changed[session]

    def close_root(self) -> None:
        """The root cannot be listed."""
        self._settle("", ("",), ("",))

    def _settle(self, session: str, scopes: Collection[str], closed: Collection[str]) -> None:
        self.stamps.settle(session, scopes, closed, self._is_watched)

    def _is_watched(self, path: str) -> bool:
        # While nothing is to be watched, nothing is missing.
        return self._add is None or self._labels.watch(path) is not None

    @property
    def unwatched_count(self) -> int:
        """How many folders are not watched, though they should be."""
        return self.stamps.unwatched

    def note_change(self, session: str) -> bool:
        """Something has changed in a session; return whether it should have more watches than it has."""
        if session in self._changed:
            del self._changed[session]
            self._changed[session] = time.monotonic()
        return bool(self.stamps.unwatched_of(session)) and not self._has_share(session)

    def make_room(self, session: str) -> bool:
        """Let the sessions in which nothing has changed for longest give up their watches to this one.

        Return whether there is some room now.
        """
        if self.limit is None or self._add is None:
            return False
        room = self._most_now() - self._reserved() - len(self._labels)
        missing = min(self.stamps.unwatched_of(session), max(1, self.limit // SHARE)) - room
        long_ago = time.monotonic() - QUIET_SECONDS
        while missing > 0:
            quietest = next((name for name in self._changed if name != session), None)
            if quietest is None or self._changed[quietest] > long_ago:
                break
            given = self._give_up(quietest)
            missing, room = missing - given, room + given
        return room > 0

    def _give_up(self, session: str) -> int:
        """Watch nothing of a session but, when there is room for those of all, its own folder: it says what is new."""
        keeps_own = len(self.sessions()) <= self._most_now() // 2
        del self._changed[session]
        with self._lock:
            paths = [path for path in self._labels.at_and_below(session) if not (keeps_own and path == session)]
            obsolete = [self._labels.remove(path) for path in paths]
        self._end(obsolete)
        # What changes before its look has no stamp to show it.
        self.stamps.look_again(session, paths, self._is_watched)
        return len(paths)

    def begin_audit(self) -> None:
        """Note what the kernel says is watched (proc(5), /proc/pid/fdinfo), whatever the books here say."""
        if self._add is None:
            return
        try:
            lines = self._info.read_text().splitlines()
        except OSError:
            # The descriptor was closed: its reader has ended, and everything begins anew in a moment.
            return
        self._audit = {int(line.split()[1].partition(":")[2], 16) for line in lines if line.startswith("inotify ")}
        self._found = []

    def end_audit(self) -> list[str]:
        """The folders entered since then that were not watched, or under a wrong name."""
        found, self._found, self._audit = self._found, [], None
        return found

    def _has_room(self, path: str) -> bool:
        """Whether nobody else needs the watches that are left: the root and the folders of sessions come first."""
        if self.limit is None or self._labels.watch(path) is not None:
            return True
        session, is_below, _ = path.partition("/")
        room = self._most_now() - len(self._labels) - (self._reserved() if is_below else 0)
        return room > 0 and not (is_below and self._has_share(session))

    def _most_now(self) -> int:
        assert self.limit is not None
        return self.limit if self._ceiling is None else min(self.limit, self._ceiling)

    def _reserved(self) -> int:
        """Watches for the folders of sessions that are still to come; where these are very many, half of all."""
        assert self.limit is not None
        return min(max(0, self.expected - self._labels.session_count), self.limit // 2)

    def _has_share(self, session: str) -> bool:
        """Whether a session has as many watches as one may have that uses them up."""
        if self.limit is None or len(self._labels) < self.limit // 2:
            return False
        return self._labels.size_of(session) >= self.limit // SHARE

    def _end(self, obsolete: Iterable[Watch | None]) -> None:
        for watch in obsolete:
            if watch is not None and self._remove is not None:
                self._remove(watch.descriptor, watch.callback)
