"""Small files that were costly to make, in one folder of bounded size; each can be made again."""

import errno
import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import NamedTuple

from plotindex.errors import SettingsError
from plotindex.rendering.protocol import MAX_RESULT_BYTES
from plotindex.system import apply_shared_mode, call_after_fork, make_private_folder
from plotindex.tree import Plot

BLOCK = 4096
"""What the smallest file takes of a disk."""
SHARE = 32
"""After so large a part of the bound was written the folder is looked at again: others write to it, too."""
MOST_RESERVE = 1 << 28
RESERVED = 0.05
"""What of the disk is left to the catalogue: a part, but no more than the above."""
TRIMMED = 0.9
"""How full the folder is after the oldest were deleted."""

log = logging.getLogger(__name__)


class CachedFile(NamedTuple):
    """A file that was kept, and how many seconds ago."""

    content: bytes
    age: float


class FileCache:
    """The folder. It is made with the first file; where none can be written nothing is kept, and the log says so once.

    Safe to share between threads and processes.
    """

    def __init__(self, folder: Path, most_bytes: int, make_parent: Callable[[], object]) -> None:
        """`make_parent` makes the folder in which this one is; with 0 bytes nothing is kept."""
        self._folder = folder
        self._path = str(folder)
        self._most = most_bytes
        self._make_parent = make_parent
        self._trimming = threading.Lock()
        self._until_look = 0
        self._said = ""
        call_after_fork(self._forget)

    def get(self, name: str) -> CachedFile | None:
        """What is kept under that name."""
        if not self._most:
            return None
        try:
            fd = os.open(f"{self._path}/{name}", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            status = os.fstat(fd)
            return CachedFile(os.read(fd, min(status.st_size, MAX_RESULT_BYTES)), time.time() - status.st_mtime)
        except OSError as error:
            self._say(error)
            return None
        finally:
            os.close(fd)

    def put(self, name: str, content: bytes) -> None:
        """Keep that under that name; forget the oldest when there is too much."""
        if not self._most:
            return
        try:
            if not self._folder.is_dir():
                self._make_parent()
                make_private_folder(self._folder)
            _leave_reserve(self._folder)
            # Only its owner can read it (tempfile's promise), or the group that shares the folder.
            with NamedTemporaryFile(dir=self._folder, delete=False) as file:
                try:
                    apply_shared_mode(file.fileno(), Path(file.name), 0o640)
                    file.write(content)
                    file.flush()
                    Path(file.name).rename(self._folder / name)
                except BaseException:
                    Path(file.name).unlink()
                    raise
            self._trim(_space(len(content)))
        except (OSError, SettingsError) as error:
            self._say(error)

    def _trim(self, written: int) -> None:
        with self._trimming:
            self._until_look -= written
            if self._until_look > 0:
                return
            self._until_look = self._most // SHARE
            found = []
            with os.scandir(self._folder) as entries:
                for entry in entries:
                    # Another process may be deleting, too.
                    with suppress(FileNotFoundError):
                        status = entry.stat(follow_symlinks=False)
                        found.append((status.st_mtime_ns, _space(status.st_size), entry.path))
            total = sum(space for _, space, _ in found)
            if total <= self._most - self._until_look:
                return
            for _, space, path in sorted(found):
                if total <= self._most * TRIMMED:
                    return
                with suppress(FileNotFoundError):
                    Path(path).unlink()
                total -= space

    def _say(self, error: OSError | SettingsError) -> None:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        if self._said != reason:
            self._said = reason
            log.warning("No thumbnails are kept in %s, each is drawn when it is asked for (%s).", self._folder, reason)

    def _forget(self) -> None:
        """In a forked child: who held the lock is not there."""
        self._trimming = threading.Lock()


def _leave_reserve(folder: Path) -> None:
    disk = os.statvfs(folder)
    if disk.f_bavail < min(disk.f_blocks * RESERVED, MOST_RESERVE / disk.f_frsize):
        raise OSError(errno.ENOSPC, "the disk is nearly full: what is left is for the catalogue")


def name_of(plot: Plot, job: str) -> str:
    """The file's name for what a job makes of a version of a plot: nothing of what scripts have chosen is in it."""
    identity = "\0".join((plot.session, plot.project, plot.filename, plot.version, job))
    return blake2b(identity.encode(), digest_size=20).hexdigest()


def _space(size: int) -> int:
    return -(-size // BLOCK) * BLOCK
