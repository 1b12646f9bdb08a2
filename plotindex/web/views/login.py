"""Logging in with a one-time code, and out."""

import logging
import threading
from collections.abc import Callable
from math import ceil
from urllib.parse import quote

from flask import Blueprint, Response, redirect, request, url_for
from werkzeug.exceptions import RequestEntityTooLarge, ServiceUnavailable
from werkzeug.wrappers import Response as AnyResponse

from plotindex.errors import SettingsError
from plotindex.web.authentication import Authenticator
from plotindex.web.login_throttle import LoginThrottle
from plotindex.web.templating import render_message, render_page
from plotindex.web.views.gallery import add_headers

MAX_FORM_BYTES = 1_000
MAX_PATH_LENGTH = 1_000

log = logging.getLogger(__name__)


def login_blueprint(authenticator: Authenticator) -> Blueprint:
    """The pages that log in and out, before the blueprint `gallery`."""
    throttle = LoginThrottle()
    reading = threading.Semaphore()
    pages = Blueprint("login", __name__)
    pages.before_request(page_guard(authenticator))
    pages.after_request(add_headers)
    said: set[str] = set()

    def cannot_write(error: SettingsError) -> Response:
        if str(error) not in said:
            # Once: anybody can ask again and again.
            said.add(str(error))
            log.error("Nobody can log in or out: %s", error)
        return _say(
            "This server may not write where it keeps logins, so nobody can log in or out here; its log says where. "
            "Tokens and signed addresses work.",
            503,
        )

    @pages.get("/login")
    def form() -> Response:
        # A link's preview asks for this page too; only the button uses the code up.
        code, behind = request.args.get("code", ""), _local_path(request.args.get("next", ""))
        return render_page("gallery", "login.html", code=code, behind=behind, expired=authenticator.has_cookie(request))

    @pages.post("/login")
    def log_in() -> AnyResponse:
        wait = ceil(throttle.retry_after(request.remote_addr))
        if wait:
            refused = _say(f"Too many logins from your address have failed: try again in {wait} seconds.", 429)
            refused.headers["Retry-After"] = str(wait)
            return refused
        try:
            value = authenticator.logins.consume_code(_read_code(reading))
        except SettingsError as error:
            return cannot_write(error)
        if value is None:
            throttle.record_failure(request.remote_addr)
            message = "It was used already, or is older than ten minutes. `plotindex token link NAME` prints a new one."
            return _say(message, 401, "This link is used up")
        throttle.reset(request.remote_addr)
        behind = _local_path(request.args.get("next", ""))
        response = redirect(request.script_root + behind if behind else url_for("gallery.sessions"), 303)
        authenticator.set_cookie(request, response, value)
        return response

    @pages.post("/logout")
    def log_out() -> AnyResponse:
        response = redirect(url_for("login.form"), 303)
        try:
            authenticator.delete_cookie(request, response)
        except SettingsError as error:
            return cannot_write(error)
        return response

    return pages


def page_guard(authenticator: Authenticator) -> Callable[[], Response | None]:
    """What is asked before a page is made: no page of another site, and no other name, comes through."""

    def check() -> Response | None:
        if request.method == "POST" and not authenticator.is_same_origin(request):
            return _say("This was asked for by a page of somebody else's: open the address yourself.", 403)
        if authenticator.is_trusted_host(request):
            return None
        return _say(
            "This server does not go by that name: open it by its address, or set PLOTINDEX_PUBLIC_URL to the name.",
            421,
        )

    return check


def redirect_to_login() -> AnyResponse:
    """The way to the login, and back to the page that was asked for."""
    query = request.query_string.decode("latin-1")
    asked = _local_path(quote(request.path) + (f"?{query}" if query else ""))
    if request.headers.get("Sec-Fetch-Site") == "cross-site" and asked:
        # Somebody followed a link of another site's page: then a browser keeps back the cookie (SameSite=Strict), but
        # not when this page asks again.
        again = _say("One moment: the page opens by itself.", 200)
        again.headers["Refresh"] = f"0; url={request.script_root}{asked}"
        return again
    # What is searched for on the first page is not worth an address that others may choose.
    behind = asked if asked and request.path != "/" else None
    return redirect(url_for("login.form", next=behind), 303)


def _say(message: str, status: int, title: str | None = None) -> Response:
    return render_message("gallery", message, status, title)


def _local_path(address: str) -> str:
    """An address of this server that may follow a login, or nothing: browsers take `//` and `/\\` for other hosts."""
    fits = address.startswith("/") and not address.startswith("//") and len(address) <= MAX_PATH_LENGTH
    return address if fits and address.isascii() and address.isprintable() and "\\" not in address else ""


def _read_code(reading: threading.Semaphore) -> str:
    """The code of a login, by the address as the page's form has it, or by a small form of somebody else's.

    Who sends a body slowly holds a thread: so at most one does, and no login that a page asks for waits for it.
    """
    code = request.args.get("code")
    if code is not None:
        return code
    if (
        request.mimetype != "application/x-www-form-urlencoded"
        or not 0 < (request.content_length or 0) <= MAX_FORM_BYTES
    ):
        raise RequestEntityTooLarge("A login is a form that holds a code and nothing else")
    if not reading.acquire(blocking=False):
        raise ServiceUnavailable("Somebody else is logging in: ask again", retry_after=1)
    try:
        return request.form.get("code", "")
    finally:
        reading.release()
