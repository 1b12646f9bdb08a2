"""The stand-alone application: the views behind bearer tokens, cookies and signed URLs."""

import logging
from collections.abc import Callable
from typing import cast

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, InternalServerError, NotFound
from werkzeug.wrappers import Response as AnyResponse

from plotindex.config import Settings, load_settings
from plotindex.errors import PlotIndexError
from plotindex.index import CacheStatus, make_lookup
from plotindex.ops.metrics import Metrics
from plotindex.rendering.thumbnails import Thumbnails
from plotindex.system import request_id
from plotindex.tree import PlotKey
from plotindex.web.authentication import Authenticator, Caller, is_signed
from plotindex.web.direct_hits import DirectHits, Front
from plotindex.web.errors import respond_not_found, respond_with_error
from plotindex.web.instrumentation import RequestObserver
from plotindex.web.views.gallery import GalleryViews
from plotindex.web.views.health import add_health
from plotindex.web.views.image import plot_url_rule, serve_plot
from plotindex.web.views.lists import ListViews, Viewer
from plotindex.web.views.login import MAX_FORM_BYTES, login_blueprint, page_guard, redirect_to_login
from plotindex.web.views.openapi import describe_api

SIGNED_URL_SECONDS = 3600
THREADS_PER_WAITER = 4
"""At most a quarter of the threads wait for changes."""

log = logging.getLogger(__name__)


def create_app(settings: Settings | None = None, is_stopping: Callable[[], bool] = lambda: False) -> Flask:
    """A WSGI application for any server. Default settings: from the environment and plotindex.toml.

    While `is_stopping` returns True, requests that wait for changes are answered at once.

    Raises:
        SettingsError: a setting is missing or wrong.
    """
    settings = settings or load_settings({})
    app = Flask("plotindex", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_FORM_BYTES
    # Otherwise Werkzeug redirects `//` to an address made from the Host header.
    app.url_map.merge_slashes = False
    lookup = make_lookup(settings)
    metrics = Metrics()
    observer = RequestObserver(settings, metrics)
    observer.observe_lookups(lookup)
    observer.observe_requests(app)
    thumbnails = Thumbnails(settings, _drawing_threads(settings.threads))
    authenticator = Authenticator(settings)
    accel = settings.x_accel_prefix or None

    def authenticate() -> Caller | None:
        g.caller = authenticator.authenticate(request.environ)
        return cast("Caller | None", g.caller)

    @app.after_request
    def add_access_headers(response: Response) -> Response:
        caller = g.get("caller")
        for name, value in caller.headers if caller is not None else ():
            response.headers[name] = value
        return response

    def plot(session_id: str, filename: str) -> Response:
        current = request._get_current_object()  # type: ignore[attr-defined]  # the proxy is slow
        environ = current.environ
        parameters = list(current.args.items(multi=True)) if is_signed(environ) else []
        if not (parameters and authenticator.has_valid_signature(session_id, filename, parameters)):
            caller = authenticate()
            if caller is None:
                return _respond_unauthorized()
            # Before any lookup: another session must answer like a missing one.
            if not caller.token.allows(session_id):
                return respond_not_found()
        return serve_plot(lookup, thumbnails, current, session_id, filename, accel=accel)

    def viewer() -> Viewer | Response:
        caller = authenticate()
        if caller is None:
            return _respond_unauthorized()
        token, has_bearer = caller

        def plot_url(key: PlotKey, parameters: dict[str, str]) -> str:
            # `<img>` sends cookies but no bearer token.
            if not has_bearer:
                return request.script_root + authenticator.url_signer.unsigned_path(key, parameters)
            return request.script_root + authenticator.url_signer.sign(key, parameters, SIGNED_URL_SECONDS, token.id)

        return Viewer(token.sessions, plot_url, authenticator.clock_sealer, token.id)

    prefix = settings.url_prefix
    lists = ListViews(lookup, viewer, settings.threads // THREADS_PER_WAITER, is_stopping=is_stopping)
    app.add_url_rule(plot_url_rule(app, prefix), "plot", plot, methods=["GET"])
    for rule, name, view in lists.routes(prefix):
        app.add_url_rule(rule, name, view, methods=["GET"])
    app.add_url_rule(f"{prefix}/openapi.json", "openapi", lambda: describe_api(prefix), methods=["GET"])
    add_health(app, lookup, metrics, authenticator, observer)

    def viewer_of_page() -> Viewer | AnyResponse:
        caller = authenticate()
        if caller is None:
            return redirect_to_login()
        token = caller.token
        return Viewer(
            token.sessions,
            lambda key, given: request.script_root + authenticator.url_signer.unsigned_path(key, given),
            authenticator.clock_sealer,
            token.id,
        )

    pages = GalleryViews(lookup, viewer_of_page, prefix, "login.log_out", settings.frame_ancestors).blueprint(
        "gallery", ""
    )
    pages.before_request(page_guard(authenticator))
    app.register_blueprint(pages)
    app.register_blueprint(login_blueprint(authenticator))
    app.register_error_handler(HTTPException, _respond_http_error)
    app.register_error_handler(Exception, _respond_internal_error)
    front = Front(app.wsgi_app, DirectHits(settings, lookup, thumbnails, authenticator, observer), settings.proxies)
    app.wsgi_app = front  # type: ignore[method-assign]  # as in Flask's manual
    return app


def _drawing_threads(threads: int) -> int:
    """Threads that may wait for the renderer: all but those that wait for changes and one for other requests."""
    return max(1, threads - threads // THREADS_PER_WAITER - 1)


def _respond_unauthorized() -> Response:
    if is_signed(request.environ):
        message = "The signed URL is invalid or has expired"
    elif "Authorization" in request.headers:
        message = "The token is unknown, expired or revoked"
    else:
        message = "Bearer token required"
    return respond_with_error(401, message, WWW_Authenticate="Bearer")


def _respond_http_error(error: HTTPException) -> Response:
    is_not_found = error.code == NotFound.code
    message = "Not found" if is_not_found else error.description or error.name
    response = respond_with_error(error.code or 500, message)
    if is_not_found:
        response.headers["Cache-Status"] = f"plotindex; {CacheStatus.MISS}"
    for name, value in error.get_headers():
        if name.lower() not in ("content-type", "content-length"):
            response.headers[name] = value
    return response


def _respond_internal_error(error: Exception) -> Response:
    """500 with the request's id only; the error is in the log."""
    if isinstance(error, PlotIndexError):
        log.error("%s", error)
    else:
        log.error("Request failed", exc_info=error)
    return respond_with_error(
        InternalServerError.code, f"Internal error; see the server log, request {request_id.get()}"
    )
