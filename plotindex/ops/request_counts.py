"""How the last minutes' requests were answered, told by each server process in a file of its own.

A ring of minutes: a request costs one write to it, and who asks for the status only reads.
"""

import fcntl
import logging
import os
import re
import secrets
import stat
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from plotindex.config import Settings
from plotindex.errors import SettingsError
from plotindex.system import call_after_fork, make_private_folder, open_private

MINUTES = 16
"""How many the ring has."""
SHOWN = 5
SLOT = struct.Struct("<4q")
OLD_MINUTES = 60
NAME = re.compile(r"\d+-[0-9a-f]{8}")

log = logging.getLogger(__name__)


class Counts(NamedTuple):
    """Answers from the catalogue, answers that it did not have, and how often projects were scanned for one."""

    hits: int = 0
    misses: int = 0
    scans: int = 0


HITS, MISSES, SCANS = range(3)
"""Which of the counts."""


class Recent:
    """What this process has answered in the last minutes; where it cannot be told, it is not. Safe between threads."""

    def __init__(self, settings: Settings) -> None:
        """Opens nothing before the first answer."""
        self._settings = settings
        self._lock = threading.Lock()
        self._is_open = False
        self._fd: int | None = None
        self._slot = [0, 0, 0, 0]
        call_after_fork(self._forget)

    def count(self, which: int) -> None:
        """Add one to that count of the current minute."""
        with self._lock:
            if not self._is_open:
                self._is_open = True
                self._fd = self._open()
            if self._fd is None:
                return
            minute = int(time.time() // 60)
            if self._slot[0] != minute:
                self._slot = [minute, 0, 0, 0]
            self._slot[which + 1] += 1
            # Not by shared memory: a full or faulty disk ends who writes there (SIGBUS), and fails here.
            with suppress(OSError):
                os.pwrite(self._fd, SLOT.pack(*self._slot), minute % MINUTES * SLOT.size)

    def _open(self) -> int | None:
        """The descriptor of a new file, locked for as long as this process lives."""
        folder = self._settings.request_counts_folder
        try:
            self._settings.make_state_folder()
            make_private_folder(folder)
            _forget_old(folder)
            return _create(folder)
        except (OSError, SettingsError) as error:
            log.info("`plotindex status` will not know what this server answers: %s", error)
            return None

    def _forget(self) -> None:
        """In a forked child, which has a file of its own."""
        self._lock = threading.Lock()
        if self._fd is not None:
            os.close(self._fd)
        self._is_open, self._fd, self._slot = False, None, [0, 0, 0, 0]


def read_recent(folder: Path) -> Counts | None:
    """What all servers have answered in the last five minutes; None when none tells."""
    since = int(time.time() // 60) - SHOWN
    slots = [numbers for file in _files(folder) for minute, *numbers in _slots(file) if minute > since]
    return Counts(*map(sum, zip(*slots, strict=True))) if slots else None


def _create(folder: Path) -> int:
    while True:
        fd = open_private(folder / f"{os.getpid()}-{secrets.token_hex(4)}")
        fcntl.flock(fd, fcntl.LOCK_EX)
        if os.fstat(fd).st_nlink:
            return fd
        # Somebody took it for one that nobody has.
        os.close(fd)


def _files(folder: Path) -> list[Path]:
    try:
        return [file for file in folder.iterdir() if NAME.fullmatch(file.name)]
    except OSError:
        return []


def _slots(file: Path) -> list[tuple[int, ...]]:
    try:
        with _opened(file) as fd:
            content = os.read(fd, MINUTES * SLOT.size)
    except OSError:
        return []
    return list(SLOT.iter_unpack(content[: len(content) // SLOT.size * SLOT.size]))


@contextmanager
def _opened(file: Path) -> Iterator[int]:
    fd = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(f"{file} is no file")
        yield fd
    finally:
        os.close(fd)


def _forget_old(folder: Path) -> None:
    """Remove what processes that are gone have told of minutes that nobody asks for."""
    oldest = int(time.time() // 60) - OLD_MINUTES
    for file in _files(folder):
        with suppress(OSError), _opened(file) as fd:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if all(minute < oldest for minute, *_ in _slots(file)):
                file.unlink()
