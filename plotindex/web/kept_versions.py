"""The versions of a plot: kept ones, and those that are there now."""

import os
from collections.abc import Sequence
from typing import NamedTuple

from plotindex.history.access import History
from plotindex.index import Lookup
from plotindex.storage import MAX_COPIES, KeptVersion
from plotindex.tree import OpenPlot, Plot, PlotKey

VersionName = tuple[str, str]
"""Project and version, within one key."""


class KeptAccess(NamedTuple):
    """The history, as one caller may see it."""

    history: History
    is_limited: bool
    """Whether only what the present folders of sessions have held: see `visible_folders`."""


class OpenVersion(NamedTuple):
    """A version open for reading."""

    opened: OpenPlot
    is_kept: bool
    """Whether these are kept bytes, which never change."""


class Versions(NamedTuple):
    """One page of the versions of a key, or of one project's copy, the newest first."""

    new: Sequence[Plot]
    """Those that are there now and not kept yet: none but on the first page."""
    kept: Sequence[KeptVersion]
    present: Sequence[Plot]
    """The copies that are there now."""
    next: str | None


def read_versions(
    lookup: Lookup, access: KeptAccess, key: PlotKey, project: str | None, limit: int, *, after: str = ""
) -> Versions:
    """One page of versions.

    Raises:
        BadPlaceError: `after` is not the `next` of an earlier page.
        HistoryError: the history cannot be read.
        OSError: the session cannot be looked at, and what `Lookup.open` raises.
    """
    history, is_limited = access
    present = [copy for copy in present_copies(lookup, key) if project in (None, copy.project)]
    listed = [] if after else present[:limit]
    page = history.versions(*key, project, limit, after, is_limited=is_limited, present=listed)
    return Versions(page.new, page.versions, present, page.next)


def version_name(plot: Plot) -> VersionName:
    """What names a version of a key."""
    return plot.project, plot.version


def open_version(
    lookup: Lookup, kept: KeptAccess, key: PlotKey, version: str, project: str | None
) -> OpenVersion | None:
    """That version of a key, or of one project's copy; None if it is neither kept nor there now.

    Raises:
        HistoryError: the history cannot be read.
        DamagedVersionError: its bytes are damaged.
        OSError: it cannot be read, and what `Lookup.open` raises.
    """
    opened = kept.history.open(*key, version, project, is_limited=kept.is_limited)
    if opened is not None:
        return OpenVersion(opened, is_kept=True)
    if project is not None:
        projects = [project]
    else:
        copies = present_copies(lookup, key)
        # The current one may be newer than its row.
        projects = [copy.project for copy in copies if copy.version == version] or [copy.project for copy in copies[:1]]
    for each in projects:
        opened = lookup.open(*key, each).opened
        if opened is None:
            continue
        if opened.plot.version == version:
            return OpenVersion(opened, is_kept=False)
        os.close(opened.fd)
    return None


def present_copies(lookup: Lookup, key: PlotKey) -> list[Plot]:
    """The newest copies of a key that are there now, the current one first; without a catalogue only that."""
    copies = lookup.read(lambda: lookup.catalog.copies(key, MAX_COPIES))
    if copies is not None:
        return copies
    opened = lookup.open(*key).opened
    if opened is None:
        return []
    os.close(opened.fd)
    return [opened.plot]
