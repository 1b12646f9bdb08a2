"""Format and parse durations, times and sizes."""

import re
import time
from datetime import UTC, datetime

from plotindex.errors import SettingsError


def rfc3339(nanoseconds: int) -> str:
    """A time since the epoch in RFC 3339, UTC, with nine decimals."""
    seconds, fraction = divmod(nanoseconds, 1_000_000_000)
    # strftime takes twice as long.
    return f"{datetime.fromtimestamp(seconds, UTC).isoformat()[:19]}.{fraction:09d}Z"


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def parse_duration(text: str) -> int:
    """Parse a duration such as 90s, 15m, 12h, 30d or 8w; return seconds.

    Raises:
        SettingsError: `text` is not a duration.
    """
    match = re.fullmatch(r"([1-9][0-9]{0,5})([smhdw])", text)
    if not match:
        raise SettingsError(f"{text!r} is not a duration: use a number and a unit, such as 12h, 30d or 8w.")
    return int(match[1]) * _UNITS[match[2]]


def format_age(moment_ns: float) -> str:
    """The age of a Unix time in ns, in the largest unit that fits: "5 min ago"; of a time ahead "in 5 min"."""
    seconds = int(time.time() - moment_ns / 1e9)
    for length, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if abs(seconds) >= length:
            count = abs(seconds) // length
            return f"{count} {unit} ago" if seconds > 0 else f"in {count} {unit}"
    # Clocks differ by some seconds.
    return f"{max(0, seconds)} s ago"


def format_size(count: int) -> str:
    """A number of bytes in B, KB, MB or GB (powers of 1000)."""
    for factor, unit in ((10**9, "GB"), (10**6, "MB"), (10**3, "KB")):
        if count >= factor:
            return f"{count / factor:.{0 if count >= 10 * factor else 1}f} {unit}"
    return f"{count} B"
