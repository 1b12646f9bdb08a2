"""The stand-alone application: the views behind bearer tokens, cookies and signed URLs."""

import logging
from collections.abc import Callable
from functools import partial
from typing import cast

from flask import Flask, Request, Response, g, request
from werkzeug.exceptions import HTTPException, InternalServerError, NotFound
from werkzeug.wrappers import Response as AnyResponse

from plotindex.auth import Token
from plotindex.comparison.background import BackgroundComparer
from plotindex.config import Settings, load_settings
from plotindex.errors import PlotIndexError
from plotindex.history.access import History
from plotindex.index import REQUEST_DATABASE_SECONDS, CacheStatus, make_lookup
from plotindex.ops.metrics import Metrics
from plotindex.rendering.thumbnails import Thumbnails
from plotindex.system import request_id
from plotindex.web.authentication import Authenticator, Caller, is_signed
from plotindex.web.compression import compress
from plotindex.web.direct_hits import DirectHits, Front
from plotindex.web.entries import below
from plotindex.web.errors import FOREIGN_FORM, respond_not_found, respond_with_error
from plotindex.web.instrumentation import RequestObserver
from plotindex.web.kept_versions import KeptAccess
from plotindex.web.views.diff import DiffViews
from plotindex.web.views.export import ExportViews
from plotindex.web.views.facts import FactsViews
from plotindex.web.views.gallery import GalleryViews
from plotindex.web.views.health import add_health
from plotindex.web.views.history import HistoryViews
from plotindex.web.views.image import plot_url_rule, serve_plot
from plotindex.web.views.like import LikeViews
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
    history = History.from_settings(settings, lookup.tree, REQUEST_DATABASE_SECONDS)
    metrics = Metrics()
    observer = RequestObserver(settings, metrics)
    observer.observe_lookups(lookup)
    observer.observe_requests(app)
    thumbnails = Thumbnails(settings, _drawing_threads(settings.threads))
    authenticator = Authenticator(settings)

    def authenticate() -> Caller | None:
        g.caller = authenticator.authenticate(request.environ)
        return cast("Caller | None", g.caller)

    @app.after_request
    def finish_response(response: Response) -> Response:
        caller = g.get("caller")
        for name, value in caller.headers if caller is not None else ():
            response.headers[name] = value
        return compress(request, response)

    def plot(session_id: str, filename: str) -> Response:
        current = request._get_current_object()  # type: ignore[attr-defined]  # the proxy is slow
        token = _authorize_plot(authenticator, authenticate, current, session_id, filename)
        if isinstance(token, Response):
            return token
        kept = KeptAccess(history, is_limited=not token.allows_all)
        return serve_plot(
            lookup, thumbnails, current, session_id, filename, kept=kept, accel=settings.x_accel_prefix or None
        )

    def viewer() -> Viewer | Response:
        caller = authenticate()
        if caller is None:
            return _respond_unauthorized()
        token, has_bearer = caller
        # `<img>` sends cookies but no bearer token.
        signer = authenticator.url_signer
        path_of = signer.prepare(SIGNED_URL_SECONDS, token.id) if has_bearer else signer.unsigned_path
        return Viewer(token.sessions, below(request.script_root, path_of), authenticator.clock_sealer, token.id)

    prefix = settings.url_prefix
    lists = ListViews(lookup, viewer, settings.threads // THREADS_PER_WAITER, is_stopping=is_stopping)
    app.add_url_rule(plot_url_rule(app, prefix), "plot", plot, methods=["GET"])
    check_form = partial(_check_form, authenticator)
    for views in (
        lists,
        HistoryViews(lookup, history, viewer),
        FactsViews(lookup, viewer),
        ExportViews(lookup, viewer, settings.export_mb, check_form),
        LikeViews(lookup, history, viewer, check_form),
        DiffViews(lookup, history, BackgroundComparer.from_settings(settings, lookup, history, is_stopping), viewer),
    ):
        for rule, name, view, method in views.routes(prefix):
            app.add_url_rule(rule, name, view, methods=[method])
    app.add_url_rule(f"{prefix}/openapi.json", "openapi", lambda: describe_api(prefix), methods=["GET"])
    add_health(app, lookup, history, metrics=metrics, authenticator=authenticator, observer=observer)

    def viewer_of_page() -> Viewer | AnyResponse:
        caller = authenticate()
        if caller is None:
            return redirect_to_login()
        path_of = below(request.script_root, authenticator.url_signer.unsigned_path)
        return Viewer(caller.token.sessions, path_of, authenticator.clock_sealer, caller.token.id)

    pages = GalleryViews(
        lookup,
        history,
        viewer_of_page,
        prefix,
        logout_endpoint="login.log_out",
        frame_ancestors=settings.frame_ancestors,
    ).blueprint("gallery", "")
    pages.before_request(page_guard(authenticator))
    app.register_blueprint(pages)
    app.register_blueprint(login_blueprint(authenticator))
    app.register_error_handler(HTTPException, _respond_http_error)
    app.register_error_handler(Exception, _respond_internal_error)
    front = Front(app.wsgi_app, DirectHits(settings, lookup, thumbnails, authenticator, observer), settings.proxies)
    app.wsgi_app = front  # type: ignore[method-assign]  # as in Flask's manual
    return app


def _authorize_plot(
    authenticator: Authenticator,
    authenticate: Callable[[], Caller | None],
    request: Request,
    session_id: str,
    filename: str,
) -> Token | Response:
    """The token by which the caller may see a plot, or the answer to one who may not."""
    parameters = list(request.args.items(multi=True)) if is_signed(request.environ) else []
    if parameters and (token := authenticator.signing_token(session_id, filename, parameters)):
        return token
    caller = authenticate()
    if caller is None:
        return _respond_unauthorized()
    # Before any lookup: another session must answer like a missing one.
    return caller.token if caller.token.allows(session_id) else respond_not_found()


def _check_form(authenticator: Authenticator) -> Response | None:
    """The answer to a form of another site that an authenticated caller has sent by cookie; else None."""
    if g.caller.has_bearer or authenticator.is_same_origin(request):
        return None
    return respond_with_error(403, FOREIGN_FORM)


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
