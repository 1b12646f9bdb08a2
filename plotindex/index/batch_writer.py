"""One transaction of a reconcile: compare scanned scopes with the rows, check what differs again, and write it."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from plotindex.errors import ConflictError
from plotindex.index.diff import DifferenceBatch, Mismatch, NewRows, ScopeDiff
from plotindex.index.report import DEFAULT, Options, Report
from plotindex.index.root_identity import check_root
from plotindex.index.session_limits import SessionLimits
from plotindex.storage import Catalog, Change, Writer
from plotindex.tree import Plot, Row, Tree, TreeReader, join_path, sum_names_bytes

ROWS_PER_CHANGE = 8
"""Rows compared in one transaction, for each change that it may write."""
MAX_COMPARED_ROWS = 8_000
BYTES_PER_ROW = 500
"""Besides its filename."""
BYTES_PER_NAME_BYTE = 8
"""A filename is stored in a table and three indexes, whose pages may be half empty."""
MAX_ATTEMPTS = 3
"""Attempts at a transaction that the database rolls back."""


class BatchResult(NamedTuple):
    """What one transaction completed and changed."""

    completed: list[ScopeDiff]
    changes: list[Change]
    added: list[Row]
    """New plots, except those among the changes."""
    sessions_with_room: list[str]
    """Sessions below their limit that still leave plots out: the scan of the whole session adds these."""


def write_batch(
    diffs: deque[ScopeDiff], tree: Tree, catalog: Catalog, max_changes: int, options: Options = DEFAULT
) -> BatchResult:
    """Write one transaction: completed diffs leave the queue, an incomplete one moves to its end.

    Raises as `reconcile` does.
    """
    checkpoints = [(diff, diff.checkpoint()) for diff in diffs]
    for attempt in range(1, MAX_ATTEMPTS + 1):
        try:
            return _write_batch(diffs, tree, catalog, max_changes, options)
        except ConflictError:
            if attempt == MAX_ATTEMPTS:
                raise
            for diff, checkpoint in checkpoints:
                diff.restore(checkpoint)
            diffs.clear()
            diffs.extend(diff for diff, _ in checkpoints)
    raise AssertionError("unreachable")


def _write_batch(
    diffs: deque[ScopeDiff], tree: Tree, catalog: Catalog, max_changes: int, options: Options
) -> BatchResult:
    sessions = {diff.session for diff in diffs}
    batch = DifferenceBatch(max_changes)
    with catalog.writing(options.timeout, sessions) as writer, tree.open_reader() as reader:
        completed = _compare(diffs, writer, batch, min(max_changes * ROWS_PER_CHANGE, MAX_COMPARED_ROWS))
        confirmed = [(new.diff.report, _confirm(new, batch, reader)) for new in batch.new]
        added = [(report, rows) for report, rows in confirmed if rows]
        checked = list(_check_again(batch.mismatches.values(), reader, options))
        new = [*chain.from_iterable(rows for _, rows in added), *(each.after for each, _ in checked if not each.before)]
        if new and (problem := catalog.database.space_problem(_growth(new))):
            # Removals go on: they make room.
            catalog.space_problem = problem
            added, checked = [], [(change, report) for change, report in checked if change.before]
        changes = [change for change, _ in checked]
        if changes or added:
            check_root(tree, writer, options)
            writer.apply(changes, [rows for _, rows in added])
        limits = SessionLimits(tree.layout, catalog, writer)
        beyond, sessions_with_room = limits.enforce(changes, [rows for _, rows in added])
        writer.apply([Change(plot, None) for plot in beyond])
        for diff in completed if options.rewrite else ():
            writer.recount(diff.session)
    limits.remember()
    for change, report in checked:
        report.add(change)
    for report, rows in added:
        report.add_rows(rows)
    return BatchResult(completed, changes, [row for _, rows in added for row in rows], sessions_with_room)


def _growth(new: Sequence[Row | None]) -> int:
    """About the bytes that new rows take in tables and indexes."""
    return BYTES_PER_NAME_BYTE * sum_names_bytes(filter(None, new)) + BYTES_PER_ROW * len(new)


def _compare(diffs: deque[ScopeDiff], writer: Writer, batch: DifferenceBatch, max_rows: int) -> list[ScopeDiff]:
    """Compare diffs until the batch is full or `max_rows` were compared; return the completed ones."""
    completed: list[ScopeDiff] = []
    compared = 0
    while diffs and batch.room > 0 and compared < max_rows:
        is_complete, rows = diffs[0].compare(writer, batch)
        compared += rows
        if not is_complete:
            diffs.rotate(-1)
            break
        completed.append(diffs.popleft())
    return completed


def _confirm(new: NewRows, batch: DifferenceBatch, reader: TreeReader) -> list[Row]:
    """The new rows whose folders still have the same names; the others become mismatches if they still have a folder.

    A file rewritten since the scan is left to the next scan, which compares it with the row written here.
    """
    diff = new.diff
    stamps = diff.folder_stamps(new.rows).items()
    changed = {folder for folder, stamp in stamps if not (stamp and reader.is_unchanged(diff.session, folder, stamp))}
    if not changed:
        return new.rows
    absent = {folder for folder in changed if reader.is_absent(diff.session, folder)}
    confirmed = []
    for row in new.rows:
        folder = f"{row[1]}/{row[2]}".rpartition("/")[0]
        if folder in absent:
            continue
        if folder in changed:
            batch.add_mismatch(diff.mismatch((row[2], row[1]), None))
        else:
            confirmed.append(row)
    return confirmed


def _check_again(
    mismatches: Iterable[Mismatch], reader: TreeReader, options: Options
) -> Iterator[tuple[Change, Report]]:
    """The change at each path that differs now, and the report that it belongs to."""
    # Sorted by folder, so that each folder is opened once.
    for session, project, filename, row, is_excluded, report in sorted(mismatches, key=lambda mismatch: mismatch[:3]):
        try:
            plot = None if is_excluded else reader.stat_plot(session, project, filename)
        except OSError as error:
            report.unreadable[join_path(session, project, filename)] = error
            continue
        if plot != row or (options.rewrite and plot):
            yield Change(row and Plot._make(row), plot), report
