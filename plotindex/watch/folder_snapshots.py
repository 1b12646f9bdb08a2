"""Fingerprints of the folders that no event covers, so that one stat tells whether a folder has changed.

A folder's times change with every entry that is created, removed or renamed, but not with the content of a file.
"""

import os
import time
from array import array
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

from plotindex.system import FOLDER_PATH_FLAGS
from plotindex.tree import SETTLE_NS, Tree, collapse, is_within

STALE = 0
"""The fingerprint of a folder that counts as changed."""
UNREADABLE = -1
"""The fingerprint of a folder that cannot be read."""
CHUNK_FOLDERS = 64
"""Number of folders compared in one step."""
MAX_SCOPES = 100
"""A session with more changed parts is rescanned as a whole."""


def fingerprint_of(status: os.stat_result) -> int:
    """A 64-bit hash of a folder's times and inode; STALE if another change could leave the same times."""
    # The ctime as well: utimensat(2) cannot set it.
    if time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) <= SETTLE_NS:
        return STALE
    return hash((status.st_mtime_ns, status.st_ctime_ns, status.st_ino)) or 1


def fingerprint_of_open(fd: int) -> int:
    """The fingerprint of a folder that is about to be listed."""
    try:
        return fingerprint_of(os.fstat(fd))
    except OSError:
        return STALE


class SessionSnapshot(NamedTuple):
    """The folders of one session in about 25 bytes each: NUL-separated names, and a fingerprint for each."""

    names: bytes
    fingerprints: "array[int]"
    unwatched: int
    """Number of folders without a watch."""

    @property
    def unreadable(self) -> int:
        return self.fingerprints.count(UNREADABLE)

    def items(self) -> Iterator[tuple[str, int]]:
        """Name and fingerprint, grouped by parent. The session's own name is ""."""
        return zip(self.names.decode().split("\0"), self.fingerprints, strict=True)


class FolderSnapshots:
    """The fingerprints of folders by session; the root counts as a session named ""."""

    def __init__(self, is_watched: Callable[[str], bool]) -> None:
        self._is_watched = is_watched
        self._snapshots: dict[str, SessionSnapshot] = {}
        self._recorded: dict[str, dict[str, int]] = {}
        self.folders = self.unwatched = self.unreadable = 0
        """Number of folders: in total; without a watch; unreadable."""

    def __contains__(self, session: str) -> bool:
        return session in self._snapshots

    def __len__(self) -> int:
        """Number of sessions."""
        return len(self._snapshots) - ("" in self._snapshots)

    def sessions(self) -> list[str]:
        return list(self._snapshots)

    def watchable_in(self, session: str) -> int:
        """Number of folders in a session that could have a watch but do not."""
        snapshot = self._snapshots.get(session)
        return max(0, snapshot.unwatched - snapshot.unreadable) if snapshot else 0

    def record(self, path: str, fingerprint: int) -> None:
        """Record a folder that is about to be listed; `commit` follows after the scan of its session."""
        self._recorded.setdefault(path.partition("/")[0], {})[path] = fingerprint

    def commit(self, session: str, scopes: Collection[str], unreadable: Iterable[str]) -> None:
        """Replace all folders within the scanned scopes by the recorded ones."""
        recorded, before = self._recorded.pop(session, {}), self._snapshots.get(session)
        failed = dict.fromkeys(unreadable, UNREADABLE)
        if not recorded and not before and not failed:
            return
        folders: dict[str, int] = {}
        for path, fingerprint in self._items(session):
            if path in recorded:
                if fingerprint not in (STALE, UNREADABLE, recorded[path]):
                    # It changed since the last scan, perhaps just now: the file system's clock may differ.
                    recorded[path] = STALE
            elif not is_within(path, scopes):
                folders[path] = fingerprint
        self._replace(session, {**folders, **recorded, **failed})

    def invalidate(self, session: str, paths: Iterable[str]) -> None:
        """Add folders that have lost their watch, as changed ones."""
        self._replace(session, {**dict(self._items(session)), **dict.fromkeys(paths, STALE)})

    def scopes(self, session: str) -> list[str]:
        """The scopes that cover all folders of a session; above MAX_SCOPES the session itself."""
        outermost = collapse(path for path, _ in self._items(session))
        return outermost if len(outermost) <= MAX_SCOPES else [session]

    def changed(self, tree: Tree, session: str) -> Iterator[list[str]]:
        """Compare the folders of a session with the disk; yield the changed and inaccessible ones in chunks."""
        changed: list[str] = []
        seen = 0
        for parent, group in groupby(self._items(session), key=lambda item: item[0].rpartition("/")[0]):
            known = list(group)
            try:
                # Follows no symlink, which could lead to a file system that hangs.
                with tree.folder(parent.split("/") if parent else (), FOLDER_PATH_FLAGS) as fd:
                    for path, fingerprint in known:
                        if fingerprint in (STALE, UNREADABLE) or _stat(fd, path.rpartition("/")[2]) != fingerprint:
                            changed.append(path)
                        seen += 1
                        if seen % CHUNK_FOLDERS == 0:
                            yield changed
                            changed = []
            except OSError:
                changed += [path for path, _ in known]
        yield changed

    def _items(self, session: str) -> Iterator[tuple[str, int]]:
        snapshot = self._snapshots.get(session)
        for name, fingerprint in snapshot.items() if snapshot else ():
            yield f"{session}/{name}" if name else session, fingerprint

    def _replace(self, session: str, folders: dict[str, int]) -> None:
        before = self._snapshots.pop(session, None)
        if before:
            self._count(before, -1)
        if folders:
            paths = sorted(folders, key=lambda path: path.rpartition("/"))
            names = "\0".join(path[len(session) + 1 :] for path in paths).encode()
            unwatched = sum(not self._is_watched(path) for path in paths)
            snapshot = SessionSnapshot(names, array("q", map(folders.__getitem__, paths)), unwatched)
            self._snapshots[session] = snapshot
            self._count(snapshot, 1)

    def _count(self, snapshot: SessionSnapshot, sign: int) -> None:
        self.folders += sign * len(snapshot.fingerprints)
        self.unwatched += sign * snapshot.unwatched
        self.unreadable += sign * snapshot.unreadable


def _stat(fd: int, name: str) -> int:
    try:
        return fingerprint_of(os.stat(name or ".", dir_fd=fd, follow_symlinks=False))
    except OSError:
        return UNREADABLE
