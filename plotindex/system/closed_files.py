"""Wait until a file in a folder is closed after writing (inotify(7))."""

import ctypes
import os
import select
import struct
from pathlib import Path

IN_CLOSE_WRITE, IN_DELETE_SELF, IN_MOVE_SELF, IN_ONLYDIR = 0x8, 0x400, 0x800, 0x1000000
IN_UNMOUNT, IN_Q_OVERFLOW, IN_IGNORED = 0x2000, 0x4000, 0x8000
MASK = IN_CLOSE_WRITE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR
IS_LOST = IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED
HEADER = struct.Struct("iIII")
"""Watch descriptor, mask, cookie, length of the name that follows."""
READ_BYTES = 1 << 16


class FolderLostError(Exception):
    """The watched folder was moved or deleted, or watching was stopped."""


class ClosedFiles:
    """Watches one folder, not what is below its folders."""

    def __init__(self, folder: Path) -> None:
        """Raises OSError: it cannot be watched, for example because of a limit of the kernel."""
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = _checked(libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK), folder)
        self._stop = -1
        try:
            self._stop = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            _checked(libc.inotify_add_watch(self._fd, os.fsencode(folder), MASK), folder)
        except BaseException:
            self.close()
            raise
        self._poller = select.poll()
        for fd in (self._fd, self._stop):
            self._poller.register(fd, select.POLLIN)

    def wait(self, name: str) -> None:
        """Return once a file of this name was closed, or may have been: the kernel drops events of a full queue.

        Raises:
            FolderLostError: `stop` was called, or the path may lead to another folder now.
        """
        wanted, is_closed = os.fsencode(name), False
        while not is_closed:
            ready = [fd for fd, _ in self._poller.poll()]
            if self._stop in ready:
                raise FolderLostError
            buffer, offset = os.read(self._fd, READ_BYTES), 0
            while offset < len(buffer):
                _, mask, _, length = HEADER.unpack_from(buffer, offset)
                start, offset = offset + HEADER.size, offset + HEADER.size + length
                if mask & IS_LOST:
                    raise FolderLostError
                is_closed |= bool(mask & IN_Q_OVERFLOW) or buffer[start:offset].rstrip(b"\0") == wanted

    def stop(self) -> None:
        """End `wait` in another thread. It closes nothing."""
        os.eventfd_write(self._stop, 1)

    def close(self) -> None:
        """Close the descriptors."""
        for fd in (self._fd, self._stop):
            if fd >= 0:
                os.close(fd)
        self._fd = self._stop = -1


def _checked(result: int, folder: Path) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(folder))
    return result
