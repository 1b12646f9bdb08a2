"""Supervise the processes that keep the history and inspect plots."""

import logging
import math
import mmap
import os
import subprocess
import time
from collections.abc import Callable
from typing import NamedTuple

from plotindex.config import Settings, without_settings
from plotindex.system import python_command, python_path

FIRST_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 1.0, 60.0
"""Before it is started again; doubled each time."""
STABLE_SECONDS = 60.0
STOP_SECONDS = 0.5
INSPECTION_START_SECONDS = 2.0
"""How long after the indexer the inspection starts; no new plot is inspected earlier."""
BEGIN_SECONDS = 60.0
"""How long at most the first scan delays the begin of a history."""

log = logging.getLogger(__name__)


class BackgroundProgram(NamedTuple):
    """A module to run, and what it depends on."""

    name: str
    module: str
    is_on: Callable[[Settings], bool]
    settings: tuple[str, ...]
    """It is restarted when one of these changes."""
    start_seconds: float
    """How long after the indexer it starts at the earliest."""
    max_wait: Callable[[Settings], float]
    """For how many seconds more it waits, at most, until no row is to be written."""


def _max_wait_of_history(settings: Settings) -> float:
    """None once the history has begun: what is not read in time is lost."""
    location = settings.history_location
    has_begun = isinstance(location, str) or location.exists()
    # Its begin reads all rows, which would take the processor from the first scan.
    return 0.0 if has_begun else BEGIN_SECONDS


PROGRAMS = (
    BackgroundProgram(
        "history",
        "plotindex.history.process",
        lambda settings: settings.has_history,
        ("history_mb", "history_versions", "history_days", "history_dir"),
        start_seconds=0.0,
        max_wait=_max_wait_of_history,
    ),
    BackgroundProgram(
        "inspection",
        "plotindex.inspection.process",
        lambda settings: settings.inspect,
        ("inspect", "inspect_share"),
        start_seconds=INSPECTION_START_SECONDS,
        max_wait=lambda _: math.inf,
    ),
)


class BackgroundProcess:
    """Runs a program while this indexer is the leader and the program is on.

    The program's standard input is a page of memory; its first byte is 1 while rows wait to be written.
    """

    def __init__(self, settings: Settings, program: BackgroundProgram) -> None:
        self._settings = settings
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        self._start_at = time.monotonic() + program.start_seconds
        self._started_at = 0.0
        self._pause = FIRST_PAUSE_SECONDS
        self._shared = os.memfd_create("plotindex")
        os.ftruncate(self._shared, mmap.PAGESIZE)
        self._memory = mmap.mmap(self._shared, mmap.PAGESIZE)

    def reload(self, settings: Settings) -> None:
        """Use other settings from now on."""
        if any(getattr(settings, name) != getattr(self._settings, name) for name in self._program.settings):
            self._settings = settings
            self.stop()

    def check(self, *, is_leader: bool, is_busy: bool) -> None:
        """Start, stop or restart the process, as is due; let it know whether this one is busy."""
        self._memory[0] = is_busy
        now = time.monotonic()
        if not (is_leader and self._program.is_on(self._settings)):
            self.stop()
            self._start_at = max(self._start_at, now)
            return
        if self._process is not None and (code := self._process.poll()) is not None:
            self._process = None
            self._pause = FIRST_PAUSE_SECONDS if now - self._started_at > STABLE_SECONDS else self._pause * 2
            self._pause = min(self._pause, MAX_PAUSE_SECONDS)
            self._start_at = now + self._pause
            # A signal to the whole group, which also ends this process, is no failure.
            if code:
                log.error(
                    "The %s process ended with %d; restarting it in %.0f s.", self._program.name, code, self._pause
                )
        may_wait = self._program.max_wait(self._settings) if self._process is None and is_busy else 0.0
        if self._process is None and now >= self._start_at + may_wait:
            own = {**self._settings.as_environment(), "PYTHONPATH": python_path()}
            environment = {**without_settings(os.environ), **own}
            command = python_command("-m", self._program.module, str(os.getpid()))
            self._process = subprocess.Popen(command, env=environment, stdin=self._shared)  # noqa: S603 - itself
            self._started_at = now

    def stop(self) -> None:
        """End the process, after its current batch if that is soon: what is left then is removed at the next start."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def background_processes(settings: Settings) -> list[BackgroundProcess]:
    """All of them, not started yet."""
    return [BackgroundProcess(settings, program) for program in PROGRAMS]
