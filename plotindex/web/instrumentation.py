"""Each request has an id, is counted, and is a line of the access log."""

import re
import secrets
import time

from flask import Flask, Response, request

from plotindex.config import Settings
from plotindex.index import CacheStatus, Lookup, LookupObserver
from plotindex.ops.metrics import Metrics
from plotindex.ops.request_counts import HITS, MISSES, SCANS, Recent
from plotindex.system import AccessLog, AccessRecord, request_id

ID = re.compile(r"[\w.:+/=-]{1,64}", re.ASCII)
ASKED_OFTEN = {"healthz", "readyz", "metrics", "gallery.static"}
"""Endpoints of which each answer that is as it should be is no line of the log."""
CATALOGUED = {CacheStatus.HIT, CacheStatus.UNWATCHED}
BEGAN = "plotindex.began"


def observe_requests(app: Flask, settings: Settings, metrics: Metrics) -> None:
    """Name, count and log each request. Behind proxies that are believed, an id that they give is taken on.

    No answer has it, but for 500: what may not be seen is answered byte for byte like what is not there.
    """

    access_log = AccessLog(settings.log_format)

    @app.before_request
    def begin() -> None:
        given = request.environ.get("HTTP_X_REQUEST_ID", "") if settings.proxies else ""
        request.environ[BEGAN] = time.perf_counter()
        request_id.set(given if ID.fullmatch(given) else secrets.token_hex(6))

    @app.after_request
    def end(response: Response) -> Response:
        metrics.count_response(request.endpoint or "none", response.status_code)
        if settings.access_log and (request.endpoint not in ASKED_OFTEN or response.status_code != 200):
            access_log.write(_describe(response))
        return response


def _describe(response: Response) -> AccessRecord:
    """Without the query: codes and signatures stand there."""
    environ = request.environ
    size = response.headers.get("Content-Length")
    return AccessRecord(
        environ.get("REMOTE_ADDR", ""),
        environ["REQUEST_METHOD"],
        request.path,
        response.status_code,
        int(size) if size else None,
        round((time.perf_counter() - environ[BEGAN]) * 1000, 3),
        response.headers.get("Cache-Status", "").partition("; ")[2] or None,
    )


def observe_lookups(lookup: Lookup, metrics: Metrics, recent: Recent) -> None:
    """Count each look-up and each scan."""

    def on_lookup(cache_status: CacheStatus, seconds: float) -> None:
        metrics.count_lookup(cache_status, seconds)
        recent.count(HITS if cache_status in CATALOGUED else MISSES)

    def on_scan(seconds: float) -> None:
        metrics.count_scan(seconds)
        recent.count(SCANS)

    lookup.observer = LookupObserver(on_lookup, on_scan)
