"""The route that finds where a picture is from. The picture is kept nowhere."""

import os
from collections.abc import Callable

from flask import Response, jsonify, request
from werkzeug.exceptions import RequestEntityTooLarge

from plotindex.errors import CatalogError
from plotindex.history.access import History
from plotindex.index import Lookup
from plotindex.inspection.alike import MAX_BYTES, NotAPictureError, RendererBusyError, find_sources
from plotindex.rendering.renderer_client import RendererClient
from plotindex.web.caller_turns import CallerTurns, caller_of
from plotindex.web.entries import copy_url, version_url
from plotindex.web.errors import respond_catalog_unavailable, respond_with_error
from plotindex.web.views.lists import Route, Viewer, require_catalog

PATH = "/like"
"""Below the URL prefix."""
MAX_CALLERS = 4
"""Who wait for the renderer at a time: each may take it for some seconds."""


class LikeViews:
    """The view of one instance. All responses are JSON, including errors."""

    def __init__(
        self,
        lookup: Lookup,
        history: History,
        get_viewer: Callable[[], Viewer | Response],
        check_form: Callable[[], Response | None],
    ) -> None:
        """`get_viewer` returns the caller of the current request, or an error response.

        `check_form` returns the response to a request of another site's page, else None.
        """
        self._lookup = lookup
        self._history = history
        # Not that of the pictures, which would wait for it.
        self._renderer = RendererClient()
        self._get_viewer = get_viewer
        self._check_form = check_form
        self._turns = CallerTurns(MAX_CALLERS)

    def routes(self, url_prefix: str) -> list[Route]:
        """The routes to mount."""
        return [Route(f"{url_prefix}{PATH}", "like", self.like, "POST")]

    def like(self, session_id: str = "") -> Response:  # noqa: ARG002 - for the host's decorator
        """The plots that the picture in the request's body may be from, the likeliest first."""
        viewer = self._get_viewer()
        if isinstance(viewer, Response):
            return viewer
        refusal = self._check_form()
        if refusal is not None:
            return refusal
        caller = caller_of(viewer, request)
        if not self._turns.take(caller):
            return respond_with_error(503, "One picture at a time; retry later", Retry_After="1")
        try:
            return self._answer(viewer)
        finally:
            if self._turns.release(caller):
                self._renderer.close()

    def _answer(self, viewer: Viewer) -> Response:
        try:
            return self._like(viewer)
        except RequestEntityTooLarge:
            return respond_with_error(413, f"A picture has at most {MAX_BYTES >> 20} MB")
        except NotAPictureError as error:
            return respond_with_error(422, str(error).rstrip("."))
        except RendererBusyError:
            return respond_with_error(503, "The picture cannot be read now; retry later", Retry_After="2")
        except CatalogError:
            return respond_catalog_unavailable()

    def _like(self, viewer: Viewer) -> Response:
        request.max_content_length = MAX_BYTES
        picture = request.get_data(cache=False)
        require_catalog(self._lookup)
        fd = os.memfd_create("picture")
        try:
            with os.fdopen(os.dup(fd), "wb") as file:
                file.write(picture)
            found = find_sources(self._lookup.catalog, self._history, self._renderer, fd, viewer.allows)
        finally:
            os.close(fd)
        matches = [
            {
                "session": match.plot.session,
                "filename": match.plot.filename,
                "project": match.plot.project,
                "version": match.plot.version,
                "how": match.how,
                "distance": match.distance,
                "current": match.is_current,
                "url": (copy_url if match.is_current else version_url)(match.plot, viewer.plot_url),
            }
            for match in found
        ]
        response: Response = jsonify(matches=matches)
        response.headers["Cache-Control"] = "no-store"
        return response
