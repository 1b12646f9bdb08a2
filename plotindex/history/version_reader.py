"""Read one version of a plot, once."""

import os
from typing import NamedTuple

from plotindex.history.contents import OpenContents, StagedContent, UnreadableError
from plotindex.storage import PendingVersion, is_same_content
from plotindex.tree import Plot, PlotKey, Tree, plot_from_stat


class ReadResult(NamedTuple):
    """What became of a version that was to be kept."""

    pending: PendingVersion
    plot: Plot | None
    """What is there now; None if there is nothing to keep."""
    staged: StagedContent | None
    """Its bytes; None if it is another version than expected, whose turn comes when it is due, or unreadable now."""
    is_lost: bool
    """Whether the version that was to be kept was overwritten or removed before it was read."""
    problem: str | None = None
    """Why it could not be read."""


def read_version(tree: Tree, pending: PendingVersion, contents: OpenContents, max_bytes: int) -> ReadResult:
    """Read the version that is to be kept, if it is still there.

    Raises:
        OSError: the bytes cannot be written.
    """
    plot = pending.plot
    try:
        opened = tree.open(PlotKey(plot.session, plot.filename), plot.project)
    except OSError as error:
        return _unreadable(pending, error.strerror)
    if opened is None:
        return ReadResult(pending, None, None, is_lost=True)
    before, fd = opened
    try:
        is_lost = not is_same_content(plot[3:], before[3:])
        if not 0 < before.size <= max_bytes:
            return ReadResult(pending, None, None, is_lost)
        if before != plot:
            # Its size was not expected in this batch.
            return ReadResult(pending, before, None, is_lost)
        try:
            staged = contents.stage(fd, before.size)
        except UnreadableError as error:
            return _unreadable(pending, str(error))
        after = plot_from_stat(plot.session, plot.project, plot.filename, os.fstat(fd))
        if staged is not None and after != before:
            contents.discard([staged])
            staged = None
        return ReadResult(pending, after, staged, not is_same_content(plot[3:], after[3:]))
    finally:
        os.close(fd)


def _unreadable(pending: PendingVersion, reason: str | None) -> ReadResult:
    return ReadResult(pending, pending.plot, None, is_lost=False, problem=reason)
