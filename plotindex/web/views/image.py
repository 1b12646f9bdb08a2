"""The image route: an image by session and filename, or its thumbnail."""

import os
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from flask import Flask, Request, Response
from werkzeug.datastructures import Headers
from werkzeug.routing import BaseConverter

from plotindex.errors import RootLostError
from plotindex.index import CacheStatus, Lookup, ScansBusyError
from plotindex.rendering.protocol import SVG_JOB, Outcome
from plotindex.rendering.thumbnails import WIDTH_ERROR, WIDTHS, Thumbnails
from plotindex.tree import OpenPlot, plot_from_stat
from plotindex.web.answers import Answer, ImageRequest, answer_with_plot, answer_with_thumbnail
from plotindex.web.errors import respond_not_found, respond_unavailable, respond_with_error
from plotindex.web.wsgi import decode_path

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

DRAWING = "Plotindex-Drawing"
"""Response header: the cost of drawing an SVG."""


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
        opened, cache_status = lookup.open(session_id, filename, arguments.get("project"))
        if opened is None:
            return respond_not_found(cache_status)
        if width is not None:
            return _serve_thumbnail(thumbnails, width, opened, cache_status, asked, accel=accel)
        answer = answer_with_plot(opened, cache_status, asked, time.time_ns(), accel=accel)
        return ImageResponse.of(answer)
    except (ScansBusyError, RootLostError, OSError) as error:
        return respond_unavailable(error)


def _serve_thumbnail(
    thumbnails: Thumbnails,
    width: str,
    opened: OpenPlot,
    cache_status: CacheStatus,
    asked: ImageRequest,
    *,
    accel: str | None,
) -> Response:
    """The thumbnail of an open plot or, if none can be made, the plot itself; closes it.

    Raises:
        OSError: the file cannot be read.
    """
    plot, fd = opened
    job = SVG_JOB if plot.suffix == ".svg" else width
    with ExitStack() as stack:
        stack.callback(os.close, fd)
        result = thumbnails.cached(opened, job)
        if result is None and job != SVG_JOB:
            # Drawing is not needed if the client has the thumbnail.
            not_modified = answer_with_thumbnail(plot, width, None, cache_status, asked)
            if not_modified is not None:
                return ImageResponse.of(not_modified)
        result = result or thumbnails.render(opened, job)
        if result.outcome is Outcome.RENDERED:
            answer = answer_with_thumbnail(plot, width, result, cache_status, asked)
            if answer is not None:
                return ImageResponse.of(answer)
        # It may have been modified while it was drawn.
        current = plot_from_stat(plot.session, plot.project, plot.filename, os.fstat(fd))
        stack.pop_all()
    # An SVG without X-Accel-Redirect: nginx drops unknown headers.
    answer = answer_with_plot(
        OpenPlot(current, fd),
        cache_status,
        asked,
        time.time_ns(),
        accel=None if job == SVG_JOB else accel,
        is_fallback=not result.is_final,
    )
    response = ImageResponse.of(answer)
    if job == SVG_JOB:
        is_known = result.outcome is not Outcome.BUSY and current == plot
        response.headers[DRAWING] = str(result.outcome) if is_known else "unknown"
    return response
