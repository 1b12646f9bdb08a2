"""Request counts of the last minutes: each server process writes a ring of minutes to its own file."""

import fcntl
import logging
import os
import re
import secrets
import struct
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from plotindex.config import Settings
from plotindex.errors import SettingsError
from plotindex.system import call_after_fork, make_private_folder, open_private_folder, opened_files

RING_MINUTES = 16
SHOWN_MINUTES = 5
EXPIRED_MINUTES = 60
SLOT = struct.Struct("<4q")
"""A minute since the epoch, and its counts."""
NAME = re.compile(r"\d+-[0-9a-f]{8}")

log = logging.getLogger(__name__)


class Counts(NamedTuple):
    """Answers from the catalogue, other answers, and scans for one name."""

    hits: int = 0
    misses: int = 0
    scans: int = 0


class RequestCounter:
    """Counts this process's answers, if the state folder is writable. Thread-safe."""

    def __init__(self, settings: Settings) -> None:
        """Opens no file before the first count."""
        self._settings = settings
        self._reset()
        call_after_fork(self._close)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._is_open = False
        self._fd: int | None = None
        self._slot = [0, 0, 0, 0]

    def count(self, hits: int = 0, misses: int = 0, scans: int = 0) -> None:
        """Add to the counts of the current minute."""
        with self._lock:
            if not self._is_open:
                self._is_open = True
                self._fd = self._open()
            if self._fd is None:
                return
            minute = int(time.time() // 60)
            if self._slot[0] != minute:
                self._slot = [minute, 0, 0, 0]
            self._slot = [minute, self._slot[1] + hits, self._slot[2] + misses, self._slot[3] + scans]
            # Not mmap: on a full or faulty disk it kills the process (SIGBUS); pwrite fails.
            with suppress(OSError):
                os.pwrite(self._fd, SLOT.pack(*self._slot), minute % RING_MINUTES * SLOT.size)

    def _open(self) -> int | None:
        """The descriptor of a new file, locked while this process lives."""
        folder = self._settings.request_counts_folder
        try:
            self._settings.make_state_folder()
            make_private_folder(folder)
            _remove_expired(folder)
            return _create(folder)
        except (OSError, SettingsError) as error:
            log.info("`plotindex status` cannot count the requests of this server: %s", error)
            return None

    def _close(self) -> None:
        """In a forked child, which opens its own file."""
        if self._fd is not None:
            os.close(self._fd)
        self._reset()


def read_counts(folder: Path) -> Counts | None:
    """The counts of all servers in the last SHOWN_MINUTES; None if there are none."""
    since = int(time.time() // 60) - SHOWN_MINUTES
    slots = [counts for *_, fd in opened_files(folder, NAME) for minute, *counts in _read_slots(fd) if minute > since]
    return Counts(*map(sum, zip(*slots, strict=True))) if slots else None


def _create(folder: Path) -> int:
    while True:
        with open_private_folder(folder) as opened:
            fd = opened.open_new(f"{os.getpid()}-{secrets.token_hex(4)}", 0o660)
        fcntl.flock(fd, fcntl.LOCK_EX)
        if os.fstat(fd).st_nlink:
            return fd
        # Another process removed it as expired before it was locked.
        os.close(fd)


def _read_slots(fd: int) -> list[tuple[int, ...]]:
    try:
        content = os.read(fd, RING_MINUTES * SLOT.size)
    except OSError:
        return []
    return list(SLOT.iter_unpack(content[: len(content) // SLOT.size * SLOT.size]))


def _remove_expired(folder: Path) -> None:
    """Remove the files of dead processes without recent counts."""
    oldest = int(time.time() // 60) - EXPIRED_MINUTES
    for opened, name, fd in opened_files(folder, NAME):
        with suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if all(minute < oldest for minute, *_ in _read_slots(fd)):
                opened.delete(name)
