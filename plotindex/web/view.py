"""The image route: a request becomes a key, the key an answer, the answer a response."""

import logging
import time

from flask import Flask, Request, Response
from werkzeug.routing import BaseConverter

from plotindex.errors import RootLostError
from plotindex.index import Lookup, ScansBusyError, Source
from plotindex.rendering.thumbnails import WIDTHS, WRONG_WIDTH, Thumbnails
from plotindex.web.responses import respond_with_error, respond_with_plot
from plotindex.web.thumbs import respond_with_width

log = logging.getLogger(__name__)

NOT_FOUND = "Plot not found"


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
        return respond_with_error(400, WRONG_WIDTH)
    try:
        opened, source = lookup.open(session_id, filename, arguments.get("project"))
        if opened is None:
            return respond_not_found(source)
        if width is not None:
            return respond_with_width(thumbnails, width, opened, source, request, accel=accel)
        return respond_with_plot(opened, source, request, time.time_ns(), accel)
    except (ScansBusyError, RootLostError, OSError) as error:
        return respond_later(error)


def respond_later(error: ScansBusyError | RootLostError | OSError) -> Response:
    """503, with the seconds after which to ask again."""
    seconds = "1" if isinstance(error, ScansBusyError) else "5"
    message = str(error)
    if isinstance(error, OSError):
        log.warning("A plot cannot be read: %s", error.strerror)
        message = "The plot cannot be read now"
    return respond_with_error(503, message, Retry_After=seconds, Cache_Status=f"plotindex; {Source.MISS}")


def respond_not_found(source: Source = Source.MISS, message: str = NOT_FOUND) -> Response:
    """The one answer for what is not there and for what the caller may not see."""
    return respond_with_error(404, message, Cache_Status=f"plotindex; {source}")


def is_utf8(request: Request) -> bool:
    """Whether the path is; Werkzeug replaces what is not, and a replaced name could be that of another file."""
    path: str = request.environ.get("PATH_INFO", "")
    if path.isascii():
        return True
    try:
        path.encode("latin-1").decode()
    except UnicodeError:
        return False
    return True
