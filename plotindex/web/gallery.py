"""Pages for a browser: log in with a one-time code, see the sessions, see a session's latest plots."""

import time
from collections.abc import Callable

from flask import Blueprint, Response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from plotindex.access import Token
from plotindex.catalog import Catalog
from plotindex.errors import CatalogError
from plotindex.logins import COOKIE_SECONDS, Logins

LATEST_PLOTS = 200
LATEST_SESSIONS = 500
POLICY = (
    "default-src 'none'; img-src 'self'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)


def make_gallery(catalog: Catalog, logins: Logins, cookie: str, token_of: Callable[[], Token | None]) -> Blueprint:
    """The pages; `token_of` says what the current caller may see."""
    pages = Blueprint(
        "gallery", __name__, template_folder="templates", static_folder="static", static_url_path="/static"
    )

    @pages.get("/", strict_slashes=False)
    def sessions() -> AnyResponse | str:
        token = token_of()
        if token is None:
            return redirect(url_for("gallery.login"), 303)
        name = request.args.get("session")
        try:
            if name is None:
                seen = [row for row in catalog.latest_sessions() if token.allows(row.session)][:LATEST_SESSIONS]
                return render_template("sessions.html", sessions=seen, ago=_ago)
            plots = catalog.latest_plots(name, LATEST_PLOTS) if token.allows(name) else []
        except CatalogError:
            return Response(render_template("message.html", message="There is no catalogue yet."), 503)
        return render_template("session.html", session=name, plots=plots, ago=_ago, most=LATEST_PLOTS)

    @pages.get("/login")
    def login() -> str:
        # A link's preview asks for this page too; only the button uses the code up.
        return render_template("login.html", code=request.args.get("code", ""))

    @pages.post("/login")
    def log_in() -> AnyResponse:
        value = logins.consume_code(request.form.get("code", ""))
        if value is None:
            message = "This code was used already, or is older than ten minutes. `plotindex run` prints a new one."
            return Response(render_template("message.html", message=message), 401)
        response = redirect(url_for("gallery.sessions"), 303)
        response.set_cookie(
            cookie, value, max_age=COOKIE_SECONDS, httponly=True, samesite="Strict", secure=request.is_secure
        )
        return response

    @pages.post("/logout")
    def log_out() -> AnyResponse:
        response = redirect(url_for("gallery.login"), 303)
        response.delete_cookie(cookie, httponly=True, samesite="Strict", secure=request.is_secure)
        return response

    @pages.after_request
    def guard(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["X-Content-Type-Options"] = "nosniff"
        if request.endpoint != "gallery.static":
            response.headers["Cache-Control"] = "no-store"
        return response

    return pages


def _ago(mtime_ns: int) -> str:
    seconds = max(0, int(time.time() - mtime_ns / 1e9))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"
