"""Options and result of a reconcile."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from plotindex.storage import Change, Histogram
from plotindex.tree import Row, join_path

MAX_DIFFERING = 10_000
"""Paths listed in a report."""


@dataclass
class Report:
    """What a reconcile found and changed."""

    sessions: int = 0
    plots: int = 0
    added: int = 0
    changed: int = 0
    removed: int = 0
    differing: list[str] = field(default_factory=list)
    """Paths that were added, changed or removed; at most MAX_DIFFERING."""
    unreadable: dict[str, OSError] = field(default_factory=dict)
    """Path -> error. The rows at or below an unreadable path are kept."""
    unsupported: dict[str, str] = field(default_factory=dict)
    """Path -> why it is not indexed, or not with its own time."""
    ignored: int = 0
    """Folders and plots that `ignore` leaves out."""
    delay: Histogram | None = None
    """Seconds from the last change of each added or changed file to its row; None if not measured."""

    def add(self, change: Change) -> None:
        """Count a committed change."""
        before, after = change
        self.added += before is None
        self.removed += after is None
        self.changed += before is not None and after is not None and before != after
        if after and self.delay is not None:
            self.delay.observe(time.time() - after.ctime_ns / 1e9)
        plot = after or before
        if plot and before != after and len(self.differing) < MAX_DIFFERING:
            self.differing.append(plot.path)

    def add_rows(self, rows: Sequence[Row]) -> None:
        """Count committed rows of new plots."""
        self.added += len(rows)
        if self.delay is not None:
            now = time.time()
            self.delay.observe_all([now - row[5] / 1e9 for row in rows])
        room = max(0, MAX_DIFFERING - len(self.differing))
        self.differing += [join_path(*row[:3]) for row in rows[:room]]

    def describe(self) -> str:
        return (
            f"{self.plots} plots in {self.sessions} sessions; "
            f"{self.added} added, {self.changed} changed, {self.removed} removed"
        )

    @property
    def differences(self) -> int:
        return self.added + self.changed + self.removed


@dataclass(frozen=True)
class Options:
    """How to reconcile."""

    rewrite: bool = False
    """Write every row, not only those that differ."""
    allow_empty: bool = False
    """Accept a root that shares no session with the catalogue."""
    timeout: float | None = None
    """Seconds to wait for the write lock; None waits without limit."""


DEFAULT = Options()
