"""Durations, times and sizes, as people write and read them."""

import re
import time
from datetime import UTC, datetime, timedelta

from plotindex.errors import SettingsError
from plotindex.layout import clamp

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
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


def parse_moment(name: str, text: str, now_ns: int) -> int:
    """Nanoseconds since the epoch of an age such as 2h, or of a time in RFC 3339; without a zone it is a local one.

    What is earlier or later than any plot's can be is as good as the first or last that a plot can have. `name` says
    what it was given for.

    Raises:
        SettingsError: it is neither.
    """
    try:
        return clamp(now_ns - parse_duration(text) * 1_000_000_000)
    except SettingsError:
        pass
    try:
        moment = datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise SettingsError(
            f"{name} must be an age such as 90s, 2h or 3d, or a time such as 2026-11-23T14:00, not {text!r}."
        ) from None
    return clamp((moment - _EPOCH) // timedelta(microseconds=1) * 1_000)


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
