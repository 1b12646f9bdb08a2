"""Durations, times and sizes, as people write and read them."""

import re
import time
from datetime import UTC, datetime

from plotindex.errors import SettingsError


def rfc3339(nanoseconds: int) -> str:
    """A time since the epoch as RFC 3339 writes it, with nine decimals."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def seconds_ago(moment: float | None) -> str:
    return "never" if moment is None else f"{max(0.0, time.time() - moment):.0f} seconds ago"


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def parse_duration(text: str) -> int:
    """Seconds of a duration such as 90s, 15m, 12h, 30d or 8w.

    Raises:
        SettingsError: it is none.
    """
    match = re.fullmatch(r"([1-9][0-9]{0,5})([smhdw])", text)
    if not match:
        raise SettingsError(f"{text!r} is no duration: write a number and a unit, such as 12h, 30d or 8w.")
    return int(match[1]) * _UNITS[match[2]]


def ago(mtime_ns: int) -> str:
    """How long ago that was, in the largest unit."""
    seconds = max(0, int(time.time() - mtime_ns / 1e9))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"


def size(count: int) -> str:
    """A number of bytes, in the largest unit."""
    for factor, unit in ((10**9, "GB"), (10**6, "MB"), (10**3, "KB")):
        if count >= factor:
            return f"{count / factor:.{0 if count >= 10 * factor else 1}f} {unit}"
    return f"{count} B"
