"""A look at one scope: what it held without the lock, and then, under the lock, where the catalogue differs."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from plotindex.index.report import DEFAULT, Options, Report
from plotindex.storage import Writer
from plotindex.tree import POSITION, Enter, Glance, Linked, Row, Scope, ScoutedWalk, Stamp, Walk, WalkProcess, is_within

ROWS_AT_ONCE = 2_000
ROWS_PER_FOLDER = 10
"""With so many plots in each folder, it is quicker to look at all folders than to see which are meant."""


Mark = tuple[list[Row], tuple[str, str] | None, bool, str | None]
"""How far a look has been settled."""


class Suspect(NamedTuple):
    """A path where the look and the catalogue do not say the same, and the row as it is now."""

    session: str
    project: str
    filename: str
    row: Row | None
    beyond: bool
    """Whether it lies beyond the bounds of what is indexed, so that it counts as absent."""
    report: Report


class NewPlots(NamedTuple):
    """Plots that a look has found where the catalogue knows none, by filename and project."""

    rows: list[Row]
    look: "ScopeDiff"


class DifferenceBatch:
    """What looks have found to differ, for one transaction."""

    def __init__(self, most: int) -> None:
        self.suspects: list[Suspect] = []
        self.news: list[NewPlots] = []
        self.room = most
        """How many more it can hold."""

    def suspect(self, suspect: Suspect) -> None:
        self.suspects.append(suspect)
        self.room -= 1

    def tell(self, news: NewPlots) -> None:
        self.news.append(news)
        self.room -= len(news.rows)


class ScopeDiff:
    """What one scope held when it was looked at without the lock, and how far it has been settled."""

    def __init__(
        self,
        glance: Glance,
        scope: Scope,
        report: Report,
        options: Options = DEFAULT,
        *,
        enter: Enter | None = None,
        scout: WalkProcess | None = None,
    ) -> None:
        """`scout` looks at it where the scope is a whole session."""
        assert scope.session is not None
        layout = glance.tree.layout
        self.scope = scope
        self.session = scope.session
        self.report = report
        if scout is not None and scope.project is None:
            self._walk: Walk = ScoutedWalk(glance, scope, scout, enter, layout.max_plots)
        else:
            self._walk = glance.walking(scope, enter, layout.max_plots)
        self._layout = layout
        self._rewrite = options.rewrite
        self._found: list[Row] = []
        self._after: tuple[str, str] | None = None
        self._begun = False
        self._cut: str | None = None

    @property
    def plots(self) -> int:
        return len(self._found)

    def stamped_folders(self, rows: Sequence[Row]) -> Mapping[str, Stamp | None]:
        """The folders that these are in (or all, where that is quicker), each from its project on, with its stamp."""
        stamps = self._walk.stamps
        if not self._walk.unstamped and len(stamps) * ROWS_PER_FOLDER <= len(rows):
            return stamps
        below = {(row[1], row[2].rpartition("/")[0]) for row in rows}
        folders = (f"{project}/{folder}" if folder else project for project, folder in below)
        return {folder: stamps.get(folder) for folder in folders}

    @property
    def linked(self) -> list[Linked]:
        return self._walk.linked

    @property
    def closed(self) -> dict[str, OSError]:
        """Folders that could not be looked into."""
        return self._walk.closed

    def scan(self, until: float = float("inf")) -> bool:
        """Look on until done or `time.monotonic()` is past `until`; return whether done."""
        if not self._walk.go_on(until):
            return False
        self._found, self._walk.rows = self._walk.rows, []
        self._found.sort(key=POSITION)
        self.report.plots += self.plots
        self.report.unreadable.update(self._walk.unreadable)
        self.report.odd.update(self._walk.odd)
        return True

    def close(self) -> None:
        """Let go of what an unfinished look holds open."""
        self._walk.close()

    def mark(self) -> Mark:
        """How far it has been settled, for `return_to`."""
        return self._found, self._after, self._begun, self._cut

    def return_to(self, mark: Mark) -> None:
        """What was settled since then was taken back."""
        self._found, self._after, self._begun, self._cut = mark

    def advance(self, writer: Writer, found: DifferenceBatch) -> tuple[bool, int]:
        """Compare the next rows, as far as there is room in `found`; return whether settled, and the rows compared."""
        self._obey_bounds(writer, found)
        rows = writer.rows(self.scope, self._after, ROWS_AT_ONCE)
        start = bisect_right(self._found, self._after, key=POSITION) if self._after else 0
        ahead = self._found[start : start + ROWS_AT_ONCE]
        full = [part[-1] for part in (rows, ahead) if len(part) == ROWS_AT_ONCE]
        bound = min(map(POSITION, full), default=None)
        if not rows and ahead:
            news = ahead[: max(0, found.room)]
            if news:
                found.tell(NewPlots(news, self))
                self._after = POSITION(news[-1])
            if len(news) < len(ahead):
                return False, len(news)
        elif self._rewrite or rows != ahead:
            known = {POSITION(row): row for row in rows}
            seen = {POSITION(plot): plot for plot in ahead}
            for position in sorted(known.keys() | seen.keys()):
                if bound is not None and position > bound:
                    break
                if found.room <= 0:
                    return False, len(rows)
                row = known.get(position)
                if self._differs(position, seen.get(position), row):
                    found.suspect(self.suspect(position, row))
                self._after = position
        self._after = bound
        return bound is None, len(rows) + len(ahead)

    def suspect(self, position: tuple[str, str], row: Row | None) -> Suspect:
        """A path at which this look and the catalogue do not say the same."""
        filename, project = position
        return Suspect(self.session, project, filename, row, self._is_beyond(filename), self.report)

    def _obey_bounds(self, writer: Writer, found: DifferenceBatch) -> None:
        """Let go of what was found beyond the bounds; a look at a whole session says anew where they are."""
        if not self._begun:
            self._begun = True
            self._tell_bounds(writer, found)
        cut = writer.cutoff(self.session)
        if cut is not None and cut != self._cut:
            self._found = [row for row in self._found if row[2] < cut]
        self._cut = cut

    def _tell_bounds(self, writer: Writer, found: DifferenceBatch) -> None:
        walk = self._walk
        if self.scope.project is None:
            writer.record_truncation(self.session, walk.cut, walk.left_out, walk.deep)
            return
        if walk.deep:
            writer.mark_too_deep(self.session)
        if walk.cut is not None:
            for row in writer.truncate_from(self.session, walk.cut, walk.left_out):
                found.suspect(Suspect(*row[:3], row, beyond=True, report=self.report))

    def _is_beyond(self, filename: str) -> bool:
        return self._layout.is_too_deep(filename) or (self._cut is not None and filename >= self._cut)

    def _differs(self, position: tuple[str, str], found: Row | None, row: Row | None) -> bool:
        if found is None and self._walk.unreadable:
            path = f"{self.session}/{position[1]}/{position[0]}"
            return not is_within(path, self._walk.unreadable)
        return self._rewrite or found != row
