"""plotindex's own application: the same views behind bearer tokens, cookies and signed addresses."""

import logging
from collections.abc import Callable

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, InternalServerError, NotFound
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.wrappers import Response as AnyResponse

from plotindex.config import Settings, load_settings
from plotindex.errors import PlotIndexError
from plotindex.index import CacheStatus, make_lookup
from plotindex.ops.metrics import Metrics
from plotindex.ops.request_counts import Recent
from plotindex.rendering.thumbnails import Thumbnails
from plotindex.system import request_id
from plotindex.tree import PlotKey
from plotindex.web.authentication import Callers, is_signed
from plotindex.web.errors import respond_not_found, respond_with_error
from plotindex.web.instrumentation import observe_lookups, observe_requests
from plotindex.web.views.gallery import Gallery
from plotindex.web.views.health import add_health
from plotindex.web.views.image import answer_plot, plot_rule
from plotindex.web.views.lists import Lists, Viewer
from plotindex.web.views.login import MOST_BYTES, ask_to_log_in, check_page, make_login
from plotindex.web.views.openapi import describe_api

ADDRESS_SECONDS = 3600
WAITING_SHARE = 4
"""A quarter of the threads, at most, wait for changes."""

log = logging.getLogger(__name__)


def create_app(settings: Settings | None = None, is_ending: Callable[[], bool] = lambda: False) -> Flask:
    """A WSGI application for any server; without settings they are read from the environment and plotindex.toml.

    `is_ending` says whether those who wait for changes are to be answered at once, since the process is about to end.

    Raises:
        SettingsError: a setting is missing or wrong.
    """
    settings = settings or load_settings({})
    app = Flask("plotindex", static_folder=None)
    # Nothing of any size is ever sent here: not to memory, nor to a temporary file.
    app.config["MAX_CONTENT_LENGTH"] = MOST_BYTES
    # No address is mended by a redirect, which would name the host that the caller has named.
    app.url_map.merge_slashes = False
    if settings.proxies:
        near = dict.fromkeys(("x_for", "x_proto", "x_host"), settings.proxies)
        app.wsgi_app = ProxyFix(app.wsgi_app, **near)  # type: ignore[method-assign]  # as Flask's manual has it
    lookup = make_lookup(settings)
    metrics = Metrics()
    observe_lookups(lookup, metrics, Recent(settings))
    observe_requests(app, settings, metrics)
    thumbnails = Thumbnails(settings, _drawing_threads(settings.threads))
    callers = Callers(settings)
    accel = settings.x_accel_prefix or None

    def plot(session_id: str, filename: str) -> Response:
        asked = request._get_current_object()  # type: ignore[attr-defined]  # the proxy costs at each use
        if not (is_signed(asked) and callers.holds_address(asked, session_id, filename)):
            caller = callers.identify(asked)
            if caller is None:
                return _refuse()
            # Decided before anything is looked up: what the caller may not see is not there.
            if not caller.token.allows(session_id):
                return respond_not_found()
        return answer_plot(lookup, thumbnails, asked, session_id, filename, accel=accel)

    def viewer() -> Viewer | Response:
        caller = callers.identify(request)
        if caller is None:
            return _refuse()
        token, by_bearer = caller

        def address(key: PlotKey, parameters: dict[str, str]) -> str:
            # A browser sends its cookie with each image; whoever has a token cannot send that with `<img>`.
            if not by_bearer:
                return request.script_root + callers.addresses.plain(key, parameters)
            return request.script_root + callers.addresses.signed(key, parameters, ADDRESS_SECONDS, token.id)

        return Viewer(token.allows, address, token.allows_all)

    prefix = settings.url_prefix
    lists = Lists(lookup, viewer, settings.threads // WAITING_SHARE, is_ending=is_ending)
    app.add_url_rule(plot_rule(app, prefix), "plot", plot, methods=["GET"])
    for rule, name, view in lists.routes(prefix):
        app.add_url_rule(rule, name, view, methods=["GET"])
    app.add_url_rule(f"{prefix}/openapi.json", "openapi", lambda: describe_api(prefix), methods=["GET"])
    add_health(app, lookup, metrics, callers)

    def viewer_of_page() -> Viewer | AnyResponse:
        caller = callers.identify(request)
        if caller is None:
            return ask_to_log_in()
        token = caller.token
        return Viewer(
            token.allows,
            lambda key, given: request.script_root + callers.addresses.plain(key, given),
            token.allows_all,
        )

    pages = Gallery(lookup, viewer_of_page, prefix, "login.log_out").blueprint("gallery", "")
    pages.before_request(check_page(callers))
    app.register_blueprint(pages)
    app.register_blueprint(make_login(callers))
    app.register_error_handler(HTTPException, _answer_http_error)
    app.register_error_handler(Exception, _answer_failure)
    return app


def _drawing_threads(threads: int) -> int:
    """How many threads may wait for drawings: beside those that wait for changes there is one for everything else."""
    return max(1, threads - threads // WAITING_SHARE - 1)


def _refuse() -> Response:
    if is_signed(request):
        message = "The signed address is over, or is not as it was signed"
    elif "Authorization" in request.headers:
        message = "The token is unknown, expired or revoked"
    else:
        message = "A bearer token is needed"
    return respond_with_error(401, message, WWW_Authenticate="Bearer")


def _answer_http_error(error: HTTPException) -> Response:
    is_absent = error.code == NotFound.code
    message = "There is nothing at this address" if is_absent else error.description or error.name
    response = respond_with_error(error.code or 500, message)
    if is_absent:
        response.headers["Cache-Status"] = f"plotindex; {CacheStatus.MISS}"
    for name, value in error.get_headers():
        if name.lower() not in ("content-type", "content-length"):
            response.headers[name] = value
    return response


def _answer_failure(error: Exception) -> Response:
    """500 with nothing but the request's id, which the log has too."""
    if isinstance(error, PlotIndexError):
        log.error("%s", error)
    else:
        log.error("A request failed", exc_info=error)
    return respond_with_error(InternalServerError.code, f"It failed; the log says why under {request_id.get()}")
