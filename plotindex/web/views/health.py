"""Whether the server is alive, whether it can answer truthfully, and its numbers."""

from flask import Flask, Response, jsonify, request

from plotindex.index import Lookup
from plotindex.ops.metrics import Metrics
from plotindex.web.authentication import Callers
from plotindex.web.errors import respond_with_error

UNCACHED = "no-store"


def add_health(app: Flask, lookup: Lookup, metrics: Metrics, callers: Callers) -> None:
    """Mount /healthz and /readyz, which are open and name nothing, and /metrics, which takes a token."""

    def healthz() -> Response:
        response = Response("ok\n", mimetype="text/plain")
        # By which it is known from whoever else holds the port (RFC 9211).
        response.headers["Cache-Status"] = "plotindex"
        return _uncached(response)

    def readyz() -> Response:
        reason = lookup.degraded_reason()
        response = jsonify({"ready": reason is None} if reason is None else {"ready": False, "reason": reason})
        response.status_code = 503 if reason else 200
        if reason:
            response.headers["Retry-After"] = "5"
        return _uncached(response)

    def answer_metrics() -> Response:
        caller = callers.identify(request)
        if caller is None or not caller.by_bearer:
            return respond_with_error(401, "A bearer token is needed", WWW_Authenticate="Bearer")
        if not caller.token.opens_metrics:
            return respond_with_error(
                403, "This token is for sessions: /metrics takes one for all, or for metrics alone"
            )
        content_type, content = metrics.exposition(lookup.catalog, request.headers.get("Accept", ""))
        return _uncached(Response(content, content_type=content_type))

    app.add_url_rule("/healthz", "healthz", healthz)
    app.add_url_rule("/readyz", "readyz", readyz)
    app.add_url_rule("/metrics", "metrics", answer_metrics)


def _uncached(response: Response) -> Response:
    response.headers["Cache-Control"] = UNCACHED
    return response
