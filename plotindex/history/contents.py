"""The folder of kept bytes: one file for each content, named by its digest (BLAKE2b-128)."""

import math
import os
import re
import secrets
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from plotindex.errors import CatalogError, UnsafePathError
from plotindex.storage import DIGEST_BYTES, room_for_others
from plotindex.system import (
    PrivateFolder,
    closing_fd,
    make_private_folder,
    open_private_folder,
    printable,
    read_private,
    write_private,
)

CHUNK = 1 << 20
CONTENT_NAME = re.compile(rf"[0-9a-f]{{{2 * DIGEST_BYTES}}}")
TEMPORARY_NAME = re.compile(r"new-[0-9a-f]{16}")
ID_FILE = "history.id"
"""Names the database that the folder belongs to."""
RESERVE_SHARE = 1 / 20
"""Share of the disk that stays free."""
SYNC_THREADS = 8
"""Files that are synced at once: these share commits of the file system's journal."""


class HistoryError(CatalogError):
    """The history cannot be read or written at the moment; nothing else is affected."""


class UnreadableError(Exception):
    """A plot cannot be read now. Its message is the reason."""


class StagedContent(NamedTuple):
    """Bytes that are read, and their temporary file; None for a content that is stored already."""

    digest: str
    temporary: str | None
    size: int


class ContentFolder:
    """The folder of one root's kept bytes."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def is_new(self) -> bool:
        """Whether the folder is missing, or has no content yet. Raises HistoryError."""
        if not self.path.is_dir():
            return True
        with self.opened() as contents:
            return not contents.digests()

    def read_id(self) -> str | None:
        """The id of the database that the folder belongs to; None in a new folder.

        Raises:
            HistoryError: the folder is missing or cannot be read.
        """
        try:
            os.close(os.open(self.path, os.O_RDONLY | os.O_DIRECTORY))
            return read_private(self.path / ID_FILE).decode()
        except FileNotFoundError:
            if self.path.is_dir():
                return None
            raise HistoryError(
                f"The history's folder {printable(str(self.path))} is missing: mount it, or restore a backup."
            ) from None
        except OSError as error:
            raise _cannot("read", self.path, error) from error

    def create(self, identity: str) -> None:
        """Create the folder, for the database of this id. Raises HistoryError."""
        try:
            for folder in (self.path.parent, self.path):
                if not folder.is_dir():
                    make_private_folder(folder)
            write_private(self.path / ID_FILE, identity.encode())
        except OSError as error:
            raise _cannot("written", self.path, error) from error

    @contextmanager
    def opened(self) -> Iterator["OpenContents"]:
        """The folder, open for several steps. Raises HistoryError."""
        with ExitStack() as stack:
            try:
                folder = stack.enter_context(open_private_folder(self.path))
            except OSError as error:
                raise _cannot("opened", self.path, error) from error
            yield OpenContents(folder)


class OpenContents:
    """An open folder of contents. Every method raises OSError."""

    def __init__(self, folder: PrivateFolder) -> None:
        self._folder = folder

    def stage(self, source: int, size: int) -> StagedContent | None:
        """Read a file once, and write its bytes aside; None if it has another size.

        A file that was not in the page cache is dropped from it again, as is what is written.

        Raises:
            UnreadableError: the file cannot be read.
        """
        temporary = f"new-{secrets.token_hex(8)}"
        digest, done = blake2b(digest_size=DIGEST_BYTES), 0
        target = self._folder.open_new(temporary, 0o660)
        is_kept = False
        try:
            # One byte more than there should be: the file may have grown.
            for chunk in _read_chunks(source, size + 1):
                digest.update(chunk)
                _write_all(target, chunk)
                done += len(chunk)
            if done != size:
                return None
            name = digest.hexdigest()
            is_kept = not self.has(name, size)
            return StagedContent(name, temporary if is_kept else None, size)
        finally:
            os.close(target)
            if not is_kept:
                self._folder.delete(temporary)

    def publish(self, staged: Collection[StagedContent]) -> None:
        """Write the staged bytes to the disk, then give them their names; what has a name is whole."""
        new = [each for each in staged if each.temporary]
        with ThreadPoolExecutor(SYNC_THREADS) as threads:
            list(threads.map(self._sync, (str(each.temporary) for each in new)))
        for each in new:
            self._folder.rename(str(each.temporary), each.digest)
        if new:
            self.sync_folder()

    def sync_folder(self) -> None:
        """Write the names of the contents to the disk."""
        fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._folder.fd)
        with closing_fd(fd):
            os.fsync(fd)

    def write(self, digest: str, content: bytes) -> None:
        """Store a content that is known to have this digest."""
        self._folder.replace(digest, content)

    def discard(self, staged: Collection[StagedContent]) -> None:
        """Delete what was staged and is not needed."""
        for each in staged:
            if each.temporary:
                self._folder.delete(each.temporary)

    def has(self, digest: str, size: int) -> bool:
        """Whether a content of this size is stored."""
        with suppress(FileNotFoundError):
            return self._folder.stat(digest).st_size == size
        return False

    def exists(self, digest: str) -> bool:
        """Whether a content is stored, of whatever size."""
        return self._folder.has(digest)

    def open(self, digest: str) -> int:
        """A descriptor of a content."""
        return self._folder.open(digest, os.O_RDONLY)

    def delete(self, digest: str) -> None:
        """Delete a content, if it exists."""
        self._folder.delete(digest)

    def delete_all(self, digests: Iterable[str]) -> None:
        """Delete contents that no row needs."""
        for digest in digests:
            self.delete(digest)

    def digests(self) -> set[str]:
        """The contents that are stored."""
        return {name for name in self._folder.names() if CONTENT_NAME.fullmatch(name)}

    def written_at(self, digest: str) -> float:
        """When a content was stored (seconds, Unix); 0 if it is not there."""
        with suppress(FileNotFoundError):
            return self._folder.stat(digest).st_mtime
        return 0

    def delete_temporary(self) -> int:
        """Delete what a killed process has written aside; return how many files. No other process may be writing."""
        names = [name for name in self._folder.names() if TEMPORARY_NAME.fullmatch(name)]
        for name in names:
            self._folder.delete(name)
        return len(names)

    def free_bytes(self) -> int:
        """What may be written until the reserve of the disk is reached."""
        disk = os.statvfs(self._folder.fd)
        own = int((disk.f_bavail - disk.f_blocks * RESERVE_SHARE) * disk.f_frsize)
        return min(own, room_for_others(self._folder.path))

    def free_files(self) -> float:
        """How many files may be created until the reserve of the disk is reached; infinite where none are counted."""
        disk = os.statvfs(self._folder.fd)
        return disk.f_favail - disk.f_files * RESERVE_SHARE if disk.f_files else math.inf

    def _sync(self, name: str) -> None:
        with closing_fd(self._folder.open(name)) as fd:
            os.fsync(fd)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


def digest_of(fd: int, size: int) -> str:
    """The digest of so many bytes of an open file, which may grow without end meanwhile. Raises OSError."""
    digest, done = blake2b(digest_size=DIGEST_BYTES), 0
    while done < size and (chunk := os.pread(fd, min(CHUNK, size - done), done)):
        digest.update(chunk)
        done += len(chunk)
    return digest.hexdigest()


def _is_cached(fd: int) -> bool:
    """Whether a file begins in the page cache."""
    try:
        return os.preadv(fd, [bytearray(1)], 0, os.RWF_NOWAIT) == 1
    except BlockingIOError:
        return False
    except OSError:
        # A file system that cannot tell: leave it as it is.
        return True


def _read_chunks(fd: int, most: int) -> Iterator[bytes]:
    """Parts of a file, up to `most` bytes. If it is not in the page cache, it is not afterwards either.

    Raises:
        UnreadableError: the file cannot be read.
    """
    was_cached, done = _is_cached(fd), 0
    try:
        while done < most and (chunk := os.pread(fd, min(CHUNK, most - done), done)):
            done += len(chunk)
            yield chunk
        if not was_cached:
            # All of it: the kernel reads ahead.
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    except OSError as error:
        raise UnreadableError(error.strerror) from error


def _write_all(fd: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(fd, left) :]


def _cannot(what: str, path: Path, error: OSError) -> HistoryError:
    if isinstance(error, UnsafePathError):
        return HistoryError(str(error))
    return HistoryError(
        f"The history's folder {printable(str(path))} cannot be {what} ({error.strerror}): make it readable and "
        "writable for this user (chmod, chown), or set history_dir."
    )
