"""The image route: a request becomes a key, the key an answer, the answer a response."""

import logging
import time

from flask import Flask, Request, Response
from werkzeug.routing import BaseConverter

from plotindex.errors import RootLostError
from plotindex.lookup import Lookup, ScansBusyError, Source
from plotindex.web.responses import respond_with_error, respond_with_plot

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


def answer_plot(lookup: Lookup, request: Request, session_id: str, filename: str) -> Response:
    """The plot that a key answers with, or 404; 503 when it cannot be said now."""
    if not _is_utf8(request):
        return respond_not_found()
    try:
        answer = lookup.open(session_id, filename, request.args.get("project"))
    except ScansBusyError as error:
        return respond_with_error(503, str(error), Retry_After="1", Cache_Status="plotindex; fwd=miss")
    except OSError as error:
        log.warning("A plot cannot be opened: %s", error.strerror)
        return respond_with_error(
            503, "The plot cannot be read now", Retry_After="5", Cache_Status="plotindex; fwd=miss"
        )
    except RootLostError as error:
        return respond_with_error(503, str(error), Retry_After="5", Cache_Status="plotindex; fwd=miss")
    if answer.opened is None:
        return respond_not_found(answer.source)
    return respond_with_plot(answer.opened, answer.source, request, time.time_ns())


def respond_not_found(source: Source = Source.MISS) -> Response:
    """The one answer for what is not there and for what the caller may not see."""
    return respond_with_error(404, NOT_FOUND, Cache_Status=f"plotindex; {source}")


def _is_utf8(request: Request) -> bool:
    # Werkzeug replaces what is not UTF-8; a replaced name could be that of another file.
    path: str = request.environ.get("PATH_INFO", "")
    if path.isascii():
        return True
    try:
        path.encode("latin-1").decode()
    except UnicodeError:
        return False
    return True
