"""The rule of what is kept of one copy. No I/O."""

from collections.abc import Sequence
from typing import NamedTuple

SECOND_NS = 1_000_000_000
HOUR_NS, DAY_NS = 3600 * SECOND_NS, 86_400 * SECOND_NS
RECENT_STEP_NS = 600 * SECOND_NS
"""Of older versions than an hour, the last one of each step is kept, up to a day."""


class KeptVersions(NamedTuple):
    """The settings of the rule."""

    versions: int
    """Of the last hour."""
    days: int
    """0: for ever."""


def superfluous(seen: Sequence[int], now_ns: int, rule: KeptVersions, gone: int | None = None) -> list[int]:
    """The positions of the versions that the rule does not keep.

    `seen` is since when each version stood, the newest first. It stood until the next one, or until the copy was
    `gone`; from then on its days count, so that the version that a plot shows now is kept however old it is.
    """
    dropped = []
    recent = 0
    step: tuple[int, int] | None = None
    for position, since in enumerate(seen):
        until = seen[position - 1] if position else gone
        age = now_ns - since
        if until is not None and rule.days and now_ns - until > rule.days * DAY_NS:
            dropped.append(position)
        elif age <= HOUR_NS and recent < rule.versions:
            recent += 1
        elif step == (own := _step(since, age)) and position:
            dropped.append(position)
        else:
            step = own
    return dropped


def _step(since: int, age: int) -> tuple[int, int]:
    """The period of which one version is kept."""
    length = RECENT_STEP_NS if age <= DAY_NS else DAY_NS
    return length, since // length
