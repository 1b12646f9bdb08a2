"""The image route: a request becomes a key, the key an answer, the answer a response."""

import os
import time
from contextlib import ExitStack

from flask import Flask, Request, Response
from werkzeug.routing import BaseConverter

from plotindex.errors import RootLostError
from plotindex.index import CacheStatus, Lookup, ScansBusyError
from plotindex.rendering.protocol import SVG_JOB, Outcome
from plotindex.rendering.thumbnails import WIDTH_ERROR, WIDTHS, Thumbnails
from plotindex.tree import OpenPlot, plot_of
from plotindex.web.errors import is_utf8, respond_later, respond_not_found, respond_with_error
from plotindex.web.responses import respond_with_plot, respond_with_thumbnail

DRAWING = "Plotindex-Drawing"
"""The header that says how hard an SVG is to draw."""


class FilenameConverter(BaseConverter):
    """All that follows, also a line break, at which Werkzeug's `path` ends."""

    regex = r"[\s\S]+?"
    part_isolating = False
    weight = 200


def plot_rule(app: Flask, url_prefix: str) -> str:
    """The rule of the image route; makes its converter known to the application."""
    app.url_map.converters["plotindex_filename"] = FilenameConverter
    return f"{url_prefix}/plots/<session_id>/<plotindex_filename:filename>"


def answer_plot(
    lookup: Lookup,
    thumbnails: Thumbnails,
    request: Request,
    session_id: str,
    filename: str,
    *,
    accel: str | None = None,
) -> Response:
    """The plot that a key answers with, or 404; 503 when it cannot be said now. `accel`: see `respond_with_plot`."""
    if not is_utf8(request):
        return respond_not_found()
    arguments = request.args if request.environ.get("QUERY_STRING") else {}
    width = arguments.get("width")
    if width is not None and width not in WIDTHS:
        return respond_with_error(400, WIDTH_ERROR)
    try:
        opened, cache_status = lookup.open(session_id, filename, arguments.get("project"))
        if opened is None:
            return respond_not_found(cache_status)
        if width is not None:
            return respond_with_width(thumbnails, width, opened, cache_status, request, accel=accel)
        return respond_with_plot(opened, cache_status, request, time.time_ns(), accel)
    except (ScansBusyError, RootLostError, OSError) as error:
        return respond_later(error)


def respond_with_width(
    thumbnails: Thumbnails,
    width: str,
    opened: OpenPlot,
    cache_status: CacheStatus,
    request: Request,
    *,
    accel: str | None,
) -> Response:
    """What an open plot is answered with when a thumbnail is asked for; closes it.

    Raises:
        OSError: it cannot be read.
    """
    plot, fd = opened
    job = SVG_JOB if plot.suffix == ".svg" else width
    with ExitStack() as stack:
        stack.callback(os.close, fd)
        made = thumbnails.cached(opened, job)
        if made is None and job != SVG_JOB:
            # Who has it already needs none to be made.
            has_it = respond_with_thumbnail(plot, width, None, cache_status, request)
            if has_it is not None:
                return has_it
        made = made or thumbnails.render(opened, job)
        answer = (
            respond_with_thumbnail(plot, width, made, cache_status, request)
            if made.outcome is Outcome.RENDERED
            else None
        )
        if answer is not None:
            return answer
        # It may have been written to while somebody tried.
        now = plot_of(plot.session, plot.project, plot.filename, os.fstat(fd))
        stack.pop_all()
    for_now = not made.is_final
    if job != SVG_JOB:
        return respond_with_plot(OpenPlot(now, fd), cache_status, request, time.time_ns(), accel, for_now=for_now)
    # Not by nginx, which hands on the headers that it knows.
    response = respond_with_plot(OpenPlot(now, fd), cache_status, request, time.time_ns(), for_now=for_now)
    response.headers[DRAWING] = str(made.outcome) if made.outcome is not Outcome.BUSY and now == plot else "unknown"
    return response
