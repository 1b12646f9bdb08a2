"""How the last minutes' requests were answered, told by each server process in a file of its own.

A ring of minutes in shared memory: a request costs one write to it, and who asks for the status only reads.
"""

import logging
import mmap
import os
import struct
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from plotindex.errors import SettingsError
from plotindex.locks import open_private
from plotindex.processes import call_in_forks
from plotindex.settings import Settings
from plotindex.sharing import make_folder

MINUTES = 16
"""How many the ring has."""
SHOWN = 5
SLOT = struct.Struct("<4q")
OLD_MINUTES = 60

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
        self._ring: mmap.mmap | None = None
        call_in_forks(self._forget)

    def count(self, which: int) -> None:
        """Add one to that count of the current minute."""
        with self._lock:
            if not self._is_open:
                self._is_open = True
                self._ring = self._open()
            if self._ring is None:
                return
            minute = int(time.time() // 60)
            place = minute % MINUTES * SLOT.size
            slot = list(SLOT.unpack_from(self._ring, place))
            if slot[0] != minute:
                slot = [minute, 0, 0, 0]
            slot[which + 1] += 1
            SLOT.pack_into(self._ring, place, *slot)

    def _open(self) -> mmap.mmap | None:
        folder = recent_folder(self._settings)
        try:
            self._settings.make_state_folder()
            make_folder(folder)
            _forget_old(folder)
            fd = open_private(folder / str(os.getpid()))
            try:
                os.ftruncate(fd, MINUTES * SLOT.size)
                return mmap.mmap(fd, MINUTES * SLOT.size)
            finally:
                os.close(fd)
        except (OSError, SettingsError) as error:
            log.info("`plotindex status` will not know what this server answers: %s", error)
            return None

    def _forget(self) -> None:
        """In a forked child, which has a file of its own."""
        self._lock = threading.Lock()
        self._is_open, self._ring = False, None


def recent_folder(settings: Settings) -> Path:
    return settings.state_folder / "recent"


def read_recent(folder: Path) -> Counts | None:
    """What all servers have answered in the last five minutes; None when none tells."""
    since = int(time.time() // 60) - SHOWN
    slots = [numbers for file in _files(folder) for minute, *numbers in _slots(file) if minute > since]
    return Counts(*map(sum, zip(*slots, strict=True))) if slots else None


def _files(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _slots(file: Path) -> list[tuple[int, ...]]:
    try:
        content = file.read_bytes()
    except OSError:
        return []
    return list(SLOT.iter_unpack(content[: len(content) // SLOT.size * SLOT.size]))


def _forget_old(folder: Path) -> None:
    oldest = int(time.time() // 60) - OLD_MINUTES
    for file in _files(folder):
        if all(minute < oldest for minute, *_ in _slots(file)):
            with suppress(OSError):
                file.unlink()
