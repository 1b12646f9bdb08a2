"""Error answers, as JSON."""

import logging

from flask import Request, Response, jsonify

from plotindex.errors import RootLostError
from plotindex.index import CacheStatus, ScansBusyError

log = logging.getLogger(__name__)

NOT_FOUND = "Plot not found"


def respond_with_error(status: int, message: str, **headers: str) -> Response:
    """A JSON error. Header names are written with underscores."""
    response: Response = jsonify(error=message)
    response.status_code = status
    response.headers["Cache-Control"] = "no-store"
    for name, value in headers.items():
        response.headers[name.replace("_", "-")] = value
    return response


def respond_later(error: ScansBusyError | RootLostError | OSError) -> Response:
    """503, with the seconds after which to ask again."""
    seconds = "1" if isinstance(error, ScansBusyError) else "5"
    message = str(error)
    if isinstance(error, OSError):
        log.warning("A plot cannot be read: %s", error.strerror)
        message = "The plot cannot be read now"
    return respond_with_error(503, message, Retry_After=seconds, Cache_Status=f"plotindex; {CacheStatus.MISS}")


def respond_not_found(cache_status: CacheStatus = CacheStatus.MISS, message: str = NOT_FOUND) -> Response:
    """The one answer for what is not there and for what the caller may not see."""
    return respond_with_error(404, message, Cache_Status=f"plotindex; {cache_status}")


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
