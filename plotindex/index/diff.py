"""Differences between the tree and the catalogue within one scope: scanned without the lock, compared under it."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from plotindex.index.report import DEFAULT, Options, Report
from plotindex.storage import Truncation, Writer
from plotindex.tree import (
    ROW_SORT_KEY,
    FolderCallback,
    FolderStamp,
    HardLinkedPlot,
    ParallelWalk,
    Row,
    Scope,
    TreeReader,
    Walk,
    WalkProcess,
    is_within,
    join_path,
)

PAGE_ROWS = 2_000
"""Rows read and compared at once, at most."""
MIN_PAGE_ROWS = 100
MIN_ROWS_PER_FOLDER = 10
"""From so many rows a folder on, checking every folder is faster than selecting the folders of the rows."""

Checkpoint = tuple[list[Row], tuple[str, str] | None, bool, str | None]
"""How far a scope has been compared, for `ScopeDiff.restore`."""


class Mismatch(NamedTuple):
    """A path at which the scan and the catalogue differ, and its row in the catalogue now."""

    session: str
    project: str
    filename: str
    row: Row | None
    is_excluded: bool
    """Whether it is beyond the limits of the index (see `Layout`): it counts as absent."""
    report: Report


class NewRows(NamedTuple):
    """Plots found by a scan that have no row in the catalogue, by filename and project."""

    rows: list[Row]
    diff: "ScopeDiff"


class DifferenceBatch:
    """The differences that one transaction handles."""

    def __init__(self, max_changes: int) -> None:
        self.mismatches: dict[tuple[str, str, str], Mismatch] = {}
        """By path: a lowered cutoff and the comparison may both find one. The later one knows the cutoff."""
        self.new: list[NewRows] = []
        self.room = max_changes
        """How many more differences fit."""

    def add_mismatch(self, mismatch: Mismatch) -> None:
        self.mismatches[mismatch[:3]] = mismatch
        self.room -= 1

    def add_new(self, new: NewRows) -> None:
        self.new.append(new)
        self.room -= len(new.rows)


class ScopeDiff:
    """The scan of one scope, and how far it has been compared with the catalogue."""

    def __init__(
        self,
        reader: TreeReader,
        scope: Scope,
        report: Report,
        options: Options = DEFAULT,
        *,
        on_folder: FolderCallback | None = None,
        walker: WalkProcess | None = None,
    ) -> None:
        """`walker` scans the scope if this is a whole session."""
        assert scope.session is not None
        layout = reader.tree.layout
        self.scope = scope
        self.session = scope.session
        self.report = report
        if walker is not None and scope.project is None:
            self._walk: Walk = ParallelWalk(reader, scope, walker, on_folder)
        else:
            self._walk = reader.start_walk(scope, on_folder, is_bounded=True)
        self._layout = layout
        self._rewrite = options.rewrite
        self._found: list[Row] = []
        self._position: tuple[str, str] | None = None
        self._page_rows = PAGE_ROWS
        self._has_recorded_limits = False
        self._cutoff: str | None = None

    @property
    def plots(self) -> int:
        return len(self._found)

    @property
    def hard_linked(self) -> list[HardLinkedPlot]:
        return self._walk.hard_linked

    @property
    def unreadable_folders(self) -> dict[str, OSError]:
        """Unreadable folders."""
        return self._walk.unreadable_folders

    def scan(self, until: float = float("inf")) -> bool:
        """Scan until done or `time.monotonic()` is past `until`; return whether done."""
        if not self._walk.advance(until):
            return False
        self._found, self._walk.rows = self._walk.rows, []
        self._found.sort(key=ROW_SORT_KEY)
        self.report.plots += self.plots
        self.report.ignored += self._walk.ignored
        self.report.unreadable.update(self._walk.unreadable)
        self.report.unsupported.update(self._walk.unsupported)
        return True

    def close(self) -> None:
        """Close the folders that an unfinished scan holds open."""
        self._walk.close()

    def checkpoint(self) -> Checkpoint:
        """How far the scope has been compared."""
        return self._found, self._position, self._has_recorded_limits, self._cutoff

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go back to a checkpoint, after the transaction was rolled back."""
        self._found, self._position, self._has_recorded_limits, self._cutoff = checkpoint

    def compare(self, writer: Writer, batch: DifferenceBatch) -> tuple[bool, int]:
        """Compare the next page of rows, and add what differs to the batch while that has room.

        Returns whether all is compared, and the number of rows compared.
        """
        self._apply_limits(writer, batch)
        in_session = writer.rows(self.scope, self._position, self._page_rows)
        start = bisect_right(self._found, self._position, key=ROW_SORT_KEY) if self._position else 0
        found = self._found[start : start + self._page_rows]
        is_equal = len(in_session) == len(found) and in_session == [row[1:] for row in found]
        stored = found if is_equal else [(self.session, *row) for row in in_session]
        full_pages = [page for page in (stored, found) if len(page) == self._page_rows]
        end = min((ROW_SORT_KEY(page[-1]) for page in full_pages), default=None)
        if found and not stored:
            new = found[: max(0, batch.room)]
            if new:
                batch.add_new(NewRows(new, self))
                self._position = ROW_SORT_KEY(new[-1])
            if len(new) < len(found):
                return False, len(new)
        elif (self._rewrite or not is_equal) and not self._add_mismatches(stored, found, end, batch):
            # The next transaction reads the rest of this page again.
            self._page_rows = max(MIN_PAGE_ROWS, self._page_rows // 2)
            return False, len(stored)
        else:
            self._page_rows = min(PAGE_ROWS, self._page_rows * 2)
        self._position = end
        return end is None, len(stored) + len(found)

    def mismatch(self, position: tuple[str, str], row: Row | None) -> Mismatch:
        """The mismatch at a position, with its row in the catalogue."""
        filename, project = position
        return Mismatch(self.session, project, filename, row, self._is_excluded(filename), self.report)

    def folder_stamps(self, rows: Sequence[Row]) -> Mapping[str, FolderStamp | None]:
        """The folders of these rows (or more, where that is faster), from the project on, and their stamps."""
        stamps = self._walk.stamps
        if not self._walk.unstamped and len(stamps) * MIN_ROWS_PER_FOLDER <= len(rows):
            return stamps
        parents = {(row[1], row[2].rpartition("/")[0]) for row in rows}
        folders = (f"{project}/{folder}" if folder else project for project, folder in parents)
        return {folder: stamps.get(folder) for folder in folders}

    def _add_mismatches(
        self, stored: Sequence[Row], found: Sequence[Row], end: tuple[str, str] | None, batch: DifferenceBatch
    ) -> bool:
        """Add the mismatches up to the position `end`; return whether all fit into the batch."""
        stored_rows = {ROW_SORT_KEY(row): row for row in stored}
        found_rows = {ROW_SORT_KEY(row): row for row in found}
        for position in sorted(stored_rows.keys() | found_rows.keys()):
            if end is not None and position > end:
                break
            if batch.room <= 0:
                return False
            row = stored_rows.get(position)
            if self._differs(position, found_rows.get(position), row):
                batch.add_mismatch(self.mismatch(position, row))
            self._position = position
        return True

    def _differs(self, position: tuple[str, str], found: Row | None, row: Row | None) -> bool:
        if found is None and self._walk.unreadable:
            return not is_within(join_path(self.session, position[1], position[0]), self._walk.unreadable)
        return self._rewrite or found != row

    def _apply_limits(self, writer: Writer, batch: DifferenceBatch) -> None:
        """Drop what was found beyond the session's cutoff."""
        if not self._has_recorded_limits:
            self._has_recorded_limits = True
            self._record_limits(writer, batch)
        cutoff = writer.truncations.cutoff(self.session)
        if cutoff is not None and cutoff != self._cutoff:
            self._found = [row for row in self._found if row[2] < cutoff]
        self._cutoff = cutoff

    def _record_limits(self, writer: Writer, batch: DifferenceBatch) -> None:
        """Record what the scan left out; only the scan of a whole session can raise the cutoff."""
        walk = self._walk
        if self.scope.project is None:
            writer.truncations.record(Truncation(self.session, walk.cutoff, walk.truncated, walk.excluded))
            return
        if walk.excluded:
            writer.truncations.mark_excluded(self.session)
        if walk.cutoff is not None:
            for row in writer.truncations.truncate_from(self.session, walk.cutoff, walk.truncated):
                batch.add_mismatch(Mismatch(*row[:3], row, is_excluded=True, report=self.report))

    def _is_excluded(self, filename: str) -> bool:
        return self._layout.is_beyond_limits(filename) or (self._cutoff is not None and filename >= self._cutoff)
