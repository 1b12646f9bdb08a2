"""The confined process that makes thumbnails of untrusted plots: `python -m plotindex.rendering.renderer`.

Standard input is a socket: plots come in as descriptors, what is drawn goes out through others. Each job is done by a
child of its own, so that a plot which takes over its drawing gets no other plot and no other answer.
"""

import io
import os
import signal
import socket
import time
from collections.abc import Callable, Collection
from functools import partial

from PIL import GifImagePlugin, Image, JpegImagePlugin, MpoImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin

from plotindex.rendering.protocol import JOB_SECONDS, MAX_RESULT_BYTES, MAX_SVG_BYTES, PATIENCE, READY, SVG_JOB, Outcome
from plotindex.rendering.sandbox import ConfinementError, confine, confine_job
from plotindex.rendering.svg_cost import judge

FORMATS = ("PNG", "JPEG", "GIF", "WEBP")
"""Pillow would take a plot that is none of these for what it looks like, and start Ghostscript for an EPS."""
MOST_PIXELS = 64_000_000
TALLEST = 4
"""How many times as high as wide a thumbnail is at most."""
QUALITY = 85
LOSSLESS_PIXELS = 4096
"""A thumbnail so small is kept to the pixel: colours of neighbours are mixed in a larger one."""
ORIENTATION = 0x0112
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What EXIF says of how an image was turned -> what turns it back."""
SIDEWAYS = (5, 6, 7, 8)
_LOADED = (GifImagePlugin, JpegImagePlugin, MpoImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin)
"""All that the four formats need: no file can be opened later."""
_CODES = {Outcome.RENDERED: 10, Outcome.CHEAP: 11, Outcome.EXPENSIVE: 12, Outcome.FAILED: 13}


class PlotFile(io.RawIOBase):
    """A plot to read; its descriptor's own position, which the web worker shares, stays as it is."""

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
    """Shut this process in, then do what is asked until nobody asks any more."""
    with socket.socket(fileno=0) as jobs:
        try:
            _warm_up()
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
                outcome = run_in_child(partial(_do, job.decode(), plot, result), JOB_SECONDS, (plot, result))
            finally:
                os.close(plot)
                os.close(result)
            jobs.send(outcome.encode())


def run_in_child(work: Callable[[], Outcome], seconds: float, keep: Collection[int]) -> Outcome:
    """What becomes of a job in its own process, which keeps these descriptors; `seconds` are of CPU time.

    It is killed when it takes more of them, or `PATIENCE` times as long by the clock.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    parent = os.getpid()
    try:
        pid = os.fork()
    except OSError:
        return Outcome.BUSY
    if pid == 0:
        code = _CODES[Outcome.FAILED]
        try:
            confine_job(seconds, parent, keep)
            code = _CODES[work()]
        finally:
            os._exit(code)
    return _await(pid, seconds)


def _await(pid: int, seconds: float) -> Outcome:
    deadline = time.monotonic() + PATIENCE * seconds
    ended, status, used = os.wait4(pid, os.WNOHANG)
    while not ended:
        left = deadline - time.monotonic()
        if left <= 0:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return Outcome.FAILED
        signal.sigtimedwait({signal.SIGCHLD}, left)
        ended, status, used = os.wait4(pid, os.WNOHANG)
    if os.WIFSIGNALED(status):
        # Killed by an operator, or by the kernel for want of memory: nothing that the plot can be blamed for.
        is_others_doing = os.WTERMSIG(status) == signal.SIGKILL and used.ru_utime + used.ru_stime < seconds
        return Outcome.BUSY if is_others_doing else Outcome.FAILED
    words = {code: outcome for outcome, code in _CODES.items()}
    return words.get(os.WEXITSTATUS(status), Outcome.FAILED)


def _do(job: str, plot: int, result: int) -> Outcome:
    if job == SVG_JOB:
        return judge(os.pread(plot, MAX_SVG_BYTES + 1, 0))
    drawn = draw(io.BufferedReader(PlotFile(plot)), int(job))
    view = memoryview(drawn)
    while view:
        view = view[os.write(result, view) :]
    return Outcome.RENDERED


def draw(file: io.BufferedIOBase, width: int) -> bytes:
    """A thumbnail as WebP, at most so wide and never wider than the image.

    Raises:
        Exception: none can be made: whatever Pillow makes of a file that is odd.
    """
    # Only headers are read here.
    with Image.open(file, formats=FORMATS) as image:  # type: ignore[arg-type]  # a stream of bytes
        if image.width * image.height > MOST_PIXELS:
            raise ValueError("too many pixels")
        whole = image.size
        # JPEG alone can be decoded at an eighth of its size; what says how it was turned may stand at the end of a PNG.
        image.draft(None, _fit(whole, 2 * width))
        image.load()
        turned = image.getexif().get(ORIENTATION, 1)
        size = _fit(whole[::-1], width)[::-1] if turned in SIDEWAYS else _fit(whole, width)
        small = _plain(image).resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    if turned in TURNS:
        small = small.transpose(TURNS[turned])
    drawn = io.BytesIO()
    # Colours are taken for sRGB, as most are: a profile can be larger than the thumbnail.
    lossless = size[0] * size[1] <= LOSSLESS_PIXELS
    small.save(drawn, "WEBP", quality=QUALITY, method=2, lossless=lossless, icc_profile=b"", exif=b"", xmp=b"")
    return drawn.getvalue()


def _fit(size: tuple[int, int], width: int) -> tuple[int, int]:
    apply_shared_mode = min(1.0, width / size[0], TALLEST * width / size[1])
    return max(1, round(size[0] * apply_shared_mode)), max(1, round(size[1] * apply_shared_mode))


def _plain(image: Image.Image) -> Image.Image:
    """The image in one of the three modes that become a WebP."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        # Sixteen bits as browsers show them: the upper eight.
        return image.convert("F").point(lambda value: value / 256).convert("L")
    if "transparency" in image.info or image.mode in ("LA", "La", "PA", "RGBa"):
        return image.convert("RGBA")
    if image.mode in ("RGB", "RGBA", "L"):
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _warm_up() -> None:
    """Do once what will be done later: codecs and the like are loaded when they are first used."""
    Image.MAX_IMAGE_PIXELS = None
    sample = Image.new("RGB", (8, 8))
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    for kind in FORMATS:
        file = io.BytesIO()
        sample.save(file, kind, exif=exif)
        draw(io.BufferedReader(file), 4)
    judge(b'<?xml version="1.0" encoding="utf-8"?><svg xmlns="http://www.w3.org/2000/svg"/>')


if __name__ == "__main__":
    main()
