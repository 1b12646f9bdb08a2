"""JSON error responses."""

import logging

from flask import Response, jsonify

from plotindex.errors import RootLostError
from plotindex.index import CacheStatus, ScansBusyError
from plotindex.rendering.protocol import REASONS, Outcome

log = logging.getLogger(__name__)

NOT_FOUND = "Plot not found"
FOREIGN_FORM = "This form was sent by another site"


def respond_with_error(status: int, message: str, **headers: str) -> Response:
    """A JSON error. Underscores in the names of `headers` become hyphens."""
    response: Response = jsonify(error=message)
    response.status_code = status
    response.headers["Cache-Control"] = "no-store"
    for name, value in headers.items():
        response.headers[name.replace("_", "-")] = value
    return response


def respond_unavailable(error: ScansBusyError | RootLostError | OSError) -> Response:
    """503 with Retry-After."""
    seconds = "1" if isinstance(error, ScansBusyError) else "5"
    message = str(error)
    if isinstance(error, OSError):
        log.warning("Cannot read a plot: %s", error.strerror)
        message = "The plot cannot be read; retry later"
    return respond_with_error(503, message, Retry_After=seconds, Cache_Status=f"plotindex; {CacheStatus.MISS}")


def respond_catalog_unavailable() -> Response:
    """503 with Retry-After."""
    return respond_with_error(503, "The catalogue is not available; retry later", Retry_After="5")


def respond_history_unavailable() -> Response:
    """503 with Retry-After."""
    return respond_with_error(503, "The history is not available; retry later", Retry_After="5")


def respond_without_picture(outcome: Outcome, cache_status: CacheStatus) -> Response:
    """422 with the reason, or 503 with Retry-After."""
    status = f"plotindex; {cache_status}"
    if outcome in REASONS:
        return respond_with_error(422, f"No picture: {REASONS[outcome]}", Cache_Status=status)
    return respond_with_error(503, "The picture cannot be drawn now; retry later", Retry_After="2", Cache_Status=status)


def respond_not_found(cache_status: CacheStatus = CacheStatus.MISS, message: str = NOT_FOUND) -> Response:
    """404, identical for a missing plot and for one that the caller may not see."""
    return respond_with_error(404, message, Cache_Status=f"plotindex; {cache_status}")
