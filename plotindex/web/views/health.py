"""Health checks and metrics: /healthz, /readyz, /metrics."""

from flask import Flask, Response, jsonify, request

from plotindex.history.access import History
from plotindex.index import Lookup
from plotindex.ops.metrics import Metrics
from plotindex.web.authentication import Authenticator
from plotindex.web.errors import respond_with_error
from plotindex.web.instrumentation import RequestObserver


def add_health(
    app: Flask,
    lookup: Lookup,
    history: History,
    *,
    metrics: Metrics,
    authenticator: Authenticator,
    observer: RequestObserver,
) -> None:
    """Add /healthz and /readyz, which are public and disclose no names, and /metrics, which needs a token."""

    def healthz() -> Response:
        response = Response("ok\n", mimetype="text/plain")
        # Identifies plotindex among programs that may use the port (RFC 9211).
        response.headers["Cache-Status"] = "plotindex"
        return _no_store(response)

    def readyz() -> Response:
        reason = lookup.degraded_reason()
        response = jsonify({"ready": reason is None} if reason is None else {"ready": False, "reason": reason})
        response.status_code = 503 if reason else 200
        if reason:
            response.headers["Retry-After"] = "5"
        return _no_store(response)

    def export_metrics() -> Response:
        caller = authenticator.authenticate(request.environ)
        if caller is None or not caller.has_bearer:
            return respond_with_error(401, "Bearer token required", WWW_Authenticate="Bearer")
        if not caller.token.allows_metrics:
            return respond_with_error(
                403, "This token is limited to sessions; /metrics needs an unrestricted token or a metrics token"
            )
        observer.flush()
        content_type, content = metrics.exposition(lookup.catalog, request.headers.get("Accept", ""), history.store)
        return _no_store(Response(content, content_type=content_type))

    app.add_url_rule("/healthz", "healthz", healthz)
    app.add_url_rule("/readyz", "readyz", readyz)
    app.add_url_rule("/metrics", "metrics", export_metrics)


def _no_store(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    return response
