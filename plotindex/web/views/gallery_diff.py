"""What the page of changes shows at first, and the sides that it offers."""

from itertools import islice

from flask import request

from plotindex.comparison.difference import ORDER
from plotindex.comparison.sides import side_names
from plotindex.index import Lookup
from plotindex.storage import Overview, project_names
from plotindex.tree import is_name
from plotindex.web.views.gallery_history import GalleryHistory
from plotindex.web.views.lists import Viewer

MAX_OFFERED = 200
"""Sessions, or projects of one, that are offered; any other can be typed."""


class GalleryDiff:
    """Finds what a viewer may compare. Its script reads the comparison itself from the route `/diff`."""

    def __init__(self, lookup: Lookup, overview: Overview, history: GalleryHistory) -> None:
        self._lookup = lookup
        self._overview = overview
        self._history = history

    def values(self, viewer: Viewer) -> dict[str, object] | None:
        """The values of the template; None if the viewer has no such session.

        Raises:
            CatalogError: the catalogue cannot be read.
            OSError: the session cannot be looked at.
        """
        before, after, session = (request.args.get(name, "") for name in ("from", "to", "session"))
        # Read before the plots: a change in between is then reported again, not missed.
        clock = viewer.seal_clock(self._overview.clock(viewer.allows))
        projects: list[str] = []
        if session:
            if not is_name(session) or not viewer.allows(session):
                return None
            projects = list(islice(project_names(self._lookup.catalog.database, session, ""), MAX_OFFERED))
            if not (projects or self._lookup.has_session(session) or self._history.has_removed(viewer, session)):
                return None
        elif before and after:
            own = set(side_names(before)) & set(side_names(after))
            session = next(iter(sorted(filter(viewer.allows, filter(is_name, own)), key=len)), "")
        strips, _, _ = self._overview.sessions(viewer.allows, "", 0, MAX_OFFERED)
        return {
            "clock": clock,
            "before": before,
            "after": after,
            "session": session,
            "projects": projects,
            "sides": [*(f"{session}/{project}" for project in projects), *(row.session for row, _, _ in strips)],
            "kinds": list(map(str, ORDER)),
            "has_history": self._history.is_on,
        }
