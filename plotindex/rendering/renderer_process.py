"""The confined process that renders thumbnails of untrusted plots: `python -m plotindex.rendering.renderer_process`.

Standard input is a socket. Each message is a job with two descriptors: the plot, and a file for the result. Each job
runs in a child process, so that a plot that compromises its decoder cannot reach another plot or result.
"""

import io
import os
import signal
import socket
import time
from collections.abc import Callable, Collection
from functools import partial

from PIL import GifImagePlugin, Image, JpegImagePlugin, MpoImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin

from plotindex.rendering.protocol import (
    JOB_CPU_SECONDS,
    MAX_RESULT_BYTES,
    MAX_SVG_BYTES,
    READY,
    SVG_JOB,
    WALL_CLOCK_FACTOR,
    Outcome,
)
from plotindex.rendering.sandbox import ConfinementError, confine, confine_job
from plotindex.rendering.svg_cost import judge

FORMATS = ("PNG", "JPEG", "GIF", "WEBP")
"""Without this list Pillow detects any format, and starts Ghostscript for EPS."""
_PLUGINS = (GifImagePlugin, JpegImagePlugin, MpoImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin)
"""Imported for the four formats before the process is confined; it can open no file afterwards."""
MAX_PIXELS = 64_000_000
MAX_ASPECT_RATIO = 4
"""Largest height of a thumbnail, as a multiple of its width."""
QUALITY = 85
MAX_LOSSLESS_PIXELS = 4096
"""A thumbnail this small is stored lossless: lossy compression would mix its pixels' colours."""
ORIENTATION_TAG = 0x0112
TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation -> the operation that turns the image upright."""
SIDEWAYS = (5, 6, 7, 8)
"""The EXIF orientations that swap width and height."""
_EXIT_CODES = {Outcome.RENDERED: 10, Outcome.CHEAP: 11, Outcome.EXPENSIVE: 12, Outcome.FAILED: 13}


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
            job, fds, _, _ = socket.recv_fds(jobs, 64, 2)
            if not job:
                return
            plot, result = fds
            try:
                outcome = run_in_child(partial(_run_job, job.decode(), plot, result), JOB_CPU_SECONDS, (plot, result))
            finally:
                os.close(plot)
                os.close(result)
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
            os.waitpid(pid, 0)
            return Outcome.FAILED
        signal.sigtimedwait({signal.SIGCHLD}, remaining)
        ended, status, usage = os.wait4(pid, os.WNOHANG)
    if os.WIFSIGNALED(status):
        # Killed by an operator, or by the kernel when memory ran out: not the fault of the plot.
        is_external = os.WTERMSIG(status) == signal.SIGKILL and usage.ru_utime + usage.ru_stime < cpu_seconds
        return Outcome.BUSY if is_external else Outcome.FAILED
    outcomes = {code: outcome for outcome, code in _EXIT_CODES.items()}
    return outcomes.get(os.WEXITSTATUS(status), Outcome.FAILED)


def _run_job(job: str, plot: int, result: int) -> Outcome:
    if job == SVG_JOB:
        return judge(os.pread(plot, MAX_SVG_BYTES + 1, 0))
    view = memoryview(render(io.BufferedReader(PlotFile(plot)), int(job)))
    while view:
        view = view[os.write(result, view) :]
    return Outcome.RENDERED


def render(file: io.BufferedIOBase, width: int) -> bytes:
    """A WebP of at most this width, never wider than the image.

    Raises:
        Exception: the image cannot be rendered; the type is Pillow's choice.
    """
    # Image.open reads headers only.
    with Image.open(file, formats=FORMATS) as image:  # type: ignore[arg-type]  # a stream of bytes
        if image.width * image.height > MAX_PIXELS:
            raise ValueError("too many pixels")
        original_size = image.size
        # Decodes a JPEG at up to an eighth of its size. EXIF is read afterwards: a PNG may have it at its end.
        image.draft(None, _fit(original_size, 2 * width))
        image.load()
        orientation = image.getexif().get(ORIENTATION_TAG, 1)
        size = _fit(original_size[::-1], width)[::-1] if orientation in SIDEWAYS else _fit(original_size, width)
        thumbnail = _in_webp_mode(image).resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    if orientation in TRANSPOSITIONS:
        thumbnail = thumbnail.transpose(TRANSPOSITIONS[orientation])
    output = io.BytesIO()
    # Without the colour profile, which can be larger than the thumbnail: most images are sRGB.
    lossless = size[0] * size[1] <= MAX_LOSSLESS_PIXELS
    thumbnail.save(output, "WEBP", quality=QUALITY, method=2, lossless=lossless, icc_profile=b"", exif=b"", xmp=b"")
    return output.getvalue()


def _fit(size: tuple[int, int], width: int) -> tuple[int, int]:
    """The size of a thumbnail of at most this width."""
    scale = min(1.0, width / size[0], MAX_ASPECT_RATIO * width / size[1])
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _in_webp_mode(image: Image.Image) -> Image.Image:
    """The image in a mode that WebP supports: RGB, RGBA or L."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        # The upper eight of sixteen bits, as browsers do.
        return image.convert("F").point(lambda value: value / 256).convert("L")
    if "transparency" in image.info or image.mode in ("LA", "La", "PA", "RGBa"):
        return image.convert("RGBA")
    if image.mode in ("RGB", "RGBA", "L"):
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _preload() -> None:
    """Render each format once: Pillow loads codecs on first use."""
    Image.MAX_IMAGE_PIXELS = None
    sample = Image.new("RGB", (8, 8))
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = 6
    for format_name in FORMATS:
        file = io.BytesIO()
        sample.save(file, format_name, exif=exif)
        render(io.BufferedReader(file), 4)
    judge(b'<?xml version="1.0" encoding="utf-8"?><svg xmlns="http://www.w3.org/2000/svg"/>')


if __name__ == "__main__":
    main()
