"""The facts route: what a plot is and shows."""

import os
from collections.abc import Callable

from flask import Response, jsonify, request

from plotindex.errors import CatalogError, RootLostError
from plotindex.index import Lookup, ScansBusyError
from plotindex.inspection.access import read_facts
from plotindex.web.answers import REVALIDATE
from plotindex.web.errors import respond_catalog_unavailable, respond_not_found, respond_unavailable
from plotindex.web.views.lists import Route, Viewer, require_catalog
from plotindex.web.wsgi import decode_path


class FactsViews:
    """The facts view of one instance. All responses are JSON, including errors."""

    def __init__(self, lookup: Lookup, get_viewer: Callable[[], Viewer | Response]) -> None:
        """`get_viewer` returns the caller of the current request, or an error response."""
        self._lookup = lookup
        self._get_viewer = get_viewer

    def routes(self, url_prefix: str) -> list[Route]:
        """The routes to mount, after the image route, whose converter they use."""
        return [Route(f"{url_prefix}/facts/<session_id>/<plotindex_filename:filename>", "facts", self.facts)]

    def facts(self, session_id: str, filename: str) -> Response:
        """The facts of the copy that the plot's address answers with."""
        viewer = self._get_viewer()
        if isinstance(viewer, Response):
            return viewer
        # Before anything is looked up.
        if decode_path(request.environ) is None or not viewer.allows(session_id):
            return respond_not_found()
        try:
            return self._facts(viewer, session_id, filename)
        except (ScansBusyError, RootLostError, OSError) as error:
            return respond_unavailable(error)
        except CatalogError:
            return respond_catalog_unavailable()

    def _facts(self, viewer: Viewer, session: str, filename: str) -> Response:
        require_catalog(self._lookup)
        opened, cache_status = self._lookup.open(session, filename, request.args.get("project"))
        if opened is None:
            return respond_not_found(cache_status)
        os.close(opened.fd)
        facts = read_facts(self._lookup.catalog.database, opened.plot, viewer.allows)
        response: Response = jsonify(facts.as_json())
        response.headers["Cache-Control"] = REVALIDATE
        response.headers["Cache-Status"] = f"plotindex; {cache_status}"
        return response
