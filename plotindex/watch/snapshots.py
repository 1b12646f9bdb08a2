"""What folders were like when they were looked at, kept for those of which no event tells: so that one stat tells.

A folder's times change with every entry that comes, goes or is renamed. What a file holds they do not tell.
"""

import os
import time
from array import array
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

from plotindex.system import FOLDER_PATH_FLAGS
from plotindex.tree import SETTLE_NS, Tree, collapse, is_within

AGAIN = 0
"""The stamp of a folder that is to be looked at again, whatever it is like then."""
CLOSED = -1
"""The stamp of one that could not be looked into."""
TICK = 64
"""After so many folders others may be served."""
MOST_SCOPES = 100
"""A session of which more than so many parts are to be looked at is looked at as a whole."""


def fingerprint_of(status: os.stat_result) -> int:
    """What `walk.FolderStamp` says, in 64 bits, since many are kept; AGAIN when it may change within one tick."""
    # The ctime, too: no script can set it back.
    if time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) <= SETTLE_NS:
        return AGAIN
    return hash((status.st_mtime_ns, status.st_ctime_ns, status.st_ino)) or 1


def fingerprint_of_open(fd: int) -> int:
    """The same of a folder that is open and about to be listed."""
    try:
        return fingerprint_of(os.fstat(fd))
    except OSError:
        return AGAIN


class SessionSnapshot(NamedTuple):
    """The folders of one session in some 25 bytes each: names below it, NUL between them, and as many stamps."""

    names: bytes
    stamps: "array[int]"
    unwatched: int
    """How many of them have no watch."""

    @property
    def closed(self) -> int:
        return self.stamps.count(CLOSED)

    def items(self) -> Iterator[tuple[str, int]]:
        """Name and stamp; those in one folder stand together. The session itself is ""."""
        return zip(self.names.decode().split("\0"), self.stamps, strict=True)


class FolderSnapshots:
    """The stamps of folders, by session; the root is a session called ""."""

    def __init__(self) -> None:
        self._kept: dict[str, SessionSnapshot] = {}
        self._noted: dict[str, dict[str, int]] = {}
        self.folders = self.unwatched = self.closed = 0
        """How many are kept, in all; have no watch; cannot be looked into."""

    def __contains__(self, session: str) -> bool:
        return session in self._kept

    def __len__(self) -> int:
        """Of how many sessions something is kept."""
        return len(self._kept) - ("" in self._kept)

    def sessions(self) -> list[str]:
        return list(self._kept)

    def unwatched_of(self, session: str) -> int:
        """How many folders of a session have no watch, though they could have one."""
        kept = self._kept.get(session)
        return max(0, kept.unwatched - kept.closed) if kept else 0

    def note(self, path: str, stamp: int) -> None:
        """Take note of a folder that is about to be listed; `settle` follows when its session has been looked at."""
        self._noted.setdefault(path.partition("/")[0], {})[path] = stamp

    def settle(
        self, session: str, scopes: Collection[str], closed: Iterable[str], is_watched: Callable[[str], bool]
    ) -> None:
        """All within the scopes was looked at: keep what was noted meanwhile, in place of what was kept of that."""
        noted, before = self._noted.pop(session, {}), self._kept.get(session)
        closed = dict.fromkeys(closed, CLOSED)
        if not noted and not before and not closed:
            return
        folders: dict[str, int] = {}
        for path, stamp in self._paths(session):
            if path in noted:
                if stamp not in (AGAIN, CLOSED, noted[path]):
                    # It has changed since: a moment ago perhaps, whatever the clock of its file system says.
                    noted[path] = AGAIN
            elif not is_within(path, scopes):
                folders[path] = stamp
        self._put(session, {**folders, **noted, **closed}, is_watched)

    def look_again(self, session: str, paths: Iterable[str], is_watched: Callable[[str], bool]) -> None:
        """These folders have lost their watch."""
        self._put(session, {**dict(self._paths(session)), **dict.fromkeys(paths, AGAIN)}, is_watched)

    def scopes(self, session: str) -> list[str]:
        """The scopes that hold all that is kept of a session; of very many parts the session itself."""
        outermost = collapse(path for path, _ in self._paths(session))
        return outermost if len(outermost) <= MOST_SCOPES else [session]

    def paths(self) -> list[str]:
        """Every folder that is kept."""
        return [path for session in self._kept for path, _ in self._paths(session)]

    def changed(self, tree: Tree, session: str) -> Iterator[list[str]]:
        """Look at the folders of a session by one stat each; tell, a few at a time, which are not as they were.

        What cannot be seen is told, too: a look will say why.
        """
        found: list[str] = []
        seen = 0
        for folder, group in groupby(self._paths(session), key=lambda pair: pair[0].rpartition("/")[0]):
            known = list(group)
            try:
                # Through no symlink: nobody leads this stat to a file system that hangs.
                with tree.folder(folder.split("/") if folder else (), FOLDER_PATH_FLAGS) as fd:
                    for path, stamp in known:
                        if _stamp_at(fd, path.rpartition("/")[2]) != stamp or stamp in (AGAIN, CLOSED):
                            found.append(path)
                        seen += 1
                        if seen % TICK == 0:
                            yield found
                            found = []
            except OSError:
                found += [path for path, _ in known]
        yield found

    def _paths(self, session: str) -> Iterator[tuple[str, int]]:
        kept = self._kept.get(session)
        for name, stamp in kept.items() if kept else ():
            yield f"{session}/{name}" if name else session, stamp

    def _put(self, session: str, folders: dict[str, int], is_watched: Callable[[str], bool]) -> None:
        before = self._kept.pop(session, None)
        if before:
            self._count(before, -1)
        if folders:
            paths = sorted(folders, key=lambda path: path.rpartition("/"))
            names = "\0".join(path[len(session) + 1 :] for path in paths).encode()
            unwatched = sum(not is_watched(path) for path in paths)
            kept = self._kept[session] = SessionSnapshot(names, array("q", map(folders.__getitem__, paths)), unwatched)
            self._count(kept, 1)

    def _count(self, kept: SessionSnapshot, sign: int) -> None:
        self.folders += sign * len(kept.stamps)
        self.unwatched += sign * kept.unwatched
        self.closed += sign * kept.closed


def _stamp_at(fd: int, name: str) -> int:
    try:
        return fingerprint_of(os.stat(name or ".", dir_fd=fd, follow_symlinks=False))
    except OSError:
        return CLOSED
