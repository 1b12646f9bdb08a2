"""Which folders are watched, and which are not and why."""

import errno
import os
import threading
from collections.abc import Callable, Collection, Iterable
from itertools import count
from pathlib import Path

from plotindex.labels import Labels, Watch
from plotindex.layout import is_within

FDINFO = Path("/proc/self/fdinfo")
# inotify(7); namespaces(7): in a container there may be a lower one.
LIMITS = (Path("/proc/sys/fs/inotify/max_user_watches"), Path("/proc/sys/user/max_inotify_watches"))
SHARE = 8
"""Once half of the watches there are is in use, one session may have an eighth of them, not more."""

Add = Callable[[int, int], int]
"""(descriptor of a folder, number) -> the kernel's watch descriptor, or -1 where it says EACCES."""
Remove = Callable[[int, int], None]


class Watches:
    """The watches of one inotify descriptor. Entering is for one thread; another may ask for paths and drop.

    Until `begin` has been called nothing is watched, and nothing is said to be unwatched.
    """

    def __init__(self) -> None:
        self._add: Add | None = None
        self._remove: Remove | None = None
        self._info = FDINFO
        self._lock = threading.Lock()
        self._numbers = count(1)
        self._labels = Labels()
        self._audit: set[int] | None = None
        self._found: list[str] = []
        self.limit: int | None = None
        self._unwatched: dict[str, dict[str, OSError]] = {}

    def begin(self, add: Add, remove: Remove, descriptor: int) -> None:
        """Watch by these functions what is entered from now on; `descriptor` is that of inotify(7)."""
        self._add, self._remove = add, remove
        self._info = FDINFO / str(descriptor)
        self.read_limit()

    def __len__(self) -> int:
        return len(self._labels)

    def read_limit(self) -> None:
        """Note how many folders the kernel lets this user watch; None where it does not say."""
        self.limit = min((int(file.read_text()) for file in LIMITS if file.exists()), default=None)

    def sessions(self) -> list[str]:
        """The sessions of which something is watched, or should be."""
        return list({*self._labels.sessions(), *filter(None, self._unwatched)})

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
        if self._add is None:
            return
        try:
            self._require_share(path)
            number = next(self._numbers)
            descriptor = self._add(fd, number)
            if descriptor == -1:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        except OSError as error:
            self.refuse(path, error)
            with self._lock:
                obsolete = [self._labels.remove(path)]
        else:
            with self._lock:
                right = path in self._labels.paths(descriptor)
                obsolete = [self._labels.put(path, Watch(descriptor, number))]
            if self._audit is not None and not (right and descriptor in self._audit):
                self._found.append(path)
            self._forgive(path)
        self._end(obsolete)

    def leave(self, scopes: Collection[str], entered: Collection[str], closed: dict[str, OSError]) -> None:
        """All within the scopes, of one session, was looked at: watch nothing there but what was entered.

        `closed` says of folders why they could not be entered.
        """
        if self._add is None:
            return
        for scope in scopes:
            with self._lock:
                gone = [path for path in self._labels.at_and_below(scope) if path not in entered]
                obsolete = [self._labels.remove(path) for path in gone]
            self._end(obsolete)
        covering = set(scopes)
        for session in {scope.partition("/")[0] for scope in covering}:
            for path in list(self._unwatched.get(session, ())):
                if path not in entered and is_within(path, covering):
                    self._forgive(path)
        for path, error in closed.items():
            self.refuse(path, error)

    @property
    def unwatched(self) -> list[str]:
        """The folders that are not watched: they have to be looked at again and again instead."""
        return [path for own in self._unwatched.values() for path in own]

    @property
    def unwatched_count(self) -> int:
        return sum(map(len, self._unwatched.values()))

    def refuse(self, path: str, error: OSError) -> None:
        """Note that a folder is not watched, and why."""
        self._unwatched.setdefault(path.partition("/")[0], {})[path] = error

    def _forgive(self, path: str) -> None:
        session = path.partition("/")[0]
        own = self._unwatched.get(session, {})
        if own.pop(path, None) is not None and not own:
            del self._unwatched[session]

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

    def _require_share(self, path: str) -> None:
        if self.limit and len(self._labels) >= self.limit // 2:
            session = path.partition("/")[0]
            is_much = self._labels.size_of(session) >= self.limit // SHARE
            if session and is_much and self._labels.watch(path) is None:
                raise OSError(errno.ENOSPC, "its session has used up its share of the watches")

    def _end(self, obsolete: Iterable[Watch | None]) -> None:
        for watch in obsolete:
            if watch is not None and self._remove is not None:
                self._remove(watch.descriptor, watch.callback)
