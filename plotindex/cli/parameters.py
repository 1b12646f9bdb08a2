"""Parameter types of the commands: seconds, and moments such as 2h or 2026-11-28."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from plotindex.errors import SettingsError
from plotindex.system import parse_duration
from plotindex.tree import clamp_int64

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_moment(name: str, text: str, now_ns: int) -> int:
    """Nanoseconds since the epoch of an age such as 2h, or of a time in RFC 3339; without a zone it is a local one.

    What is earlier or later than any plot's can be is as good as the first or last that a plot can have. `name` says
    what it was given for.

    Raises:
        SettingsError: it is neither.
    """
    try:
        return clamp_int64(now_ns - parse_duration(text) * 1_000_000_000)
    except SettingsError:
        pass
    try:
        moment = datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise SettingsError(
            f"{name} must be an age such as 90s, 2h or 3d, or a time such as 2026-11-23T14:00, not {text!r}."
        ) from None
    return clamp_int64((moment - _EPOCH) // timedelta(microseconds=1) * 1_000)


class Seconds(click.FloatRange):
    """A number of seconds: none that is negative, endless or no number."""

    def __init__(self) -> None:
        super().__init__(0, 1e9)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401 - as click
        seconds = super().convert(value, param, ctx)
        if math.isnan(seconds):
            self.fail(f"{value!r} is no number of seconds.", param, ctx)
        return seconds
