"""A web worker's connection to its renderer process: starts it, sends it plots, and works without it if necessary."""

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

from plotindex.rendering.protocol import (
    JOB_CPU_SECONDS,
    MAX_RESULT_BYTES,
    READY,
    WALL_CLOCK_FACTOR,
    Outcome,
    is_webp,
)
from plotindex.system import call_after_fork, minimal_environment, python_command

START_SECONDS = 20.0
ANSWER_MARGIN_SECONDS = 2.0
"""How much longer than a job its answer may take: the renderer itself ends a job in time."""
RESTART_SECONDS = 60.0
"""How long to wait after the renderer could not be started."""

log = logging.getLogger(__name__)


class _Renderer(NamedTuple):
    """A renderer process and the socket to it."""

    process: "subprocess.Popen[bytes]"
    jobs: socket.socket
    parent_pid: int
    """The process that started it. Forked children have a copy of this object, and do not touch the renderer."""


class RendererClient:
    """Renders one plot at a time in a confined process. Thread-safe.

    The process starts with the first job, and again after it was killed or this process was forked.
    """

    def __init__(self, timeout: float = WALL_CLOCK_FACTOR * JOB_CPU_SECONDS + ANSWER_MARGIN_SECONDS) -> None:
        self._timeout = timeout
        self._lock = threading.Lock()
        self._renderer: _Renderer | None = None
        self._not_before = 0.0
        self._last_error = ""
        self._finalizer: weakref.finalize[..., RendererClient] | None = None
        call_after_fork(self._reset_after_fork)

    def run(self, job: str, plot: int) -> tuple[Outcome, bytes]:
        """The outcome of a job for an open plot, and the rendered WebP.

        The position of the descriptor `plot` does not change.
        """
        with self._lock:
            renderer = self._ensure_started()
            if renderer is None:
                return Outcome.BUSY, b""
            result = os.memfd_create("thumbnail")
            try:
                outcome = self._send(renderer, job, [plot, result])
                if outcome is not Outcome.RENDERED:
                    return outcome, b""
                content = os.pread(result, MAX_RESULT_BYTES + 1, 0)
            finally:
                os.close(result)
        return (Outcome.RENDERED, content) if is_webp(content) else (Outcome.FAILED, b"")

    def close(self) -> None:
        """End the process, if it runs."""
        with self._lock:
            self._stop()

    @property
    def pid(self) -> int | None:
        """The renderer process, if it runs."""
        renderer = self._renderer
        return renderer.process.pid if renderer else None

    def _send(self, renderer: _Renderer, job: str, fds: list[int]) -> Outcome:
        """Send a job and wait for its outcome."""
        try:
            socket.send_fds(renderer.jobs, [job.encode()], fds)
            answer = renderer.jobs.recv(64)
        except TimeoutError:
            self._stop()
            return Outcome.FAILED
        except OSError:
            answer = b""
        try:
            return Outcome(answer.decode("ascii", "replace"))
        except ValueError:
            # The renderer has ended or is compromised.
            self._stop()
            return Outcome.BUSY

    def _ensure_started(self) -> _Renderer | None:
        if self._renderer is None and time.monotonic() >= self._not_before:
            try:
                self._renderer = self._start()
            except OSError as error:
                self._not_before = time.monotonic() + RESTART_SECONDS
                self._log_unavailable(str(error))
        return self._renderer

    def _start(self) -> _Renderer:
        """Start a renderer and wait until it is confined.

        Raises:
            OSError: it cannot be started or confined.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                process = subprocess.Popen(  # noqa: S603 - this program itself
                    python_command("-s", "-m", "plotindex.rendering.renderer_process"),
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env=minimal_environment(),
                    cwd="/",
                    # Ctrl-C in a terminal does not reach it: it ends when the other end of its socket is closed.
                    start_new_session=True,
                )
            except BaseException:
                ours.close()
                raise
        renderer = _Renderer(process, ours, os.getpid())
        self._finalizer = weakref.finalize(self, _end, renderer)
        try:
            ours.settimeout(START_SECONDS)
            message = ours.recv(1000)
            if message != READY:
                raise OSError(message.decode(errors="replace") or "it ended unexpectedly")
            ours.settimeout(self._timeout)
        except BaseException:
            self._finalizer()
            raise
        return renderer

    def _log_unavailable(self, reason: str) -> None:
        if self._last_error != reason:
            self._last_error = reason
            log.warning(
                "No thumbnails, full-size plots are served instead: the renderer cannot be started or confined (%s). "
                "It needs Pillow, and Landlock (Linux 5.13), root or user namespaces.",
                reason,
            )

    def _stop(self) -> None:
        if self._finalizer is not None:
            self._finalizer()
        self._renderer = None

    def _reset_after_fork(self) -> None:
        """In a forked child, drop the parent's renderer, and the lock that a thread of the parent may hold."""
        self._lock = threading.Lock()
        self._stop()
        self._not_before = 0.0


def _end(renderer: _Renderer) -> None:
    renderer.jobs.close()
    if renderer.parent_pid != os.getpid():
        # Only the parent can wait for it; without a return code Popen would warn.
        renderer.process.returncode = 0
        return
    # It leads a process group: kill the child that runs a job, too.
    with suppress(ProcessLookupError):
        os.killpg(renderer.process.pid, signal.SIGKILL)
    renderer.process.wait()
