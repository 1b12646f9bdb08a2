"""A folder of state files, held by a descriptor: entries are opened beneath it, and none through a symlink.

Whoever owns the folder can put any entry there. A process of another user, such as root, must not follow it.
"""

import ctypes
import errno
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from plotindex.errors import UnsafePathError
from plotindex.system.openat import FOLDER_FLAGS
from plotindex.system.permissions import shared_mode_bits, user_name
from plotindex.system.text import printable
from plotindex.system.trusted_path import open_trusted_folder

RENAME_NOREPLACE = 1
# Non-blocking: opening a pipe without a writer would hang.
ENTRY_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
NEW_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
NOT_REGULAR_ERRNOS = frozenset({errno.EISDIR, errno.ENXIO, errno.ENODEV})


class PrivateFolder:
    """An open folder. New entries belong to its owner if root creates them, and to its group if it is shared."""

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self.fd = fd
        self._status = os.fstat(fd)
        self._bits = shared_mode_bits(self._status)

    @property
    def is_of_other_user(self) -> bool:
        """Whether root works in another user's folder."""
        return os.geteuid() == 0 and self._status.st_uid != 0

    @property
    def is_group_writable(self) -> bool:
        """Whether a group shares it and can write it."""
        return bool(self._bits & stat.S_IWGRP)

    def open(self, name: str, flags: int = os.O_RDWR) -> int:
        """A descriptor of a state file.

        Raises:
            UnsafePathError: it is a symlink, no regular file, has other names, or belongs to another user.
            OSError: it cannot be opened.
        """
        try:
            fd = os.open(name, flags | ENTRY_FLAGS, dir_fd=self.fd)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise self.link_error(name) from None
            if error.errno in NOT_REGULAR_ERRNOS:
                raise self._not_regular(name) from None
            raise
        try:
            self._check(name, os.fstat(fd))
        except BaseException:
            os.close(fd)
            raise
        return fd

    def open_or_create(self, name: str, shared: int) -> int:
        """As `open`; a missing file is created as by `create`."""
        while True:
            with suppress(FileNotFoundError):
                return self.open(name)
            with suppress(FileExistsError):
                self.create(name, shared)

    def create(self, name: str, shared: int) -> None:
        """Create an empty file of mode 0600, in a shared folder of mode `shared`, and keep no descriptor of it.

        It appears with its final mode and owner: other users can open it at once.

        Raises:
            FileExistsError: the file exists.
            OSError: the file cannot be created.
        """
        temporary = _temporary_name(name)
        os.close(self.open_new(temporary, shared))
        if not self._publish(temporary, name):
            os.unlink(temporary, dir_fd=self.fd)
            os.close(self.open_new(name, shared))

    def open_new(self, name: str, shared: int) -> int:
        """A descriptor of a new file, as made by `create`; its final mode and owner may appear a moment later.

        Raises:
            FileExistsError: the file exists.
            OSError: the file cannot be created.
        """
        fd = os.open(name, NEW_FLAGS, 0o600, dir_fd=self.fd)
        try:
            if self._bits:
                os.fchmod(fd, shared & (stat.S_IRWXU | self._bits))
            self._give_to_owner(fd)
        except BaseException:
            os.close(fd)
            os.unlink(name, dir_fd=self.fd)
            raise
        return fd

    def replace(self, name: str, content: bytes, *, is_durable: bool = True) -> None:
        """Replace a file's content atomically; wait for the disk if `is_durable`. Raises OSError."""
        temporary = _temporary_name(name)
        fd = self.open_new(temporary, 0o640)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(content)
                file.flush()
                if is_durable:
                    os.fsync(fd)
            self.rename(temporary, name)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary, dir_fd=self.fd)
            raise

    def remove_temporary(self, name: str) -> None:
        """Delete the files that writers of a file left when they were killed. No other may be writing it."""
        pattern = re.compile(rf"\.{re.escape(name)}\.[0-9a-f]{{16}}")
        for entry in self.names():
            if pattern.fullmatch(entry):
                self.delete(entry)

    def make_folder(self, name: str) -> None:
        """Create a folder if missing: private to the owner, or open to the group that shares this one.

        Raises:
            OSError: it cannot be created, or another file has this name.
        """
        if self.has(name):
            # Opening it refuses another user's symlink, and other files.
            os.close(open_trusted_folder(self.path / name))
            return
        temporary = _temporary_name(name)
        self._make_folder(temporary)
        try:
            is_published = self._publish(temporary, name)
        except FileExistsError:
            # Another process was faster.
            return
        if not is_published:
            os.rmdir(temporary, dir_fd=self.fd)
            with suppress(FileExistsError):
                self._make_folder(name)

    def rename(self, name: str, new: str) -> None:
        """Rename an entry, replacing a file of the new name. Raises OSError."""
        os.rename(name, new, src_dir_fd=self.fd, dst_dir_fd=self.fd)

    def delete(self, name: str) -> None:
        """Delete a file, if it exists. Raises OSError."""
        try:
            os.unlink(name, dir_fd=self.fd)
        except FileNotFoundError:
            return
        except IsADirectoryError:
            raise self._not_regular(name) from None

    def names(self, subfolder: str = ".") -> list[str]:
        """The names of its entries, or of those of a folder in it. Raises OSError."""
        fd = os.open(subfolder, FOLDER_FLAGS, dir_fd=self.fd)
        try:
            return os.listdir(fd)
        finally:
            os.close(fd)

    def has(self, name: str) -> bool:
        """Whether there is an entry of this name. Raises OSError."""
        try:
            self.stat(name)
        except FileNotFoundError:
            return False
        return True

    def _make_folder(self, name: str) -> None:
        os.mkdir(name, 0o700 | self._bits, dir_fd=self.fd)
        fd = os.open(name, FOLDER_FLAGS, dir_fd=self.fd)
        try:
            # The owner may have put one of root's there, to be given that.
            if os.listdir(fd):
                raise self._unsafe(name, "is not the folder that was just created: try again")
            # Undo the umask. Only where needed: RestrictSUIDSGID= forbids the call, and the kernel inherits setgid.
            if self._bits & ~os.fstat(fd).st_mode:
                os.fchmod(fd, 0o2700 | self._bits)
            self._give_to_owner(fd)
        finally:
            os.close(fd)

    def _give_to_owner(self, fd: int) -> None:
        """As root, give a new entry to the folder's owner: an operator's `sudo` must not lock the services out."""
        if self.is_of_other_user:
            os.fchown(fd, self._status.st_uid, -1)

    def _publish(self, temporary: str, name: str) -> bool:
        """Rename a new entry, replacing none; return whether this file system can (renameat2(2))."""
        try:
            _rename_exclusively(self.fd, temporary, name)
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENOSYS):
                return False
            remove: Callable[..., None] = os.rmdir if stat.S_ISDIR(self.stat(temporary).st_mode) else os.unlink
            remove(temporary, dir_fd=self.fd)
            raise
        return True

    def stat(self, name: str) -> os.stat_result:
        """The status of an entry, following no symlink. Raises OSError."""
        return os.stat(name, dir_fd=self.fd, follow_symlinks=False)

    def check(self, name: str) -> os.stat_result:
        """The status of a file that another program opens by its path; raises as `open`."""
        status = self.stat(name)
        if stat.S_ISLNK(status.st_mode):
            raise self.link_error(name)
        self._check(name, status)
        return status

    def link_error(self, name: str) -> UnsafePathError:
        """The error for an entry that is, or a moment ago was, a symlink."""
        return self._unsafe(name, "is a symlink, which is not followed: delete it")

    def _check(self, name: str, status: os.stat_result) -> None:
        if not stat.S_ISREG(status.st_mode):
            raise self._not_regular(name)
        # None is left of a file that was replaced after it was opened.
        if status.st_nlink > 1:
            raise self._unsafe(name, f"has {status.st_nlink} hard links: replace it by a copy, or delete it")
        if status.st_uid not in (0, os.geteuid(), self._status.st_uid) and not self._is_of_member(status):
            owner = self._status.st_uid
            raise self._unsafe(
                name,
                f"belongs to {user_name(status.st_uid)}, its folder to {user_name(owner)}: `chown {owner}` it, or "
                "share the folder with a group (docs/install.md)",
            )

    def _is_of_member(self, status: os.stat_result) -> bool:
        """Whether a member of the group that shares the folder created the file."""
        mode = self._status.st_mode
        is_of_group = bool(mode & stat.S_ISGID) and not mode & stat.S_IWOTH
        return is_of_group and status.st_gid == self._status.st_gid

    def _not_regular(self, name: str) -> UnsafePathError:
        return self._unsafe(name, "is not a regular file: remove it, or restore it from a backup")

    def _unsafe(self, name: str, problem: str) -> UnsafePathError:
        return UnsafePathError(f"{printable(str(self.path / name))} {problem}.")


@contextmanager
def open_private_folder(path: Path) -> Iterator[PrivateFolder]:
    """Open a folder of state files; closed on exit.

    Raises:
        UnsafePathError: another user's symlink is on the way.
        OSError: it cannot be opened.
    """
    fd = open_trusted_folder(path)
    try:
        yield PrivateFolder(path, fd)
    finally:
        os.close(fd)


def make_private_folder(folder: Path) -> None:
    """Create a folder if missing: private to its owner, or open to the group that shares its parent. Raises OSError."""
    with open_private_folder(folder.parent) as parent:
        parent.make_folder(folder.name)


def _temporary_name(name: str) -> str:
    return f".{name}.{secrets.token_hex(8)}"


def _rename_exclusively(fd: int, old: str, new: str) -> None:
    """Rename an entry of the directory `fd`. Raises OSError: FileExistsError, or EINVAL and ENOSYS if unsupported."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS)) from None
    if rename(fd, os.fsencode(old), fd, os.fsencode(new), RENAME_NOREPLACE):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), new)
