"""The query parameters of the page of sessions. Untrusted: an invalid value is none."""

import re

from plotindex.storage import SessionRow
from plotindex.tree import INT64_MIN, clamp_int64, is_name

SINCE = ("hour", "yesterday", "visit")
"""The choices of "Since"; only the browser knows which time each of them is."""
NANOSECONDS = 1_000_000_000


def parse_page_number(given: str) -> int:
    return max(1, int(given)) if given.isascii() and given.isdigit() and len(given) < 10 else 1


def parse_since(choice: str, seconds: str) -> tuple[str, int]:
    """A choice of "Since" and the mtime_ns that it stands for; without a valid time, which browsers add, none."""
    if choice not in SINCE or not re.fullmatch("[0-9]{1,10}", seconds):
        return "", INT64_MIN
    return choice, clamp_int64(int(seconds) * NANOSECONDS)


def format_position(row: SessionRow | None) -> str:
    """The position of a session in the order of the page, as the parameter `after`."""
    return f"{row.mtime_ns}.{row.session}" if row else ""


def parse_position(given: str) -> SessionRow | None:
    mtime_ns, _, session = given.partition(".")
    is_number = re.fullmatch("-?[0-9]{1,19}", mtime_ns)
    return SessionRow(session, 0, clamp_int64(int(mtime_ns))) if is_number and is_name(session) else None


def earlier(first: SessionRow | None, second: SessionRow | None) -> SessionRow | None:
    """The position that comes first: a search continues from there."""
    rows = [row for row in (first, second) if row]
    return min(rows, key=lambda row: (-row.mtime_ns, row.session), default=None)
