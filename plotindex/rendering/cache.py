"""A size-bounded folder of small files that can be made again."""

import errno
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from plotindex.errors import SettingsError
from plotindex.rendering.protocol import MAX_RESULT_BYTES
from plotindex.storage import room_for_others
from plotindex.system import PrivateFolder, call_after_fork, make_private_folder, open_private_folder
from plotindex.tree import Plot

BLOCK_BYTES = 4096
"""Disk space of the smallest file."""
TRIM_INTERVAL = 1 / 32
"""Share of the bound that this process writes between two checks of the folder, to which other processes write too."""
TRIM_TARGET = 0.9
"""Share of the bound that the folder holds after the oldest files were deleted."""
KEPT_LONGEST = "-320"
"""Names that end so are deleted last: the pictures of cards."""
PAIR_END = "-pair"
"""Names that end so are comparisons of two plots."""
DISK_RESERVE = 0.05
"""Share of the disk that is left free for the catalogue, at most MAX_RESERVE_BYTES."""
MAX_RESERVE_BYTES = 1 << 28

log = logging.getLogger(__name__)


class CachedFile(NamedTuple):
    """The content of a cached file, and its age in seconds."""

    content: bytes
    age: float


class FileCache:
    """Files by key, in a folder that the first one creates. Thread-safe and process-safe.

    If the folder is not writable, nothing is cached, and the log says so once.
    """

    def __init__(self, folder: Path, max_bytes: int, make_parent: Callable[[], object]) -> None:
        """`make_parent` creates the parent of `folder`. With `max_bytes` 0 nothing is cached."""
        self._folder = folder
        self._max_bytes = max_bytes
        self._make_parent = make_parent
        self._trim_lock = threading.Lock()
        self._bytes_until_trim = 0
        self._last_error = ""
        call_after_fork(self._reset_after_fork)

    def get(self, key: str) -> CachedFile | None:
        if not self._max_bytes:
            return None
        try:
            with open_private_folder(self._folder) as folder:
                fd = folder.open(key, os.O_RDONLY)
        except OSError:
            return None
        try:
            status = os.fstat(fd)
            return CachedFile(os.read(fd, min(status.st_size, MAX_RESULT_BYTES)), time.time() - status.st_mtime)
        except OSError as error:
            self._log_error(error)
            return None
        finally:
            os.close(fd)

    def put(self, key: str, content: bytes, is_wanted: Callable[[], bool] = lambda: True) -> None:
        """Store a file. If the cache is over its bound, delete the oldest ones, those of cards last.

        `is_wanted` is asked once it is stored: what it is about may have been forgotten while it was made.
        """
        if not self._max_bytes:
            return
        try:
            if not self._folder.is_dir():
                self._make_parent()
                make_private_folder(self._folder)
            with open_private_folder(self._folder) as folder:
                _check_free_space(folder)
                folder.replace(key, content, is_durable=False)
                if not is_wanted():
                    folder.delete(key)
                self._trim(folder, _disk_bytes(len(content)))
        except (OSError, SettingsError) as error:
            self._log_error(error)

    def _trim(self, folder: PrivateFolder, written: int) -> None:
        with self._trim_lock:
            self._bytes_until_trim -= written
            if self._bytes_until_trim > 0:
                return
            self._bytes_until_trim = int(self._max_bytes * TRIM_INTERVAL)
            files = _list_files(folder)
            total = sum(size for _, size, _ in files)
            if total <= self._max_bytes - self._bytes_until_trim:
                return
            for _, size, name in sorted(files, key=lambda file: (file[2].endswith(KEPT_LONGEST), file)):
                if total <= self._max_bytes * TRIM_TARGET:
                    return
                folder.delete(name)
                total -= size

    def _log_error(self, error: OSError | SettingsError) -> None:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        if self._last_error != reason:
            self._last_error = reason
            log.warning("Cannot cache pictures in %s (%s); each is rendered on every request.", self._folder, reason)

    def _reset_after_fork(self) -> None:
        """In a forked child, replace the lock that a thread of the parent may hold."""
        self._trim_lock = threading.Lock()


def cache_key(plot: Plot, width: str) -> str:
    """The key for one version of a plot in one width: a digest, without names that scripts choose, and the width."""
    identity = "\0".join((plot.session, plot.project, plot.filename, plot.version))
    return f"{blake2b(identity.encode(), digest_size=20).hexdigest()}-{width}"


def pair_key(sessions: Iterable[str], digests: Iterable[str]) -> str:
    """The key of the comparison of two plots, by the sessions and all digests and suffixes of each."""
    identity = "\0".join((*sessions, "", *digests))
    return f"{blake2b(identity.encode(), digest_size=20).hexdigest()}{PAIR_END}"


def _list_files(folder: PrivateFolder) -> list[tuple[int, int, str]]:
    """mtime_ns, disk bytes and name of each file."""
    files = []
    for name in folder.names():
        # Another process may trim at the same time.
        with suppress(FileNotFoundError):
            status = folder.stat(name)
            files.append((status.st_mtime_ns, _disk_bytes(status.st_size), name))
    return files


def _check_free_space(folder: PrivateFolder) -> None:
    disk = os.statvfs(folder.fd)
    is_reserved = disk.f_bavail < min(disk.f_blocks * DISK_RESERVE, MAX_RESERVE_BYTES / disk.f_frsize)
    if is_reserved or room_for_others(folder.path) < 0:
        raise OSError(errno.ENOSPC, "the disk is nearly full; the rest is reserved for the catalogue")


def _disk_bytes(size: int) -> int:
    return -(-size // BLOCK_BYTES) * BLOCK_BYTES
