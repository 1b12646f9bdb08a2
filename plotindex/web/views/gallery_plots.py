"""The plots that a page of the gallery names."""

import os
import threading

from plotindex.index import Lookup
from plotindex.storage import Entry, Overview
from plotindex.tree import Plot, PlotKey, describe_misplaced
from plotindex.web.views.lists import Viewer


class GalleryPlots:
    """Finds plots in the catalogue, and new ones by a scan."""

    def __init__(self, lookup: Lookup, overview: Overview) -> None:
        self._lookup = lookup
        self._overview = overview
        self._searching = threading.Lock()

    def entry(self, key: PlotKey) -> Entry | None:
        """A key and its copies, or None without any. Raises OSError, and what `Lookup.open` raises."""
        entry = self._overview.entry(key)
        if entry is not None:
            return entry
        # It may be new: the lookup scans for it, and heals the catalogue.
        opened = self._lookup.open(key.session, key.filename).opened
        if opened is None:
            return None
        os.close(opened.fd)
        return self._overview.entry(key) or Entry(key, [opened.plot])

    def copy_at(self, viewer: Viewer, path: str) -> Plot | None:
        """The copy at `SESSION/PROJECT/FILENAME`, if it exists and the viewer may see it."""
        layout = self._lookup.tree.layout
        session, project, filename = next((scope for scope in layout.scopes_at(path) if scope.path), ("", "", ""))
        key = layout.parse_key(session or "", filename or "")
        entry = self._overview.entry(key) if key and viewer.allows(key.session) else None
        return next((copy for copy in entry.copies if copy.project == project), None) if entry else None

    def describe_misplaced(self, session: str | None = None) -> str:
        """Why an empty page is empty. One search of the disk at a time; other pages do without."""
        if not self._searching.acquire(blocking=False):
            return ""
        try:
            return describe_misplaced(self._lookup.tree, session)
        finally:
            self._searching.release()
