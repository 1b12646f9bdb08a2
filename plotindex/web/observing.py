"""Each request has an id, is counted, and is a line of the access log."""

import logging
import re
import secrets
import time

from flask import Flask, Response, g, request

from plotindex.layout import printable
from plotindex.logs import request_id
from plotindex.lookup import Lookup, Observer, Source
from plotindex.metrics import Metrics
from plotindex.recent import Counts, Recent
from plotindex.settings import Settings

ID = re.compile(r"[\w.:+/=-]{1,64}", re.ASCII)
ASKED_OFTEN = {"healthz", "readyz", "metrics", "gallery.static"}
"""Endpoints of which each answer that is as it should be is no line of the log."""
HIT, MISS, SCAN = Counts(hits=1), Counts(misses=1), Counts(scans=1)

log = logging.getLogger("plotindex.access")


def observe_requests(app: Flask, settings: Settings, metrics: Metrics) -> None:
    """Name, count and log each request. Behind proxies that are believed, an id that they give is taken on.

    No answer has it, but for 500: what may not be seen is answered byte for byte like what is not there.
    """

    @app.before_request
    def begin() -> None:
        given = request.environ.get("HTTP_X_REQUEST_ID", "") if settings.proxies else ""
        g.began = time.perf_counter()
        request_id.set(given if ID.fullmatch(given) else secrets.token_hex(6))

    @app.after_request
    def end(response: Response) -> Response:
        metrics.count_response(request.endpoint or "none", response.status_code)
        if settings.access_log and (request.endpoint not in ASKED_OFTEN or response.status_code != 200):
            log_request(response)
        return response


def log_request(response: Response) -> None:
    """One line, without the query: codes and signatures stand there."""
    milliseconds = (time.perf_counter() - g.began) * 1000
    fields = {
        "remote": request.remote_addr,
        "method": request.method,
        "path": request.path,
        "status": response.status_code,
        "bytes": response.content_length,
        "milliseconds": round(milliseconds, 3),
        "answered": response.headers.get("Cache-Status", "").partition("; ")[2] or None,
    }
    log.info(
        "%s %s %s %d %s %.1f ms%s",
        *(fields["remote"], fields["method"], printable(request.path), response.status_code),
        *("-" if fields["bytes"] is None else fields["bytes"], milliseconds),
        f" {fields['answered']}" if fields["answered"] else "",
        extra={"fields": fields},
    )


def observe_lookups(lookup: Lookup, metrics: Metrics, recent: Recent) -> None:
    """Count each look-up and each scan."""

    def looked_up(source: Source, seconds: float) -> None:
        metrics.count_lookup(source, seconds)
        recent.count(HIT if source in (Source.HIT, Source.UNWATCHED) else MISS)

    def scanned(seconds: float) -> None:
        metrics.count_scan(seconds)
        recent.count(SCAN)

    lookup.observer = Observer(looked_up, scanned)
