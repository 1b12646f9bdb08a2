"""What a web worker and its renderer send each other, and the limits that both must know."""

from enum import StrEnum

SVG_JOB = "svg"
"""The job that estimates the cost of an SVG; every other job is the width of a thumbnail."""
JOB_CPU_SECONDS = 5.0
WALL_CLOCK_FACTOR = 3
"""Limit of a job's elapsed time, as a multiple of its CPU time: the machine may be busy."""
MAX_RESULT_BYTES = 8 << 20
"""Limit of a thumbnail: noise of 1280 x 5120 pixels is smaller."""
MAX_SVG_BYTES = 1_000_000
"""A larger SVG counts as expensive, whatever it contains."""
READY = b"ready"
"""The renderer's first message; any other is the reason why it cannot render."""


def is_webp(content: bytes) -> bool:
    """Whether the content has the header of a WebP of exactly this length."""
    length = int.from_bytes(content[4:8], "little") + 8
    return content[:4] == b"RIFF" and content[8:12] == b"WEBP" and length == len(content) <= MAX_RESULT_BYTES


class Outcome(StrEnum):
    """The outcome of a job. The values are stored in the thumbnail cache and sent as `Plotindex-Drawing`."""

    RENDERED = "drawn"
    CHEAP = "quick"
    """The SVG is cheap for a browser to draw."""
    EXPENSIVE = "slow"
    FAILED = "failed"
    """No thumbnail can be made of this plot."""
    BUSY = "busy"
    """No thumbnail was made this time, for a reason other than the plot."""
