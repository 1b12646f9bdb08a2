"""What a comparison shows."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from plotindex.storage import Overview, one_of_each
from plotindex.tree import Layout, Plot, PlotKey
from plotindex.web.entries import copy_url, version_url
from plotindex.web.views.gallery_history import GalleryHistory
from plotindex.web.views.gallery_plots import GalleryPlots
from plotindex.web.views.lists import Viewer

MAX_COMPARED = 4


class ComparedPlot(NamedTuple):
    """A copy, or a version of one, in a comparison."""

    plot: Plot
    image: str
    """Its URL."""
    number: int = 0
    """Of a version; the oldest one is 1."""


class Comparisons:
    """Finds what is compared, of what a viewer may see."""

    def __init__(self, layout: Layout, overview: Overview, plots: GalleryPlots, history: GalleryHistory) -> None:
        self._layout = layout
        self._overview = overview
        self._plots = plots
        self._history = history

    def copies(self, viewer: Viewer, session: str, name: str) -> Sequence[ComparedPlot]:
        """All copies of a plot, the newest first."""
        key = self._key(viewer, session, name)
        entry = self._plots.entry(key) if key else None
        copies = one_of_each(self._overview.formats(entry), name) if entry else []
        return [ComparedPlot(copy, copy_url(copy, viewer.plot_url)) for copy in copies]

    def versions(
        self, viewer: Viewer, session: str, name: str, project: str | None, wanted: Collection[str]
    ) -> Sequence[ComparedPlot]:
        """All versions of a plot, or those that are wanted, the newest first. Raises HistoryError."""
        key = self._key(viewer, session, name)
        versions = self._history.versions(viewer, key, project, wanted) if key else []
        return [ComparedPlot(plot, version_url(plot, viewer.plot_url), number) for plot, number in versions]

    def plots(self, viewer: Viewer, paths: Sequence[str]) -> Sequence[ComparedPlot]:
        """The copies at these paths, `SESSION/PROJECT/FILENAME`, without those that are missing."""
        found = (self._plots.copy_at(viewer, path) for path in paths)
        return [ComparedPlot(copy, copy_url(copy, viewer.plot_url)) for copy in found if copy]

    def _key(self, viewer: Viewer, session: str, name: str) -> PlotKey | None:
        key = self._layout.parse_key(session, name)
        return key if key and viewer.allows(session) else None
