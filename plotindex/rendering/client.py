"""A web worker's side of its drawing process: starts it, hands it plots, and does without it when it must."""

import logging
import os
import signal
import socket
import subprocess
import threading
import time
import weakref
from contextlib import suppress
from typing import NamedTuple

from plotindex.rendering.protocol import JOB_SECONDS, MAX_RESULT_BYTES, PATIENCE, READY, Outcome, is_webp
from plotindex.system import call_after_fork, minimal_environment, python_command

START_SECONDS = 20.0
STUCK_SECONDS = 2.0
"""How much longer than a job may take its answer may: the process itself ends the job in time."""
AGAIN_SECONDS = 60.0
"""After a process could not be started, how long none is."""

log = logging.getLogger(__name__)


class _Process(NamedTuple):
    """A drawing process, and the socket that it listens to."""

    process: "subprocess.Popen[bytes]"
    jobs: socket.socket
    owner: int
    """The process that started it: whoever is forked from that has a copy of this, and leaves it alone."""


class RendererClient:
    """Draws one plot after another in a process that sees nothing else. Safe to share between threads.

    Starts it when it is first needed, and again after it was killed or this process was forked.
    """

    def __init__(self, seconds: float = PATIENCE * JOB_SECONDS + STUCK_SECONDS) -> None:
        self._seconds = seconds
        self._turn = threading.Lock()
        self._process: _Process | None = None
        self._not_before = 0.0
        self._said = ""
        self._finalizer: weakref.finalize[..., RendererClient] | None = None
        call_after_fork(self._forget)

    def run(self, job: str, plot: int) -> tuple[Outcome, bytes]:
        """What became of a job with a plot that is open, and the WebP that was drawn.

        The descriptor's position is the same afterwards.
        """
        with self._turn:
            running = self._running()
            if running is None:
                return Outcome.BUSY, b""
            result = os.memfd_create("thumbnail")
            try:
                outcome = self._ask(running, job, [plot, result])
                if outcome is not Outcome.RENDERED:
                    return outcome, b""
                drawn = os.pread(result, MAX_RESULT_BYTES + 1, 0)
            finally:
                os.close(result)
        return (Outcome.RENDERED, drawn) if is_webp(drawn) else (Outcome.FAILED, b"")

    def close(self) -> None:
        """End the process, if there is one."""
        with self._turn:
            self._end()

    @property
    def pid(self) -> int | None:
        """The process that draws, if there is one."""
        running = self._process
        return running.process.pid if running else None

    def _ask(self, running: _Process, job: str, fds: list[int]) -> Outcome:
        try:
            socket.send_fds(running.jobs, [job.encode()], fds)
            answer = running.jobs.recv(64)
        except TimeoutError:
            self._end()
            return Outcome.FAILED
        except OSError:
            answer = b""
        try:
            return Outcome(answer.decode("ascii", "replace"))
        except ValueError:
            # It has ended, or says what it never would.
            self._end()
            return Outcome.BUSY

    def _running(self) -> _Process | None:
        if self._process is None and time.monotonic() >= self._not_before:
            try:
                self._process = self._started()
            except OSError as error:
                self._not_before = time.monotonic() + AGAIN_SECONDS
                self._say(str(error))
        return self._process

    def _started(self) -> _Process:
        """A new process, once it is shut in.

        Raises:
            OSError: there is none.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                process = subprocess.Popen(  # noqa: S603 - this program itself
                    python_command("-s", "-m", "plotindex.rendering.renderer"),
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env=minimal_environment(),
                    cwd="/",
                    # Not for a terminal's Ctrl-C: it ends when nobody is left at the other end of the socket.
                    start_new_session=True,
                )
            except BaseException:
                ours.close()
                raise
        running = _Process(process, ours, os.getpid())
        self._finalizer = weakref.finalize(self, _end, running)
        try:
            ours.settimeout(START_SECONDS)
            said = ours.recv(1000)
            if said != READY:
                raise OSError(said.decode(errors="replace") or "it ended by itself")
            ours.settimeout(self._seconds)
        except BaseException:
            self._finalizer()
            raise
        return running

    def _say(self, reason: str) -> None:
        if self._said != reason:
            self._said = reason
            log.warning(
                "No thumbnails are made, the plots themselves are served: the drawing process cannot be shut in or "
                "started (%s). It needs Pillow, and Landlock (Linux 5.13), or root, or user namespaces.",
                reason,
            )

    def _end(self) -> None:
        if self._finalizer is not None:
            self._finalizer()
        self._process = None

    def _forget(self) -> None:
        """In a forked child: the process is the parent's, and so may be the lock."""
        self._turn = threading.Lock()
        if self._finalizer is not None:
            self._finalizer()
        self._process = None
        self._not_before = 0.0


def _end(running: _Process) -> None:
    running.jobs.close()
    if running.owner != os.getpid():
        # Nobody here may wait for it.
        running.process.returncode = 0
        return
    # With the child that may be drawing: it leads a group of its own.
    with suppress(ProcessLookupError):
        os.killpg(running.process.pid, signal.SIGKILL)
    running.process.wait()
