"""Parse a time: an age such as 2h, or a time such as 2026-11-28."""

from datetime import UTC, datetime, timedelta

from plotindex.errors import SettingsError
from plotindex.system import parse_duration
from plotindex.tree import clamp_int64

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_time(name: str, text: str, now_ns: int) -> int:
    """Parse an age such as 2h, or a time in RFC 3339 (local without a zone), to nanoseconds since the epoch.

    Clamped to 64 bits. `name` is the option, for the error message.

    Raises:
        SettingsError: `text` is neither.
    """
    try:
        return clamp_int64(now_ns - parse_duration(text) * 1_000_000_000)
    except SettingsError:
        pass
    try:
        time = _to_utc(datetime.fromisoformat(text.upper()))
    except (ValueError, OverflowError):
        raise SettingsError(
            f"{name} must be an age such as 90s, 2h or 3d, or a time such as 2026-11-23T14:00, not {text!r}."
        ) from None
    return clamp_int64((time - _EPOCH) // timedelta(microseconds=1) * 1_000)


def _to_utc(time: datetime) -> datetime:
    try:
        return time.astimezone(UTC)
    except (ValueError, OverflowError):
        if time.tzinfo is not None:
            raise
        # The first or last day of the calendar, which has no local time: any zone will do.
        return time.replace(tzinfo=UTC)
