"""plotindex's own application: the same view behind bearer tokens."""

import logging
import os
import secrets
from hashlib import blake2b

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, InternalServerError, NotFound

from plotindex.access import Token, Tokens
from plotindex.errors import PlotIndexError
from plotindex.logins import Logins
from plotindex.lookup import Source
from plotindex.settings import Settings, load_settings
from plotindex.web.extension import make_lookup
from plotindex.web.gallery import make_gallery
from plotindex.web.responses import respond_with_error
from plotindex.web.view import answer_plot, plot_rule, respond_not_found

log = logging.getLogger(__name__)


def create_app(settings: Settings | None = None) -> Flask:
    """A WSGI application for any server; without settings they are read from the environment and plotindex.toml.

    Raises:
        SettingsError: a setting is missing or wrong.
    """
    settings = settings or load_settings({})
    app = Flask("plotindex", static_folder=None)
    # No address is mended by a redirect, which would name the host that the caller has named.
    app.url_map.merge_slashes = False
    lookup = make_lookup(settings)
    tokens = Tokens(settings.state_folder / "tokens.json")
    logins = Logins(settings.state_folder, tokens)
    # A name of its own for each instance: cookies take no notice of ports.
    cookie = f"plotindex_{blake2b(os.fsencode(settings.state_folder), digest_size=4).hexdigest()}"

    def token_of() -> Token | None:
        """What the caller may see: a program brings a bearer token, a browser a cookie."""
        scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
        if scheme:
            return tokens.check(secret.strip()) if scheme.lower() == "bearer" else None
        return logins.check_cookie(request.cookies.get(cookie, ""))

    def plot(session_id: str, filename: str) -> Response:
        token = token_of()
        if token is None:
            sent = "Authorization" in request.headers
            message = "The token is unknown, expired or revoked" if sent else "A bearer token is needed"
            return respond_with_error(401, message, WWW_Authenticate="Bearer")
        # Decided before anything is looked up: what the caller may not see is not there.
        if not token.allows(session_id):
            return respond_not_found()
        return answer_plot(lookup, request, session_id, filename)

    rule = plot_rule(app, settings.url_prefix)
    app.add_url_rule(rule, "plot", plot, methods=["GET"])
    app.register_blueprint(make_gallery(lookup.catalog, logins, cookie, token_of))
    app.add_url_rule("/healthz", "healthz", _healthz)
    app.register_error_handler(HTTPException, _answer_http_error)
    app.register_error_handler(Exception, _answer_failure)
    return app


def _healthz() -> Response:
    return Response("ok\n", mimetype="text/plain")


def _answer_http_error(error: HTTPException) -> Response:
    response = respond_with_error(error.code or 500, error.description or error.name)
    if error.code == NotFound.code:
        response.headers["Cache-Status"] = f"plotindex; {Source.MISS}"
    for name, value in error.get_headers():
        if name.lower() not in ("content-type", "content-length"):
            response.headers[name] = value
    return response


def _answer_failure(error: Exception) -> Response:
    """500 with nothing but an id, which the log has too."""
    number = secrets.token_hex(4)
    if isinstance(error, PlotIndexError):
        log.error("%s [%s]", error, number)
    else:
        log.error("A request failed [%s]", number, exc_info=error)
    return respond_with_error(InternalServerError.code, f"It failed; the log says why under {number}")
