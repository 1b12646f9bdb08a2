"""Pages for a browser: log in with a one-time code, see the sessions, see a session's latest plots."""

import threading
import time
from math import ceil

from flask import Blueprint, Response, redirect, render_template, request, url_for
from werkzeug.exceptions import RequestEntityTooLarge, ServiceUnavailable
from werkzeug.wrappers import Response as AnyResponse

from plotindex.catalog import Catalog
from plotindex.errors import CatalogError
from plotindex.web.callers import Callers
from plotindex.web.throttle import Throttle

LATEST_PLOTS = 200
MOST_BYTES = 1_000
LATEST_SESSIONS = 500
POLICY = (
    "default-src 'none'; img-src 'self'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)


def make_gallery(catalog: Catalog, callers: Callers) -> Blueprint:
    """The pages, for those whom `callers` recognises."""
    throttle = Throttle()
    reading = threading.Semaphore()
    pages = Blueprint(
        "gallery", __name__, template_folder="templates", static_folder="static", static_url_path="/static"
    )

    @pages.before_request
    def check_host() -> AnyResponse | None:
        if request.method == "POST" and not callers.comes_from_here(request):
            return _say("This was asked for by a page of somebody else's: open the address yourself.", 403)
        if callers.knows_host(request):
            return None
        message = (
            "This server does not go by that name: open it by its address, or set PLOTINDEX_PUBLIC_URL to the name."
        )
        return _say(message, 421)

    @pages.get("/", strict_slashes=False)
    def sessions() -> AnyResponse | str:
        caller = callers.identify(request)
        if caller is None:
            return redirect(url_for("gallery.login"), 303)
        token = caller.token
        name = request.args.get("session")
        try:
            if name is None:
                seen = [row for row in catalog.latest_sessions() if token.allows(row.session)][:LATEST_SESSIONS]
                return render_template("sessions.html", sessions=seen, ago=_ago)
            plots = catalog.latest_plots(name, LATEST_PLOTS) if token.allows(name) else []
        except CatalogError:
            return _say("There is no catalogue yet.", 503)
        return render_template("session.html", session=name, plots=plots, ago=_ago, most=LATEST_PLOTS)

    @pages.get("/login")
    def login() -> str:
        # A link's preview asks for this page too; only the button uses the code up.
        return render_template("login.html", code=request.args.get("code", ""))

    @pages.post("/login")
    def log_in() -> AnyResponse:
        wait = ceil(throttle.seconds_left(request.remote_addr))
        if wait:
            refused = _say(f"Too many logins from your address have failed: try again in {wait} seconds.", 429)
            refused.headers["Retry-After"] = str(wait)
            return refused
        value = callers.logins.consume_code(_read_code(reading))
        if value is None:
            throttle.note_failure(request.remote_addr)
            message = (
                "This code was used already, or is older than ten minutes. `plotindex token link` prints a new one."
            )
            return _say(message, 401)
        throttle.forget(request.remote_addr)
        response = redirect(url_for("gallery.sessions"), 303)
        callers.set_cookie(request, response, value)
        return response

    @pages.post("/logout")
    def log_out() -> AnyResponse:
        response = redirect(url_for("gallery.login"), 303)
        callers.end_cookie(request, response)
        return response

    @pages.after_request
    def guard(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = POLICY
        # With no-referrer a browser would not say, either, that a form comes from here.
        response.headers["Referrer-Policy"] = "same-origin"
        response.headers["X-Content-Type-Options"] = "nosniff"
        if request.endpoint != "gallery.static":
            response.headers["Cache-Control"] = "no-store"
        return response

    return pages


def _read_code(reading: threading.Semaphore) -> str:
    """The code of a login, by the address as the page's form has it, or by a small form of somebody else's.

    Who sends a body slowly holds a thread: so at most one does, and no login that a page asks for waits for it.
    """
    code = request.args.get("code")
    if code is not None:
        return code
    if request.mimetype != "application/x-www-form-urlencoded" or not 0 < (request.content_length or 0) <= MOST_BYTES:
        raise RequestEntityTooLarge("A login is a form that holds a code and nothing else")
    if not reading.acquire(blocking=False):
        raise ServiceUnavailable("Somebody else is logging in: ask again", retry_after=1)
    try:
        return request.form.get("code", "")
    finally:
        reading.release()


def _say(message: str, status: int) -> Response:
    return Response(render_template("message.html", message=message), status)


def _ago(mtime_ns: int) -> str:
    seconds = max(0, int(time.time() - mtime_ns / 1e9))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"
