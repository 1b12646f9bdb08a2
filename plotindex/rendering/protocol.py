"""What a web worker and its drawing process say to each other; also what both must know before they can."""

from enum import StrEnum

SVG_JOB = "svg"
"""The job of judging an SVG; every other job is the width of a thumbnail."""
JOB_SECONDS = 5.0
"""How much CPU time one job may take."""
PATIENCE = 3
"""How many times as long it may take by the clock: others may be using the machine."""
MAX_RESULT_BYTES = 8 << 20
"""How large a thumbnail may be: noise of 1280 x 5120 pixels stays below."""
MAX_SVG_BYTES = 1_000_000
"""A larger SVG is slow to draw, whatever is in it."""
READY = b"ready"
"""What the process says first; anything else is the reason why it draws nothing."""


def is_webp(content: bytes) -> bool:
    """Whether that is the whole of a thumbnail, by its head."""
    length = int.from_bytes(content[4:8], "little") + 8
    return content[:4] == b"RIFF" and content[8:12] == b"WEBP" and length == len(content) <= MAX_RESULT_BYTES


class Outcome(StrEnum):
    """What became of a job."""

    RENDERED = "drawn"
    CHEAP = "quick"
    EXPENSIVE = "slow"
    FAILED = "failed"
    """No thumbnail can be made of this."""
    BUSY = "busy"
    """None was made this time, for a reason that lies not with the plot."""
