"""Request ids, metrics and the access log."""

import atexit
import os
import re
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from typing import Any, NamedTuple

from flask import Flask, Response, request

from plotindex.config import Settings
from plotindex.index import CacheStatus, Lookup, LookupObserver
from plotindex.ops.metrics import Metrics
from plotindex.ops.request_counts import RequestCounter
from plotindex.system import AccessLog, AccessRecord, call_after_fork, request_id
from plotindex.web.conditions import OK

ID = re.compile(r"[\w.:+/=-]{1,64}", re.ASCII)
UNLOGGED_ENDPOINTS = {"healthz", "readyz", "metrics", "gallery.static"}
"""Endpoints whose 200 responses are not in the access log."""
INDEX_HITS = {CacheStatus.HIT, CacheStatus.UNWATCHED}
FLUSH_SECONDS = 0.2
START_TIME = "plotindex.start_time"
"""Key in the WSGI environment; value by `time.perf_counter()`."""

Headers = Iterable[tuple[str, str]]


class Observation(NamedTuple):
    """What one request leaves behind."""

    endpoint: str = ""
    status: int = 0
    access: AccessRecord | None = None
    lookup: tuple[CacheStatus, float] | None = None
    scan: float | None = None


class RequestObserver:
    """Gives each request an id, counts it and logs it. Trusted proxies may set the id (X-Request-ID).

    Only 500 responses contain the id: 404 must be identical for missing plots and for those of other sessions.
    A thread records observations a moment later, many at once: one by one they cost half of a hit.
    """

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._metrics = metrics
        self._recent = RequestCounter(settings)
        self._trusts_ids = bool(settings.proxies)
        self._log = AccessLog(settings.log_format) if settings.access_log else None
        self._reset()
        call_after_fork(self._reset)
        atexit.register(self.flush)

    def _reset(self) -> None:
        """Also in a forked child, which has no thread and nothing to record."""
        self._lock = threading.Lock()
        self._pending: deque[Observation] = deque()
        self._wake = threading.Event()
        self._has_thread: bool = False
        self._id_prefix = os.urandom(3).hex()
        self._numbers = count()

    def start(self, environ: dict[str, Any]) -> None:
        """Note when the request came, and choose its id."""
        given = environ.get("HTTP_X_REQUEST_ID", "") if self._trusts_ids else ""
        environ[START_TIME] = time.perf_counter()
        request_id.set(
            given if given and ID.fullmatch(given) else f"{self._id_prefix}{next(self._numbers) & 0xFFFFFF:06x}"
        )

    def finish(self, environ: Mapping[str, Any], endpoint: str, path: str, status: int, headers: Headers) -> None:
        """Observe an answer; without the query string, which contains login codes and signatures."""
        access = None
        if self._log is not None and (endpoint not in UNLOGGED_ENDPOINTS or status != OK):
            size, answered = None, None
            for name, value in headers:
                if name == "Content-Length":
                    size = int(value)
                elif name == "Cache-Status":
                    answered = value.partition("; ")[2] or None
            milliseconds = round((time.perf_counter() - environ[START_TIME]) * 1000, 3)
            remote, method = environ.get("REMOTE_ADDR", ""), environ["REQUEST_METHOD"]
            access = AccessRecord(
                remote, method, path, status, size, milliseconds, answered, request_id.get(), time.time()
            )
        self._add(Observation(endpoint, status, access))

    def observe_lookups(self, lookup: Lookup) -> None:
        """Observe each lookup and each scan."""
        lookup.observer = LookupObserver(
            lambda cache_status, seconds: self._add(Observation(lookup=(cache_status, seconds))),
            lambda seconds: self._add(Observation(scan=seconds)),
        )

    def observe_requests(self, app: Flask) -> None:
        """Observe the requests that the application answers."""

        @app.before_request
        def start_request() -> None:
            self.start(request.environ)

        @app.after_request
        def finish_request(response: Response) -> Response:
            endpoint = request.endpoint or "none"
            self.finish(request.environ, endpoint, request.path, response.status_code, response.headers)
            return response

    def flush(self) -> None:
        """Record what was observed until now."""
        with self._lock:
            observations = [self._pending.popleft() for _ in range(len(self._pending))]
            self._record(observations)

    def _record(self, observations: Sequence[Observation]) -> None:
        for (endpoint, status), number in Counter((o.endpoint, o.status) for o in observations if o.endpoint).items():
            self._metrics.count_responses(endpoint, status, number)
        hits = misses = 0
        for observation in observations:
            if observation.lookup is not None:
                self._metrics.count_lookup(*observation.lookup)
                is_hit = observation.lookup[0] in INDEX_HITS
                hits, misses = hits + is_hit, misses + (not is_hit)
        scans = [observation.scan for observation in observations if observation.scan is not None]
        for seconds in scans:
            self._metrics.count_scan(seconds)
        if hits or misses or scans:
            self._recent.count(hits, misses, len(scans))
        if observations:
            self._metrics.publish()
        if self._log is not None:
            self._log.write(observation.access for observation in observations if observation.access is not None)

    def _add(self, observation: Observation) -> None:
        self._pending.append(observation)
        if not self._wake.is_set():
            self._wake.set()
            if not self._has_thread:
                self._has_thread = True
                threading.Thread(target=self._flush_repeatedly, daemon=True).start()

    def _flush_repeatedly(self) -> None:
        while True:
            self._wake.wait()
            time.sleep(FLUSH_SECONDS)
            self._wake.clear()
            self.flush()
