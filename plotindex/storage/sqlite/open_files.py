"""Whether the paths of an SQLite database still lead to the files that this process has open.

SQLite does not check: once its log is deleted or renamed, commits go to a file that no other process can read.
"""

import os
import stat
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from plotindex.storage.sqlite.file import COMPANIONS, FileId
from plotindex.system import call_after_fork

SCAN_SECONDS = 1.0
"""How often the descriptors of this process are compared with the paths."""
DESCRIPTORS = "/proc/self/fd"
MAY_SHRINK = (False, True, False)
"""Of the files in COMPANIONS: checkpoints truncate the log."""
LOG_HEADER_BYTES = 32
FRAME_HEADER_BYTES = 24
# https://www.sqlite.org/walformat.html, 2.1: version, page size and frames of the log; 2.2: frames in the database.
INDEX_FORMAT = struct.Struct("=I10xHI28x48xI")
INDEX_VERSION = 3007000
INDEX_COPY_BYTES = 48


class OpenFile(NamedTuple):
    """A file at its path."""

    id: FileId
    size: int


class OpenFiles:
    """The database, its log and its shared memory, as they were at the last check."""

    def __init__(self, database: Path) -> None:
        self._paths = [f"{database}{suffix}" for suffix in COMPANIONS]
        self._known: list[OpenFile | None] = [None] * len(COMPANIONS)
        self._replaced: set[FileId] = set()
        """Files that connections in use may still hold."""
        self._inherited: set[int] = set()
        self._index_fd: int | None = None
        self._scan_at = 0.0
        call_after_fork(self._ignore_inherited)

    @property
    def database_id(self) -> FileId | None:
        database = self._known[0]
        return database.id if database else None

    def check(self) -> bool:
        """Return whether a file was created, deleted, replaced or truncated since the last call.

        Then every connection must be closed. A log and a shared memory appear with the first connection: that is none.
        """
        found = [_find(path) for path in self._paths]
        is_new = self._known[0] is None and found[0] is not None
        is_changed = is_new or any(map(_is_lost, self._known, found, MAY_SHRINK))
        if is_changed:
            current = {file.id for file in found if file}
            self._replaced.update(file.id for file in self._known[1:] if file and file.id not in current)
        self._known = [found[0], None, None] if is_changed else found
        return self._holds_replaced() or is_changed or self._is_log_truncated()

    def _holds_replaced(self) -> bool:
        """Once a second: whether a connection of this process holds a file that its path does not lead to."""
        now = time.monotonic()
        if now < self._scan_at:
            return False
        self._scan_at = now + SCAN_SECONDS
        index, held, self._index_fd = self._known[2], set(), None
        for fd, status in self._descriptors():
            file = status.st_dev, status.st_ino
            if file in self._replaced or (not status.st_nlink and self._is_ours(fd)):
                held.add(file)
            elif index and file == index.id:
                self._index_fd = fd
        self._replaced = held
        return bool(held)

    def _descriptors(self) -> Iterator[tuple[int, os.stat_result]]:
        for name in os.listdir(DESCRIPTORS):
            fd = int(name)
            try:
                status = os.fstat(fd)
            except OSError:
                continue
            if stat.S_ISREG(status.st_mode) and fd not in self._inherited:
                yield fd, status

    def _is_ours(self, fd: int) -> bool:
        try:
            path = str(Path(DESCRIPTORS, str(fd)).readlink()).removesuffix(" (deleted)")
        except OSError:
            return False
        return path in map(os.path.realpath, self._paths[1:])

    def _is_log_truncated(self) -> bool:
        """Whether the log ends before a frame that only it has."""
        log, before = self._known[1], self._read_index()
        if before is None or log is None:
            return False
        _, page_bytes, frames, copied = before
        page_bytes = page_bytes if page_bytes > 1 else 1 << 16
        needed = LOG_HEADER_BYTES + frames * (FRAME_HEADER_BYTES + page_bytes)
        # Unchanged, so that both are of one moment: a checkpoint resets the index before it truncates the log.
        return copied < frames and log.size < needed and before == self._read_index() and self._log_size() < needed

    def _log_size(self) -> int:
        log = _find(self._paths[1])
        return log.size if log else 0

    def _read_index(self) -> tuple[int, int, int, int] | None:
        """The head of the shared memory, by SQLite's own descriptor: to close another one would drop its locks."""
        index, fd = self._known[2], self._index_fd
        if index is None or fd is None:
            return None
        try:
            status = os.fstat(fd)
            head = os.pread(fd, INDEX_FORMAT.size, 0)
        except OSError:
            return None
        is_whole = (status.st_dev, status.st_ino) == index.id and len(head) == INDEX_FORMAT.size
        copies = head[:INDEX_COPY_BYTES], head[INDEX_COPY_BYTES : 2 * INDEX_COPY_BYTES]
        if not is_whole or copies[0] != copies[1]:
            return None
        values: tuple[int, int, int, int] = INDEX_FORMAT.unpack(head)
        return values if values[0] == INDEX_VERSION else None

    def _ignore_inherited(self) -> None:
        """In a forked child: the parent's connections stay open."""
        self._inherited = {fd for fd, _ in self._descriptors()}


def _find(path: str) -> OpenFile | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - before each write
    except OSError:
        return None
    return OpenFile((status.st_dev, status.st_ino), status.st_size)


def _is_lost(known: OpenFile | None, found: OpenFile | None, may_shrink: bool) -> bool:
    """Whether the path does not lead to the known file any more, or to less of it."""
    if known is None:
        return False
    return found is None or found.id != known.id or (found.size < known.size and not may_shrink)
