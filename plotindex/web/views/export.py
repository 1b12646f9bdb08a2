"""The export route: plots of a session as one archive."""

import time
from collections.abc import Callable, Generator, Iterator
from functools import partial
from urllib.parse import quote

from flask import Response, request

from plotindex.config import parse_time
from plotindex.errors import CatalogError, RootLostError, SettingsError
from plotindex.index import Lookup
from plotindex.tree import is_name
from plotindex.web.answers import Headers
from plotindex.web.caller_turns import CallerTurns, caller_of
from plotindex.web.errors import (
    respond_catalog_unavailable,
    respond_not_found,
    respond_unavailable,
    respond_with_error,
)
from plotindex.web.export.archive import archive_pieces
from plotindex.web.export.descriptions import description_reader
from plotindex.web.export.manifest import Manifest
from plotindex.web.export.selection import MEGABYTE, ExportTooLargeError, Selection, select_at_most
from plotindex.web.server.downloads import DownloadEndedError
from plotindex.web.views.list_parameters import BadParameterError, text_parameter
from plotindex.web.views.lists import NO_SESSION, Route, Viewer, require_catalog
from plotindex.web.wsgi import decode_path

MAX_CHOICE_BYTES = 4_000_000
"""Bytes of a form that names plots: some 50,000."""
MAX_EXPORTS = 4
"""At once, each for another caller."""
MIN_BYTES_PER_SECOND, GRACE_SECONDS = 100_000, 60.0
"""A client that reads an archive more slowly loses it."""


class ExportBody:
    """The pieces of an archive, until the client is too slow. Calls `release` once, at the end or when it is closed."""

    def __init__(self, pieces: Generator[bytes, None, None], release: Callable[[], object]) -> None:
        self._pieces = pieces
        self._release: Callable[[], object] | None = release
        self._started = time.monotonic()
        self._sent = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._sent < (time.monotonic() - self._started - GRACE_SECONDS) * MIN_BYTES_PER_SECOND:
            raise DownloadEndedError
        try:
            piece = next(self._pieces)
        except StopIteration:
            self.close()
            raise
        self._sent += len(piece)
        return piece

    def close(self) -> None:
        release, self._release = self._release, None
        if release is not None:
            try:
                self._pieces.close()
            finally:
                release()


class ExportViews:
    """The export views of one instance. Errors are JSON. One export at a time for each caller."""

    def __init__(
        self,
        lookup: Lookup,
        get_viewer: Callable[[], Viewer | Response],
        megabytes: int,
        check_form: Callable[[], Response | None],
    ) -> None:
        """`get_viewer` returns the caller of the current request, or an error response.

        `check_form` returns the response to a form of another site, else None.
        """
        self._lookup = lookup
        self._get_viewer = get_viewer
        self._megabytes = megabytes
        self._check_form = check_form
        self._turns = CallerTurns(MAX_EXPORTS)

    def routes(self, url_prefix: str) -> list[Route]:
        """The routes to mount; the form of the gallery names the plots."""
        rule = f"{url_prefix}/export/<session_id>.zip"
        return [Route(rule, "export", self.export), Route(rule, "export_chosen", self.export_chosen, "POST")]

    def export(self, session_id: str) -> Response:
        """The plots of a session that match."""
        return self._handle(session_id, _selection_of_query)

    def export_chosen(self, session_id: str) -> Response:
        """The plots that a form names; with `formats=1`, with their other formats.

        With `check=1` only 204, or the error: a page asks before it sends the form.
        """
        return self._handle(session_id, _selection_of_form)

    def _handle(self, session: str, get_selection: Callable[[], Selection]) -> Response:
        viewer = self._get_viewer()
        if isinstance(viewer, Response):
            return viewer
        refusal = self._refusal(viewer, session)
        if refusal is not None:
            return refusal
        try:
            return self._respond(session, get_selection(), caller_of(viewer, request))
        except (BadParameterError, ExportTooLargeError) as error:
            return respond_with_error(400 if isinstance(error, BadParameterError) else 413, str(error))
        except CatalogError:
            return respond_catalog_unavailable()
        except (RootLostError, OSError) as error:
            return respond_unavailable(error)

    def _refusal(self, viewer: Viewer, session: str) -> Response | None:
        """The response to a request that is refused before anything is looked up."""
        if decode_path(request.environ) is None or not is_name(session) or not viewer.allows(session):
            return respond_not_found(message=NO_SESSION)
        return self._check_form() if request.method == "POST" else None

    def _respond(self, session: str, selection: Selection, caller: str) -> Response:
        """The archive, if the caller has a turn. Raises as `_handle` answers."""
        if not self._turns.take(caller):
            return respond_with_error(503, "Another export is running; retry later", Retry_After="5")
        body: ExportBody | None = None
        try:
            require_catalog(self._lookup)
            plots = select_at_most(self._lookup.catalog.database, session, selection, self._megabytes)
            if not plots and not self._lookup.has_session(session):
                return respond_not_found(message=NO_SESSION)
            if request.form.get("check") == "1":
                return Response(status=204)
            limit = self._megabytes * MEGABYTE
            describe = description_reader(self._lookup.catalog.database)
            pieces = archive_pieces(self._lookup.tree, plots, Manifest(), describe, max_bytes=limit)
            body = ExportBody(pieces, partial(self._turns.release, caller))
        finally:
            if body is None:
                self._turns.release(caller)
        return Response(body, headers=_headers(session))


def _headers(session: str) -> Headers:
    return [
        ("Content-Type", "application/zip"),
        ("Content-Disposition", f"attachment; filename*=UTF-8''{quote(session, safe='')}.zip"),
        ("X-Content-Type-Options", "nosniff"),
        ("Cache-Control", "no-store"),
    ]


def _selection_of_query() -> Selection:
    """Raises BadParameterError."""
    name, project = text_parameter(request, "name"), text_parameter(request, "project")
    since = request.args.get("since")
    try:
        since_ns = None if since is None else parse_time("since", since, time.time_ns())
    except SettingsError as error:
        raise BadParameterError(str(error)) from None
    return Selection(name, project, since_ns)


def _selection_of_form() -> Selection:
    """Raises BadParameterError."""
    request.max_content_length = request.max_form_memory_size = MAX_CHOICE_BYTES
    paths = request.form.getlist("plot")
    if not paths:
        raise BadParameterError("plot must name a plot: SESSION/PROJECT/FILENAME")
    return Selection(paths=frozenset(paths), with_formats=request.form.get("formats") == "1")
