"""What the gallery's pages show of the history."""

from collections.abc import Collection
from itertools import groupby
from typing import Any, NamedTuple

from plotindex.history.access import History
from plotindex.history.contents import HistoryError
from plotindex.index import Lookup
from plotindex.storage import RemovedCopy
from plotindex.system import rfc3339
from plotindex.tree import Plot, PlotKey
from plotindex.web.entries import PlotUrl, version_url
from plotindex.web.kept_versions import KeptAccess, read_versions
from plotindex.web.views.lists import Viewer

MAX_VERSIONS = 1_000
REMOVED_PER_PAGE = 1_000


class ShownVersion(NamedTuple):
    """A version of a plot, with its number; the oldest one listed is 1."""

    plot: Plot
    number: int


class GalleryHistory:
    """The history, as callers of the gallery may see it. Methods raise HistoryError and OSError as `History` does."""

    def __init__(self, lookup: Lookup, history: History) -> None:
        self._lookup = lookup
        self._history = history

    @property
    def is_on(self) -> bool:
        return self._history.store is not None

    def count_lost(self, viewer: Viewer, plot: Plot) -> int | None:
        """How many versions of a copy were overwritten too quickly to keep; None if the history is unavailable."""
        try:
            return self._history.lost(plot.session, plot.filename, plot.project, is_limited=_is_limited(viewer))
        except HistoryError:
            return None

    def last_version(self, viewer: Viewer, key: PlotKey, project: str | None) -> Plot | None:
        """The version of a removed plot that is kept and was drawn last."""
        try:
            page = self._history.versions(*key, project, 1, is_limited=_is_limited(viewer))
        except HistoryError:
            return None
        return page.versions[0].plot if page.versions else None

    def versions(
        self, viewer: Viewer, key: PlotKey, project: str | None, wanted: Collection[str]
    ) -> list[ShownVersion]:
        """All versions, or those that are wanted, the newest first."""
        access = KeptAccess(self._history, _is_limited(viewer))
        page = read_versions(self._lookup, access, key, project, MAX_VERSIONS)
        plots = [*page.new, *(kept.plot for kept in page.kept)]
        numbered = (ShownVersion(plot, len(plots) - place) for place, plot in enumerate(plots))
        return [each for each in numbered if not wanted or each.plot.version in wanted]

    def has_removed(self, viewer: Viewer, session: str) -> bool:
        """Whether plots of a session were removed and are kept; False if the history is unavailable."""
        try:
            return bool(self._history.removed(session, 1, is_limited=_is_limited(viewer)).copies)
        except HistoryError:
            return False

    def redrawn_to_json(self, viewer: Viewer, session: str) -> dict[str, Any]:
        """How often each copy was drawn again, and whether plots were removed."""
        redrawn = self._history.redrawn(session, is_limited=_is_limited(viewer))
        return {"redrawn": redrawn, "removed": self.has_removed(viewer, session)}

    def removed_to_json(self, viewer: Viewer, session: str, after: str) -> dict[str, Any]:
        """One page of the removed plots, like entries of lists."""
        page = self._history.removed(session, REMOVED_PER_PAGE, after, is_limited=_is_limited(viewer))
        plots = []
        for filename, copies in groupby(page.copies, lambda copy: copy.plot.filename):
            newest_first = sorted(copies, key=lambda copy: copy.gone, reverse=True)
            listed = [_removed_to_json(copy, viewer.plot_url) for copy in newest_first]
            plots.append({"session": session, "filename": filename, "copies": listed})
        return {"plots": plots, "next": page.next}


def _removed_to_json(copy: RemovedCopy, plot_url: PlotUrl) -> dict[str, Any]:
    plot = copy.plot
    return {
        "project": plot.project,
        "size": plot.size,
        "version": plot.version,
        "gone": rfc3339(copy.gone),
        "url": version_url(plot, plot_url),
    }


def _is_limited(viewer: Viewer) -> bool:
    return not viewer.allows.is_all
