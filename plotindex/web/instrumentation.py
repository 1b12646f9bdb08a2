"""Request ids, metrics and the access log."""

import re
import secrets
import time

from flask import Flask, Response, request

from plotindex.config import Settings
from plotindex.index import CacheStatus, Lookup, LookupObserver
from plotindex.ops.metrics import Metrics
from plotindex.ops.request_counts import RequestCounter
from plotindex.system import AccessLog, AccessRecord, request_id

ID = re.compile(r"[\w.:+/=-]{1,64}", re.ASCII)
UNLOGGED_ENDPOINTS = {"healthz", "readyz", "metrics", "gallery.static"}
"""Endpoints whose 200 responses are not in the access log."""
INDEX_HITS = {CacheStatus.HIT, CacheStatus.UNWATCHED}
START_TIME = "plotindex.start_time"
"""Key in the WSGI environment; value by `time.perf_counter()`."""


def instrument_requests(app: Flask, settings: Settings, metrics: Metrics) -> None:
    """Give each request an id, count it and log it. Trusted proxies may set the id (X-Request-ID).

    Only 500 responses contain the id: 404 must be identical for missing plots and for those of other sessions.
    """

    access_log = AccessLog(settings.log_format)

    @app.before_request
    def start_request() -> None:
        given = request.environ.get("HTTP_X_REQUEST_ID", "") if settings.proxies else ""
        request.environ[START_TIME] = time.perf_counter()
        request_id.set(given if ID.fullmatch(given) else secrets.token_hex(6))

    @app.after_request
    def finish_request(response: Response) -> Response:
        metrics.count_response(request.endpoint or "none", response.status_code)
        if settings.access_log and (request.endpoint not in UNLOGGED_ENDPOINTS or response.status_code != 200):
            access_log.write(_access_record(response))
        return response


def _access_record(response: Response) -> AccessRecord:
    """Without the query string, which contains login codes and signatures."""
    environ = request.environ
    size = response.headers.get("Content-Length")
    return AccessRecord(
        environ.get("REMOTE_ADDR", ""),
        environ["REQUEST_METHOD"],
        request.path,
        response.status_code,
        int(size) if size else None,
        round((time.perf_counter() - environ[START_TIME]) * 1000, 3),
        response.headers.get("Cache-Status", "").partition("; ")[2] or None,
    )


def instrument_lookups(lookup: Lookup, metrics: Metrics, counter: RequestCounter) -> None:
    """Count each lookup and each scan."""

    def count_lookup(cache_status: CacheStatus, seconds: float) -> None:
        metrics.count_lookup(cache_status, seconds)
        counter.count("hits" if cache_status in INDEX_HITS else "misses")

    def count_scan(seconds: float) -> None:
        metrics.count_scan(seconds)
        counter.count("scans")

    lookup.observer = LookupObserver(count_lookup, count_scan)
