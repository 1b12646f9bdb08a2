"""Login with a one-time code, and logout."""

import logging
import threading
from collections.abc import Callable
from math import ceil
from urllib.parse import parse_qs, quote

from flask import Blueprint, Response, redirect, request, url_for
from werkzeug.exceptions import RequestEntityTooLarge, ServiceUnavailable
from werkzeug.wrappers import Response as AnyResponse

from plotindex.errors import SettingsError
from plotindex.web.authentication import Authenticator, sent_by_browser
from plotindex.web.login_throttle import LoginThrottle
from plotindex.web.pages import add_headers, render_message, render_page

MAX_FORM_BYTES = 1_000
MAX_PATH_LENGTH = 1_000
LOGIN_ENDPOINT = "login.log_in"

log = logging.getLogger(__name__)


def login_blueprint(authenticator: Authenticator) -> Blueprint:
    """The login and logout routes of the blueprint `gallery`."""
    throttle = LoginThrottle()
    form_slot = threading.Semaphore()
    pages = Blueprint("login", __name__)
    pages.before_request(page_guard(authenticator))
    pages.after_request(add_headers)
    reported: set[str] = set()

    def respond_unwritable(error: SettingsError) -> Response:
        if str(error) not in reported:
            # Once per reason: anybody can repeat the request.
            reported.add(str(error))
            log.error("Login and logout failed: %s", error)
        return _message(
            "The server cannot write its state folder, so login and logout are not available; see the server log. "
            "Tokens and signed URLs still work.",
            503,
        )

    @pages.get("/login")
    def form() -> Response:
        # GET must not consume the code: link previews fetch this page too.
        return _login_page(authenticator, code=request.args.get("code", ""))

    @pages.post("/login")
    def log_in() -> AnyResponse:
        wait = ceil(throttle.retry_after(request.remote_addr))
        if wait:
            refusal = _message(f"Too many failed logins from your address. Try again in {wait} seconds.", 429)
            refusal.headers["Retry-After"] = str(wait)
            return refusal
        try:
            value = authenticator.logins.consume_code(_parse_code(_read_code(form_slot)))
        except SettingsError as error:
            return respond_unwritable(error)
        if value is None:
            throttle.record_failure(request.remote_addr)
            refusal = _login_page(authenticator, is_refused=True)
            refusal.status_code = 401
            return refusal
        throttle.reset(request.remote_addr)
        next_path = _local_path(request.args.get("next", ""))
        response = redirect(request.script_root + next_path if next_path else url_for("gallery.sessions"), 303)
        authenticator.set_cookie(request, response, value)
        return response

    @pages.post("/logout")
    def log_out() -> AnyResponse:
        response = redirect(url_for("login.form"), 303)
        try:
            authenticator.delete_cookie(request, response)
        except SettingsError as error:
            return respond_unwritable(error)
        return response

    return pages


def page_guard(authenticator: Authenticator) -> Callable[[], Response | None]:
    """A before-request function that rejects forms from other sites and untrusted Host headers."""

    def check() -> Response | None:
        if not authenticator.is_trusted_host(request.environ):
            return _message("Unknown host name. Use the IP address, or set PLOTINDEX_PUBLIC_URL to this name.", 421)
        if request.method != "POST" or authenticator.is_same_origin(request):
            return None
        # A login needs no cookie: programs may send one too.
        is_by_cookie = request.endpoint != LOGIN_ENDPOINT and authenticator.has_cookie(request)
        if not is_by_cookie and not sent_by_browser(request):
            return None
        return _message(
            "This form was sent by another site. Open the page yourself. "
            "If you did, set PLOTINDEX_PUBLIC_URL to the URL of this server.",
            403,
        )

    return check


def redirect_to_login() -> AnyResponse:
    """Redirect to the login page, which then returns to the requested page."""
    query = request.query_string.decode("latin-1")
    path = _local_path(quote(request.path) + (f"?{query}" if query else ""))
    if request.headers.get("Sec-Fetch-Site") == "cross-site" and path:
        # After a link on another site, browsers omit the cookie (SameSite=Strict), but not for a refresh of this page.
        response = _message("One moment, opening the page.", 200)
        response.headers["Refresh"] = f"0; url={request.script_root}{path}"
        return response
    # Not for the first page: the query is not worth a `next` parameter.
    next_path = path if path and request.path != "/" else None
    return redirect(url_for("login.form", next=next_path), 303)


def _login_page(authenticator: Authenticator, *, code: str = "", is_refused: bool = False) -> Response:
    """The page with a code's button, or with the field for a code. `is_refused`: the code sent is not valid."""
    has_cookie = authenticator.has_cookie(request)
    is_logged_in = has_cookie and authenticator.authenticate(request.environ) is not None
    return render_page(
        "gallery",
        "login.html",
        code=code,
        next_path=_local_path(request.args.get("next", "")),
        is_refused=is_refused,
        is_logged_in=is_logged_in,
        is_expired=has_cookie and not is_logged_in,
    )


def _message(message: str, status: int) -> Response:
    return render_message("gallery", message, status)


def _local_path(address: str) -> str:
    """`address` if it is a path on this server, otherwise empty: browsers treat `//` and `/\\` as other hosts."""
    fits = address.startswith("/") and not address.startswith("//") and len(address) <= MAX_PATH_LENGTH
    return address if fits and address.isascii() and address.isprintable() and "\\" not in address else ""


def _parse_code(text: str) -> str:
    """The code in a text that a user pastes: a code, or the whole link."""
    link = text.strip().strip("<>")
    return parse_qs(link.partition("?")[2]).get("code", [link])[0]


def _read_code(form_slot: threading.Semaphore) -> str:
    """The code from the query (the login page) or from a small form (other clients).

    A slow body occupies a thread: only one form is read at a time, and logins from the page do not depend on it.
    """
    code = request.args.get("code")
    if code is not None:
        return code
    if (
        request.mimetype != "application/x-www-form-urlencoded"
        or not 0 < (request.content_length or 0) <= MAX_FORM_BYTES
    ):
        raise RequestEntityTooLarge("The login form must contain only the field code")
    if not form_slot.acquire(blocking=False):
        raise ServiceUnavailable("Another login is in progress; retry later", retry_after=1)
    try:
        return request.form.get("code", "")
    finally:
        form_slot.release()
