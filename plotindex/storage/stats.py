"""Statistics of an indexer. Durations are counted in buckets, so that their size does not grow."""

import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from itertools import accumulate
from typing import Any, Self

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)
"""Upper bounds in seconds."""
MAX_VALUE = 2.0**63
"""A larger stored number is invalid."""


class Histogram:
    """Durations in seconds: the count in each bucket, and the sum."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        """Not cumulative; the last bucket has no bound."""
        self.sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count a duration. A negative one, by two clocks that differ, counts as 0."""
        seconds = max(0.0, seconds)
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.sum += seconds

    def observe_all(self, seconds: Iterable[float]) -> None:
        """Count many durations at once."""
        durations = sorted(seconds)
        ends = [*(bisect_right(durations, bound) for bound in BUCKETS), len(durations)]
        self.counts = [count + end - start for count, start, end in zip(self.counts, [0, *ends], ends, strict=False)]
        self.sum += sum(durations[bisect_left(durations, 0.0) :])

    def add(self, other: "Histogram") -> None:
        """Count the durations of another histogram."""
        self.counts = [mine + its for mine, its in zip(self.counts, other.counts, strict=True)]
        self.sum += other.sum

    def as_json(self) -> dict[str, Any]:
        return {"counts": self.counts, "sum": round(self.sum, 6)}

    @classmethod
    def from_json(cls, stored: Any) -> Self:  # noqa: ANN401 - another version may have written anything
        """The histogram of `as_json`; an empty one if its buckets differ."""
        histogram = cls()
        match stored:
            case {"counts": list(counts), "sum": total} if len(counts) == len(histogram.counts):
                if all(map(_is_number, [*counts, total])):
                    histogram.counts, histogram.sum = [int(count) for count in counts], float(total)
        return histogram

    def cumulative(self) -> list[tuple[str, int]]:
        """The count up to each bound, in the format of Prometheus."""
        bounds = [*map(str, BUCKETS), "+Inf"]
        return list(zip(bounds, accumulate(self.counts), strict=True))


@dataclass
class IndexerStats:
    """Statistics since the start of the indexer. The names are keys in its stored row."""

    reconcile: Histogram = field(default_factory=Histogram)
    """Steps of reconciling: one turn of scanning, and writing its result."""
    delay: Histogram = field(default_factory=Histogram)
    """From the ctime of a plot to its row, without those found by a rescan."""
    missed: int = 0
    """Plots and folders that the watcher missed and rescans found."""
    rescan: float = 0.0
    """Seconds of the last full scan."""
    pinned: int = 0
    """Bytes of the write-ahead log that a reader keeps from being truncated."""
    closed: int = 0
    """Folders that the indexer may not read."""
    ignored: int = 0
    """Folders and plots that `ignore` leaves out, at the last full scan."""
    rolled_sessions: int = 0
    """Sessions covered by the rolling rescan."""
    rolled_folders: int = 0
    """Folders covered by the rolling rescan."""
    folders_round: float = 0.0
    """Seconds of its last round by folders; 0 before the first."""
    files_round: float = 0.0
    """Seconds of its last round by files; 0 before the first."""
    folders_age: float = 0.0
    """Staleness in seconds of new, removed and renamed entries of these folders."""
    files_age: float = 0.0
    """Staleness in seconds of in-place writes."""

    others_behind: float | None = None
    """Age in seconds of the oldest change that waits, except in sessions that are late by their own changes."""
    elected: bool | None = None
    """Whether this indexer is the leader; None if it is the only one."""
    busy: str = ""
    """The session whose changes wait longest."""

    def dump(self) -> str:
        """JSON for the catalogue."""
        return json.dumps(
            {**vars(self), "reconcile": self.reconcile.as_json(), "delay": self.delay.as_json()}, separators=(",", ":")
        )

    @classmethod
    def load(cls, text: str | None) -> Self:
        """The statistics of `dump`, also of another version's; what is missing or invalid has its default."""
        try:
            stored = json.loads(text or "{}")
        except (ValueError, RecursionError):
            stored = None
        if not isinstance(stored, dict):
            stored = {}
        numbers = {each.name: stored[each.name] for each in fields(cls)[2:-2] if _is_number(stored.get(each.name))}
        stats = cls(Histogram.from_json(stored.get("reconcile")), Histogram.from_json(stored.get("delay")), **numbers)
        stats.elected = stored["elected"] if isinstance(stored.get("elected"), bool) else None
        stats.busy = stored["busy"] if isinstance(stored.get("busy"), str) else ""
        return stats


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and 0 <= value < MAX_VALUE
