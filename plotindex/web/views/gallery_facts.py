"""What the page of a session is told of its plots' facts."""

import time
from typing import Any

from plotindex.index import Lookup
from plotindex.storage import flags_of_session, latest_texts, texts_of_session
from plotindex.tree import Plot, PlotKey
from plotindex.web.views.list_parameters import MAX_QUERY_LENGTH
from plotindex.web.views.lists import Viewer, require_catalog

MAX_SHOWN = 200
"""Characters of a hit's text."""


class GalleryFacts:
    """What callers see of facts. Methods raise CatalogError and SearchTimeoutError."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    def to_json(self, viewer: Viewer, session: str, text: str) -> dict[str, Any]:
        """The copies that show a text, and where; without a text those that have flags."""
        require_catalog(self._lookup)
        database = self._lookup.catalog.database
        if text:
            shown = texts_of_session(database, session, text[:MAX_QUERY_LENGTH])
            return {"found": [{**_copy(plot), "where": where[:MAX_SHOWN]} for plot, where in shown.items()]}
        flagged = flags_of_session(database, session, viewer.allows)
        return {"flagged": [{**_copy(plot), "flags": flags} for plot, flags in flagged.items()]}

    def latest(self, viewer: Viewer, query: str, limit: int, since: int) -> dict[Plot, str]:
        """Current copies, drawn `since`, that show a text, and where; of a host's callers none: they choose sessions.

        A caller with one session has that one's texts read alone.
        """
        catalog, allows = self._lookup.catalog, viewer.allows
        if not allows.is_all and not allows.name:
            return {}
        found = latest_texts(catalog.database, query, limit, None if allows.is_all else allows.name)
        return {
            plot: where[:MAX_SHOWN]
            for plot, where in found.items()
            if plot.drawn_ns(time.time_ns()) >= since and catalog.current(PlotKey(plot.session, plot.filename)) == plot
        }


def _copy(plot: Plot) -> dict[str, str]:
    return {"filename": plot.filename, "project": plot.project, "version": plot.version}
