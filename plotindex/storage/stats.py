"""What an indexer measures: durations are counted in buckets, so that months of it stay as small as a minute."""

import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any, Self

BUCKET_SECONDS = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
    300.0,
    3600.0,
)
"""The upper bounds of the buckets."""
MOST = 2.0**63
"""What nothing that is counted or measured here comes to."""


class Histogram:
    """Durations in seconds: how many there were up to each bound, and their sum."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKET_SECONDS) + 1)
        """Of each bucket by itself; the last one has no bound."""
        self.sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count a duration; one that is negative, by two clocks that differ, as none."""
        seconds = max(0.0, seconds)
        self.counts[bisect_left(BUCKET_SECONDS, seconds)] += 1
        self.sum += seconds

    def observe_all(self, seconds: Iterable[float]) -> None:
        """Count very many."""
        durations = sorted(seconds)
        ends = [*(bisect_right(durations, bound) for bound in BUCKET_SECONDS), len(durations)]
        self.counts = [count + end - start for count, start, end in zip(self.counts, [0, *ends], ends, strict=False)]
        self.sum += sum(durations[bisect_left(durations, 0.0) :])

    def add(self, other: "Histogram") -> None:
        """Count those of another one, too."""
        self.counts = [mine + its for mine, its in zip(self.counts, other.counts, strict=True)]
        self.sum += other.sum

    def as_json(self) -> dict[str, Any]:
        return {"counts": self.counts, "sum": round(self.sum, 6)}

    @classmethod
    def from_json(cls, told: Any) -> Self:  # noqa: ANN401 - what another version may have written
        """What `as_json` told; empty when it has other buckets."""
        read = cls()
        match told:
            case {"counts": list(counts), "sum": total} if len(counts) == len(read.counts):
                if all(map(_is_number, [*counts, total])):
                    read.counts, read.sum = [int(count) for count in counts], float(total)
        return read

    def cumulative(self) -> list[tuple[str, int]]:
        """How many durations there were up to each bound, as Prometheus has it."""
        total = 0
        pairs = []
        for bound, count in zip([*map(str, BUCKET_SECONDS), "+Inf"], self.counts, strict=True):
            total += count
            pairs.append((bound, total))
        return pairs


@dataclass
class IndexerStats:
    """What an indexer has measured since it began."""

    reconcile: Histogram = field(default_factory=Histogram)
    """Each step of reconciling: looking for as long as a turn lasts, and writing what was found."""
    delay: Histogram = field(default_factory=Histogram)
    """From the last change of a plot's file to its row; of those that a rescan found, none."""
    missed: int = 0
    """How many plots and folders rescans have found that the watcher had missed, in all."""
    rescan: float = 0.0
    """How many seconds the last full reconcile took."""
    pinned: int = 0
    """Bytes of the database's log that a reader keeps from being used again."""
    closed: int = 0
    """How many folders cannot be looked into."""
    rolled_sessions: int = 0
    """In how many sessions there is something that the rolling rescan looks at."""
    rolled_folders: int = 0
    """How many folders that are."""
    folders_round: float = 0.0
    """How many seconds its last whole round by folders took; 0 before there was any."""
    files_round: float = 0.0
    folders_age: float = 0.0
    """For how many seconds something that came, went or was renamed in these folders can be unknown."""
    files_age: float = 0.0
    """The same of something that was rewritten in place."""

    elected: bool | None = None
    """Whether it is the one of several indexers that looks at everything now and then; None where it is alone."""

    def dump(self) -> str:
        """As text for the catalogue."""
        return json.dumps(
            {**vars(self), "reconcile": self.reconcile.as_json(), "delay": self.delay.as_json()}, separators=(",", ":")
        )

    @classmethod
    def load(cls, text: str | None) -> Self:
        """What `dump` wrote, also that of another version: what it does not say is as at the beginning."""
        try:
            told = json.loads(text or "{}")
        except ValueError:
            told = None
        if not isinstance(told, dict):
            told = {}
        numbers = {each.name: told[each.name] for each in fields(cls)[2:-1] if _is_number(told.get(each.name))}
        read = cls(Histogram.from_json(told.get("reconcile")), Histogram.from_json(told.get("delay")), **numbers)
        read.elected = told["elected"] if isinstance(told.get("elected"), bool) else None
        return read


def _is_number(told: object) -> bool:
    return isinstance(told, int | float) and 0 <= told < MOST
