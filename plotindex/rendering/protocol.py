"""What a web worker and its renderer send each other, and the limits that both must know."""

from enum import StrEnum
from struct import Struct
from typing import NamedTuple

JOB_CPU_SECONDS = 5.0
INSPECTION_CPU_SECONDS = 3.0
WALL_CLOCK_FACTOR = 3
"""Limit of a job's elapsed time, as a multiple of its CPU time: the machine may be busy."""
MAX_RESULT_BYTES = 32 << 20
"""Limit of a picture: noise of 2560 x 10240 pixels is smaller."""
READY = b"ready"
"""The renderer's first message; any other is the reason why it cannot render."""


def is_webp(content: bytes) -> bool:
    """Whether the content has the header of a WebP of exactly this length."""
    length = int.from_bytes(content[4:8], "little") + 8
    return content[:4] == b"RIFF" and content[8:12] == b"WEBP" and length == len(content) <= MAX_RESULT_BYTES


class Original(NamedTuple):
    """What a plot itself has: its size, for a vector in pixels of CSS or in points, and its number of pages."""

    width: int
    height: int
    pages: int = 1


_ORIGINAL = Struct("<4sI3I")
_ORIGINAL_NAME = b"plot"
_MAX_NUMBER = 2**32 - 1


def add_original(webp: bytes, original: Original) -> bytes:
    """The WebP with a last chunk that tells about the plot. Decoders ignore it (RFC 9649, Unknown Chunks)."""
    numbers = (min(number, _MAX_NUMBER) for number in original)
    chunk = _ORIGINAL.pack(_ORIGINAL_NAME, _ORIGINAL.size - 8, *numbers)
    return webp[:4] + (len(webp) + len(chunk) - 8).to_bytes(4, "little") + webp[8:] + chunk


def original_of(webp: bytes) -> Original | None:
    """What `add_original` has added, if anything."""
    if len(webp) < _ORIGINAL.size:
        return None
    name, length, *numbers = _ORIGINAL.unpack(webp[-_ORIGINAL.size :])
    return Original(*numbers) if (name, length) == (_ORIGINAL_NAME, _ORIGINAL.size - 8) else None


class Outcome(StrEnum):
    """The outcome of a job. The values are stored in the cache of pictures."""

    RENDERED = "drawn"
    LARGER = "larger"
    """The picture has more bytes than the plot."""
    FAILED = "failed"
    TOO_LARGE = "too-large"
    TOO_SLOW = "too-slow"
    PROTECTED = "protected"
    CRASHED = "crashed"
    BUSY = "busy"
    """No picture was made this time, for a reason other than the plot."""


REASONS = {
    Outcome.FAILED: "the file is damaged or of another format",
    Outcome.TOO_LARGE: "it needs too much memory",
    Outcome.TOO_SLOW: "it takes too long to draw",
    Outcome.PROTECTED: "it is protected by a password",
    Outcome.CRASHED: "it is damaged or too complex",
}
"""Why no picture can be made of a plot."""


def job_of(suffix: str, width: str) -> str:
    """The message that asks for the picture of a plot with this suffix."""
    return f"{suffix} {width}"


INSPECT = "facts"
"""In the place of a width: asks for the facts of a plot."""
COMPARE = "compare"
"""In the place of a width: asks how the pictures of two plots differ."""
COMPARE_DRAWINGS = "drawings"
"""In the place of a width: asks what two SVGs draw differently, whatever their style."""

VIEW, VIEW_BESIDE = "view", "beside"
"""In the place of a width, before the length of a side: ask for a PNG of a plot, or of two beside each other."""
MAX_VIEW_BYTES = 4 << 20
"""Limit of such a PNG: noise of few colours is smaller."""
_PNG_START = Struct(">8sI4s2I")
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"


def view_task(kind: str, side: int) -> str:
    """In the place of a width: asks for a PNG with no side longer than this."""
    return f"{kind}-{side}"


def png_size(content: bytes, side: int) -> tuple[int, int] | None:
    """The width and height in the header of a PNG; None unless it is one with no side longer than this."""
    if not _PNG_START.size < len(content) <= MAX_VIEW_BYTES or not content.endswith(_PNG_END):
        return None
    signature, length, name, width, height = _PNG_START.unpack_from(content)
    is_png = (signature, length, name) == (b"\x89PNG\r\n\x1a\n", 13, b"IHDR")
    return (width, height) if is_png and 0 < width <= side and 0 < height <= side else None


def pair_job_of(suffix: str, task: str, other_suffix: str) -> str:
    """The message that asks for something about two plots with these suffixes."""
    return f"{job_of(suffix, task)} {other_suffix}"


class NoPictureError(Exception):
    """No picture can be made, for a known reason."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome)
        self.outcome = outcome
