"""The image route: a plot by session and filename, its picture, or its sibling in another format."""

import os
import time
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Self

from flask import Flask, Request, Response
from werkzeug.datastructures import Headers
from werkzeug.routing import BaseConverter

from plotindex.errors import CatalogError, RootLostError
from plotindex.history.access import DamagedVersionError
from plotindex.index import CacheStatus, Lookup, LookupResult, ScansBusyError
from plotindex.rendering.protocol import Outcome
from plotindex.rendering.thumbnails import PICTURE_ONLY, WIDTH_ERROR, WIDTHS, IsKept, Thumbnails
from plotindex.tree import INT64_MAX, OpenPlot, PlotKey, plot_from_stat
from plotindex.web.answers import Answer, ImageRequest, answer_with_plot, answer_with_thumbnail
from plotindex.web.errors import (
    respond_history_unavailable,
    respond_not_found,
    respond_unavailable,
    respond_with_error,
    respond_without_picture,
)
from plotindex.web.kept_versions import KeptAccess, open_version
from plotindex.web.wsgi import decode_path

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class FilenameConverter(BaseConverter):
    """The rest of the path. Unlike Werkzeug's `path` it includes newlines."""

    regex = r"[\s\S]+?"
    part_isolating = False
    weight = 200


def plot_url_rule(app: Flask, url_prefix: str) -> str:
    """The URL rule of the image route. Registers its converter with the application."""
    app.url_map.converters["plotindex_filename"] = FilenameConverter
    return f"{url_prefix}/plots/<session_id>/<plotindex_filename:filename>"


class ImageResponse(Response):
    """An answer as Flask sends it. Its headers are complete: skip Werkzeug's pass over them."""

    default_mimetype = None

    def get_wsgi_headers(self, environ: "WSGIEnvironment") -> Headers:  # noqa: ARG002 - as Werkzeug
        return self.headers

    @classmethod
    def of(cls, answer: Answer) -> Self:
        return cls(answer.body, answer.status, Headers(answer.headers), direct_passthrough=True)


def serve_plot(
    lookup: Lookup,
    thumbnails: Thumbnails,
    request: Request,
    session_id: str,
    filename: str,
    *,
    kept: KeptAccess,
    accel: str | None = None,
) -> Response:
    """The image of a key, 404, or 503 while it cannot be read. `accel`: see `answer_with_plot`."""
    if decode_path(request.environ) is None:
        return respond_not_found()
    arguments = request.args if request.environ.get("QUERY_STRING") else {}
    asked = ImageRequest(request.environ, arguments)
    width = arguments.get("width")
    if width is not None and width not in WIDTHS:
        return respond_with_error(400, WIDTH_ERROR)
    try:
        if "version" in arguments:
            return _serve_version(lookup, thumbnails, kept, PlotKey(session_id, filename), asked)
        opened, cache_status = lookup.open(session_id, filename, arguments.get("project"))
        if opened is not None and "format" in arguments:
            opened, cache_status = _open_sibling(lookup, opened, arguments["format"])
        if opened is None:
            return respond_not_found(cache_status)
        return _serve_opened(thumbnails, opened, cache_status, asked, accel=accel)
    except (ScansBusyError, RootLostError, OSError) as error:
        return respond_unavailable(error)


def _open_sibling(lookup: Lookup, opened: OpenPlot, wanted: str) -> LookupResult:
    """Close an open plot, and open its sibling in a format."""
    os.close(opened.fd)
    session, project, filename = opened.plot[:3]
    result = LookupResult(None, lookup.hit_status)
    for name in lookup.tree.layout.sibling_names(filename, wanted):
        result = lookup.open(session, name, project)
        if result.opened is not None:
            break
    return result


def _serve_version(
    lookup: Lookup, thumbnails: Thumbnails, kept: KeptAccess, key: PlotKey, asked: ImageRequest
) -> Response:
    """Exactly these bytes, kept or there now, or their thumbnail; 404 if there are none.

    Raises as `serve_plot` handles it.
    """
    version = asked.arguments["version"]
    if lookup.tree.layout.parse_key(*key) is None:
        return respond_not_found()
    try:
        found = open_version(lookup, kept, key, version, asked.arguments.get("project"))
    except CatalogError:
        return respond_history_unavailable()
    except DamagedVersionError:
        return respond_with_error(500, "The kept version is damaged; see the server log")
    if found is None:
        return respond_not_found()
    # The version is named, so that the answer never changes.
    asked = ImageRequest(asked.environ, {**asked.arguments, "v": version})
    is_kept = partial(kept.history.keeps, found.opened.plot) if found.is_kept else None
    return _serve_opened(thumbnails, found.opened, CacheStatus.HIT, asked, accel=None, is_kept=is_kept)


def _serve_opened(
    thumbnails: Thumbnails,
    opened: OpenPlot,
    cache_status: CacheStatus,
    asked: ImageRequest,
    *,
    accel: str | None,
    is_kept: IsKept | None = None,
) -> Response:
    """An open plot, or its thumbnail; closes it. With `is_kept` these are kept bytes. Raises OSError."""
    if "width" in asked.arguments:
        return _serve_thumbnail(thumbnails, opened, cache_status, asked, accel=accel, is_kept=is_kept)
    return ImageResponse.of(answer_with_plot(opened, cache_status, asked, _now_ns(is_kept), accel=accel))


def _now_ns(is_kept: IsKept | None) -> int:
    # Kept bytes never change, whatever the clock says.
    return INT64_MAX if is_kept else time.time_ns()


def _serve_thumbnail(
    thumbnails: Thumbnails,
    opened: OpenPlot,
    cache_status: CacheStatus,
    asked: ImageRequest,
    *,
    accel: str | None,
    is_kept: IsKept | None,
) -> Response:
    """The picture of an open plot or, if there is none, the plot itself or an error; closes it.

    Raises:
        OSError: the file cannot be read.
    """
    plot, fd = opened
    width = asked.arguments["width"]
    with ExitStack() as stack:
        stack.callback(os.close, fd)
        result = thumbnails.cached(opened, width)
        if result is None:
            # Drawing is not needed if the client has the picture.
            not_modified = answer_with_thumbnail(plot, width, None, cache_status, asked)
            if not_modified is not None:
                return ImageResponse.of(not_modified)
            result = thumbnails.render(opened, width, is_kept)
        if result.outcome is Outcome.RENDERED:
            answer = answer_with_thumbnail(plot, width, result, cache_status, asked)
            if answer is not None:
                return ImageResponse.of(answer)
        if plot.suffix in PICTURE_ONLY:
            return respond_without_picture(result.outcome, cache_status)
        # It may have been modified while it was drawn.
        current = plot if is_kept else plot_from_stat(plot.session, plot.project, plot.filename, os.fstat(fd))
        stack.pop_all()
    is_fallback = not result.is_final
    given = OpenPlot(current, fd), cache_status, asked, _now_ns(is_kept)
    return ImageResponse.of(answer_with_plot(*given, accel=accel, is_fallback=is_fallback))
