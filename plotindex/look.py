"""A look at one scope: what it held without the lock, and then, under the lock, where the catalogue differs."""

import time
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import NamedTuple

from plotindex.layout import Plot, Scope, is_within
from plotindex.measured import Histogram
from plotindex.tree import Glance
from plotindex.walk import Enter, Linked
from plotindex.writer import Change, Writer

ROWS_AT_ONCE = 2_000
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
    delay: Histogram = field(default_factory=Histogram)
    """From the last change of each file that was added or changed to its row."""

    def add(self, change: Change) -> None:
        """Count a change that was committed."""
        before, after = change
        self.added += before is None
        self.removed += after is None
        self.changed += before is not None and after is not None and before != after
        if after:
            self.delay.observe(time.time() - after.ctime_ns / 1e9)
        plot = after or before
        if plot and before != after and len(self.differing) < MOST_NAMED:
            self.differing.append(plot.path)

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


class Suspect(NamedTuple):
    """A path where the look and the catalogue do not say the same, and the row as it is now."""

    session: str
    project: str
    filename: str
    row: Plot | None
    beyond: bool
    """Whether it lies beyond the bounds of what is indexed, so that it counts as absent."""
    report: Report


class Look:
    """What one scope held when it was looked at without the lock, and how far it has been settled."""

    def __init__(
        self, glance: Glance, scope: Scope, report: Report, options: Options = DEFAULT, enter: Enter | None = None
    ) -> None:
        assert scope.session is not None
        layout = glance.tree.layout
        self.scope = scope
        self.session = scope.session
        self.report = report
        self._walk = glance.walking(scope, enter, layout.max_plots)
        self._layout = layout
        self._rewrite = options.rewrite
        self._found: list[Plot] = []
        self._after: tuple[str, str] | None = None
        self._begun = False
        self._cut: str | None = None

    @property
    def plots(self) -> int:
        return len(self._found)

    @property
    def linked(self) -> list[Linked]:
        return self._walk.linked

    @property
    def closed(self) -> dict[str, OSError]:
        """Folders that could not be looked into."""
        return self._walk.closed

    def go_on(self, until: float = float("inf")) -> bool:
        """Look on until done or `time.monotonic()` is past `until`; return whether done."""
        if not self._walk.go_on(until):
            return False
        self._found, self._walk.plots = self._walk.plots, []
        self._found.sort(key=_position)
        self.report.plots += self.plots
        self.report.unreadable.update(self._walk.unreadable)
        self.report.odd.update(self._walk.odd)
        return True

    def close(self) -> None:
        """Let go of what an unfinished look holds open."""
        self._walk.close()

    def advance(self, writer: Writer, suspects: list[Suspect], most: int) -> tuple[bool, int]:
        """Compare the next rows, for at most so many suspects; return whether settled, and the rows compared."""
        self._obey_bounds(writer, suspects)
        rows = writer.rows(self.scope, self._after, ROWS_AT_ONCE)
        start = bisect_right(self._found, self._after, key=_position) if self._after else 0
        ahead = self._found[start : start + ROWS_AT_ONCE]
        full = [part[-1] for part in (rows, ahead) if len(part) == ROWS_AT_ONCE]
        bound = min(map(_position, full), default=None)
        if self._rewrite or rows != ahead:
            known = {_position(row): row for row in rows}
            found = {_position(plot): plot for plot in ahead}
            for position in sorted(known.keys() | found.keys()):
                if bound is not None and position > bound:
                    break
                if len(suspects) >= most:
                    return False, len(rows)
                row = known.get(position)
                if self._differs(position, found.get(position), row):
                    filename, project = position
                    beyond = self._is_beyond(filename)
                    suspects.append(Suspect(self.session, project, filename, row, beyond, self.report))
                self._after = position
        self._after = bound
        return bound is None, len(rows) + len(ahead)

    def _obey_bounds(self, writer: Writer, suspects: list[Suspect]) -> None:
        """Let go of what was found beyond the bounds; a look at a whole session says anew where they are."""
        if not self._begun:
            self._begun = True
            self._tell_bounds(writer, suspects)
        cut = writer.cut(self.session)
        if cut is not None and cut != self._cut:
            self._found = [plot for plot in self._found if plot.filename < cut]
        self._cut = cut

    def _tell_bounds(self, writer: Writer, suspects: list[Suspect]) -> None:
        walk = self._walk
        if self.scope.project is None:
            writer.record_excess(self.session, walk.cut, walk.left_out, walk.deep)
            return
        if walk.deep:
            writer.note_deep_folders(self.session)
        if walk.cut is not None:
            for row in writer.leave_out_from(self.session, walk.cut, walk.left_out):
                suspects.append(Suspect(*row[:3], row, beyond=True, report=self.report))

    def _is_beyond(self, filename: str) -> bool:
        return self._layout.is_too_deep(filename) or (self._cut is not None and filename >= self._cut)

    def _differs(self, position: tuple[str, str], found: Plot | None, row: Plot | None) -> bool:
        if found is None and self._walk.unreadable:
            path = f"{self.session}/{position[1]}/{position[0]}"
            return not is_within(path, self._walk.unreadable)
        return self._rewrite or found != row


def _position(plot: Plot) -> tuple[str, str]:
    return plot.filename, plot.project
