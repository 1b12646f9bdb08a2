"""What a reconcile was asked to do, and what it did."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from plotindex.storage import Change, Histogram
from plotindex.tree import Row

MOST_NAMED = 10_000
"""Differing paths that a report names at most."""


@dataclass
class Report:
    """What a reconcile saw and did."""

    sessions: int = 0
    plots: int = 0
    added: int = 0
    changed: int = 0
    removed: int = 0
    differing: list[str] = field(default_factory=list)
    """The paths that were added, changed or removed; of very many only the first."""
    unreadable: dict[str, OSError] = field(default_factory=dict)
    """Path -> why it could not be looked at: what the catalogue knows of it was kept."""
    odd: dict[str, str] = field(default_factory=dict)
    """Path -> why it is not indexed as it is."""
    delay: Histogram | None = None
    """From the last change of each file that was added or changed to its row, where that is to be measured."""

    def add(self, change: Change) -> None:
        """Count a change that was committed."""
        before, after = change
        self.added += before is None
        self.removed += after is None
        self.changed += before is not None and after is not None and before != after
        if after and self.delay is not None:
            self.delay.observe(time.time() - after.ctime_ns / 1e9)
        plot = after or before
        if plot and before != after and len(self.differing) < MOST_NAMED:
            self.differing.append(plot.path)

    def add_rows(self, rows: Sequence[Row]) -> None:
        """Count plots that were committed, of which the catalogue knew none."""
        self.added += len(rows)
        if self.delay is not None:
            now = time.time()
            self.delay.observe_all([now - row[5] / 1e9 for row in rows])
        room = max(0, MOST_NAMED - len(self.differing))
        self.differing += ["/".join(row[:3]) for row in rows[:room]]

    @property
    def differences(self) -> int:
        return self.added + self.changed + self.removed


@dataclass(frozen=True)
class Options:
    """How a reconcile treats what it finds."""

    rewrite: bool = False
    """Write every row anew, not only those that differ."""
    allow_empty: bool = False
    """Believe a root that shares no session with the catalogue."""
    timeout: float | None = None
    """Seconds to wait for a turn to write; None waits as long as it takes."""


DEFAULT = Options()
