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

from plotindex.rendering.comparison import MAX_COMPARISON_BYTES, UNKNOWN_DRAWING, Comparison, DrawingChanges
from plotindex.rendering.facts import BROKEN, MAX_FACTS_BYTES, UNKNOWN, Facts
from plotindex.rendering.protocol import (
    COMPARE,
    COMPARE_DRAWINGS,
    INSPECT,
    JOB_CPU_SECONDS,
    MAX_RESULT_BYTES,
    MAX_VIEW_BYTES,
    READY,
    VIEW,
    VIEW_BESIDE,
    WALL_CLOCK_FACTOR,
    Outcome,
    is_webp,
    job_of,
    pair_job_of,
    png_size,
    view_task,
)
from plotindex.system import call_after_fork, minimal_environment, python_command

START_SECONDS = 20.0
ANSWER_MARGIN_SECONDS = 2.0
"""How much longer than a job its answer may take: the renderer itself ends a job in time."""
MAX_FACTS_LINES = 4
"""How often an inspection writes what it knows, at most."""
HUGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
"""Fonts and codecs take tens of megabytes, whose page tables each child copies: with huge pages in half the time."""
RESTART_SECONDS = 60.0
"""How long to wait after the renderer could not be started."""

log = logging.getLogger(__name__)


class _Renderer(NamedTuple):
    """A renderer process and the socket to it."""

    process: "subprocess.Popen[bytes]"
    jobs: socket.socket
    parent_pid: int
    """The process that started it. Forked children have a copy of this object, and do not touch the renderer."""


class View(NamedTuple):
    """A PNG, and its size in pixels."""

    content: bytes
    width: int
    height: int


class RendererClient:
    """Renders, inspects and compares plots in a confined process, one job at a time. Thread-safe.

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
        outcome, content = self._run(job, [plot], MAX_RESULT_BYTES)
        if outcome is not Outcome.RENDERED:
            return outcome, b""
        return (Outcome.RENDERED, content) if is_webp(content) else (Outcome.FAILED, b"")

    def inspect(self, plot: int, suffix: str) -> Facts | Outcome:
        """The facts of an open plot, as far as they could be read; BUSY if it was not looked at this time.

        `suffix` is that of its filename, in lower case, or empty where there is none. The position of the descriptor
        does not change.
        """
        outcome, content = self._run(job_of(suffix, INSPECT), [plot], MAX_FACTS_LINES * MAX_FACTS_BYTES)
        if outcome is Outcome.BUSY:
            return outcome
        # The renderer writes what it knows, line by line, and may end at any moment.
        *lines, _ = content.split(b"\n")
        try:
            facts = Facts.parse(lines[-1]) if lines else UNKNOWN
        except ValueError:
            facts, outcome = UNKNOWN, Outcome.FAILED
        return facts._replace(flags=facts.flags | {BROKEN}) if outcome is Outcome.FAILED else facts

    def compare(self, before: tuple[int, str], after: tuple[int, str]) -> Comparison | Outcome:
        """How the pictures of two open plots differ, or why they cannot be compared; BUSY if they were not looked at.

        Each is a descriptor, whose position does not change, and a suffix in lower case.
        """
        job = pair_job_of(before[1], COMPARE, after[1])
        outcome, content = self._run(job, [before[0], after[0]], MAX_COMPARISON_BYTES)
        if outcome is not Outcome.RENDERED:
            return outcome
        try:
            return Comparison.parse(content)
        except ValueError:
            return Outcome.FAILED

    def compare_drawings(self, before: int, after: int) -> DrawingChanges | Outcome:
        """What two open SVGs draw differently, whatever their style; BUSY if they were not looked at this time."""
        job = pair_job_of(".svg", COMPARE_DRAWINGS, ".svg")
        outcome, content = self._run(job, [before, after], MAX_COMPARISON_BYTES)
        if outcome is Outcome.BUSY:
            return outcome
        try:
            return DrawingChanges.parse(content)
        except ValueError:
            return UNKNOWN_DRAWING

    def view(self, plot: tuple[int, str], side: int) -> View | Outcome:
        """A small PNG of an open plot with no side longer than this, never enlarged, or why there is none.

        A plot is a descriptor, whose position does not change, and a suffix in lower case.
        """
        return self._view(job_of(plot[1], view_task(VIEW, side)), [plot[0]], side)

    def view_beside(self, before: tuple[int, str], after: tuple[int, str], side: int) -> View | Outcome:
        """As `view`, of two open plots beside each other."""
        job = pair_job_of(before[1], view_task(VIEW_BESIDE, side), after[1])
        return self._view(job, [before[0], after[0]], side)

    def close(self) -> None:
        """End the process, if it runs."""
        with self._lock:
            self._stop()

    @property
    def pid(self) -> int | None:
        """The renderer process, if it runs."""
        renderer = self._renderer
        return renderer.process.pid if renderer else None

    def _view(self, job: str, plots: list[int], side: int) -> View | Outcome:
        outcome, content = self._run(job, plots, MAX_VIEW_BYTES)
        if outcome is not Outcome.RENDERED:
            return outcome
        size = png_size(content, side)
        return View(content, *size) if size else Outcome.FAILED

    def _run(self, job: str, plots: list[int], max_bytes: int) -> tuple[Outcome, bytes]:
        """The outcome of a job, and the bytes that it has written, one more than `max_bytes` if there are more."""
        with self._lock:
            renderer = self._ensure_started()
            if renderer is None:
                return Outcome.BUSY, b""
            result = os.memfd_create("result")
            try:
                outcome = self._send(renderer, job, [*plots, result])
                return outcome, os.pread(result, max_bytes + 1, 0)
            finally:
                os.close(result)

    def _send(self, renderer: _Renderer, job: str, fds: list[int]) -> Outcome:
        """Send a job and wait for its outcome."""
        try:
            socket.send_fds(renderer.jobs, [job.encode()], fds)
            answer = renderer.jobs.recv(64)
        except TimeoutError:
            # The renderer itself ends a job in time, unless it is suspended or the machine overloaded.
            self._stop()
            return Outcome.BUSY
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
                    env=minimal_environment() | HUGE_PAGES,
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
                "No pictures, full-size plots are served instead: the renderer cannot be started or confined (%s). "
                "It needs Landlock (Linux 5.13), root or user namespaces.",
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
