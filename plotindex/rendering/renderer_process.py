"""The confined process that renders, inspects and compares untrusted plots.

Started by `python -m plotindex.rendering.renderer_process`. Standard input is a socket. Each message is a job with the
descriptors of a plot, or of two to compare, and of a file for the result. Each job runs in a child process, so that a
plot that compromises its decoder cannot reach another plot or result.
"""

import io
import os
import signal
import socket
import time
from collections.abc import Callable, Collection, Sequence
from functools import partial

from plotindex.rendering.comparing import figure_changes, pictures
from plotindex.rendering.drawing import pdf, rasters, svg, view, webp
from plotindex.rendering.protocol import (
    COMPARE,
    COMPARE_DRAWINGS,
    INSPECT,
    INSPECTION_CPU_SECONDS,
    JOB_CPU_SECONDS,
    MAX_RESULT_BYTES,
    READY,
    VIEW,
    VIEW_BESIDE,
    WALL_CLOCK_FACTOR,
    NoPictureError,
    Outcome,
    add_original,
)
from plotindex.rendering.reading import inspection
from plotindex.rendering.sandbox import ConfinementError, confine, confine_job

DRAWERS = {".svg": svg.draw_svg, ".pdf": pdf.draw_pdf}
"""Suffix -> what draws it; rasters are told apart by their content, as browsers do."""
_OUTCOMES = dict(enumerate(Outcome, 10))
"""By the exit code of the process of a job."""
_EXIT_CODES = {outcome: code for code, outcome in _OUTCOMES.items()}


class PlotFile(io.RawIOBase):
    """A plot to read. The position of its descriptor, which the web worker shares, does not change."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]  # what BufferedReader hands in
        count = os.preadv(self._fd, [buffer], self._position)
        self._position += count
        return count

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: os.fstat(self._fd).st_size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        return self._position


def main() -> None:
    """Confine this process, then run jobs until the socket is closed."""
    with socket.socket(fileno=0) as jobs:
        try:
            _preload()
            confine(MAX_RESULT_BYTES)
        except ConfinementError as error:
            jobs.send(str(error).encode())
            return
        jobs.send(READY)
        while True:
            job, fds, _, _ = socket.recv_fds(jobs, 64, 3)
            if not job:
                return
            *plots, result = fds
            work, cpu_seconds = _work_of(job.decode(), plots, result)
            try:
                outcome = run_in_child(work, cpu_seconds, fds)
            finally:
                for fd in fds:
                    os.close(fd)
            jobs.send(outcome.encode())


def run_in_child(work: Callable[[], Outcome], cpu_seconds: float, keep: Collection[int]) -> Outcome:
    """The outcome of a job in a child process that keeps only the descriptors `keep`.

    The child is killed beyond its CPU time, or beyond `WALL_CLOCK_FACTOR` times that in elapsed time.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    parent = os.getpid()
    try:
        pid = os.fork()
    except OSError:
        return Outcome.BUSY
    if pid == 0:
        code = _EXIT_CODES[Outcome.FAILED]
        try:
            confine_job(cpu_seconds, parent, keep)
            code = _EXIT_CODES[work()]
        except NoPictureError as error:
            code = _EXIT_CODES[error.outcome]
        except MemoryError:
            code = _EXIT_CODES[Outcome.TOO_LARGE]
        finally:
            os._exit(code)
    return _wait_for_child(pid, cpu_seconds)


def _wait_for_child(pid: int, cpu_seconds: float) -> Outcome:
    deadline = time.monotonic() + WALL_CLOCK_FACTOR * cpu_seconds
    ended, status, usage = os.wait4(pid, os.WNOHANG)
    while not ended:
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            os.kill(pid, signal.SIGKILL)
            _, status, usage = os.wait4(pid, 0)
            break
        signal.sigtimedwait({signal.SIGCHLD}, remaining)
        ended, status, usage = os.wait4(pid, os.WNOHANG)
    if not os.WIFSIGNALED(status):
        return _OUTCOMES.get(os.WEXITSTATUS(status), Outcome.FAILED)
    if usage.ru_utime + usage.ru_stime >= cpu_seconds:
        return Outcome.TOO_SLOW
    # Killed by an operator, by the kernel when memory ran out, or on a busy machine: not the fault of the plot.
    return Outcome.BUSY if os.WTERMSIG(status) == signal.SIGKILL else Outcome.CRASHED


def _work_of(job: str, plots: Sequence[int], result: int) -> tuple[Callable[[], Outcome], float]:
    """What a message asks for, and how much CPU time it may take."""
    suffix, task, *other_suffixes = job.split(" ")
    files: list[io.BufferedIOBase] = [io.BufferedReader(PlotFile(plot)) for plot in plots]
    if task == INSPECT:
        return partial(_inspect, suffix, files[0], result), INSPECTION_CPU_SECONDS
    if task == COMPARE:
        before, after = map(pictures.Source, files, (suffix, *other_suffixes))
        return partial(_compare, before, after, result), JOB_CPU_SECONDS
    if task == COMPARE_DRAWINGS:
        return partial(_compare_drawings, files[0], files[1], result), JOB_CPU_SECONDS
    kind, _, side = task.partition("-")
    if kind in (VIEW, VIEW_BESIDE):
        return partial(_view, files, (suffix, *other_suffixes), int(side), result), JOB_CPU_SECONDS
    return partial(_draw, suffix, task, files[0], result), JOB_CPU_SECONDS


def _draw(suffix: str, width: str, file: io.BufferedIOBase, result: int) -> Outcome:
    image, original = DRAWERS.get(suffix, rasters.draw_raster)(file, int(width))
    _write(result, add_original(webp.encode(image), original))
    return Outcome.RENDERED


def _view(files: Sequence[io.BufferedIOBase], suffixes: Sequence[str], side: int, result: int) -> Outcome:
    first, *others = (
        DRAWERS.get(suffix, rasters.draw_raster)(file, side)[0] for file, suffix in zip(files, suffixes, strict=True)
    )
    _write(result, view.draw_beside(first, others[0], side) if others else view.draw_view(first, side))
    return Outcome.RENDERED


def _compare(before: pictures.Source, after: pictures.Source, result: int) -> Outcome:
    _write(result, pictures.compare_pictures(before, after).to_bytes())
    return Outcome.RENDERED


def _compare_drawings(before: io.BufferedIOBase, after: io.BufferedIOBase, result: int) -> Outcome:
    _write(result, figure_changes.compare_figures(before, after).to_bytes())
    return Outcome.RENDERED


def _inspect(suffix: str, file: io.BufferedIOBase, result: int) -> Outcome:
    for facts in inspection.inspect(file, suffix):
        _write(result, facts.to_bytes())
    return Outcome.RENDERED


def _write(result: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(result, view) :]


def _preload() -> None:
    """Load all modules, codecs and fonts: no file can be opened later."""
    for module in (rasters, svg, pdf, webp, view, inspection, pictures):
        module.preload()


if __name__ == "__main__":
    main()
