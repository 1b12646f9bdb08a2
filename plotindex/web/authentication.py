"""Who asks: a program brings a bearer token, a browser a cookie, an `<img>` a signed address."""

import os
from hashlib import blake2b
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

from flask import Request
from werkzeug.wrappers import Response as AnyResponse

from plotindex.auth import COOKIE_SECONDS, HOLDER, SIGNATURE, Addresses, Logins, Token, Tokens, addresses_salt, keys_of
from plotindex.config import Settings


class Caller(NamedTuple):
    """Who asks, and whether by a bearer token: then `<img>` needs signed addresses."""

    token: Token
    by_bearer: bool


class Callers:
    """Recognises the callers of one instance."""

    def __init__(self, settings: Settings) -> None:
        self.tokens = Tokens.of(settings)
        keys = keys_of(settings)
        self.logins = Logins(settings.state_folder, self.tokens, keys)
        self.addresses = Addresses(keys, settings.url_prefix, addresses_salt(settings))
        public = urlsplit(settings.public_url or "")
        self._is_https = public.scheme == "https"
        self._hosts = {settings.host, "localhost", public.hostname or "localhost"}
        # A name of its own for each instance: cookies take no notice of ports.
        self._cookie = f"plotindex_{blake2b(os.fsencode(settings.state_folder), digest_size=4).hexdigest()}"

    def identify(self, request: Request) -> Caller | None:
        """Who asks, or None."""
        sent = request.environ.get("HTTP_AUTHORIZATION")
        if sent:
            scheme, _, secret = sent.partition(" ")
            token = self.tokens.check(secret.strip()) if scheme.lower() == "bearer" else None
            return Caller(token, by_bearer=True) if token else None
        if "HTTP_COOKIE" not in request.environ or not self.knows_host(request):
            return None
        token = self.logins.check_cookie(request.cookies.get(self._cookie_name(request), ""))
        return Caller(token, by_bearer=False) if token else None

    def holds_address(self, request: Request, session: str, filename: str) -> bool:
        """Whether the address itself opens this plot, since it was signed for a token that may see it."""
        parameters = list(request.args.items(multi=True))
        if not self.addresses.check(session, filename, parameters):
            return False
        token = self.tokens.find(dict(parameters).get(HOLDER, ""))
        return token is not None and token.allows(session)

    def knows_host(self, request: Request) -> bool:
        """Whether the Host is one that this server goes by.

        A name that somebody else's DNS leads here must not make a browser send the cookie to his page.
        """
        host = _host_of(f"//{request.environ.get('HTTP_HOST', '')}")
        return host in self._hosts or _is_address(host)

    def comes_from_here(self, request: Request) -> bool:
        """Whether no page of another site has sent this form (Fetch Metadata; RFC 6454, Origin)."""
        site = request.headers.get("Sec-Fetch-Site")
        if site is not None:
            return site in ("same-origin", "none")
        origin = request.headers.get("Origin")
        if origin is None:
            return True
        # With the port, which a proxy may leave out: the same host may serve others' pages on another.
        parts = urlsplit(origin)
        return request.host.lower() in (parts.netloc.lower(), parts.hostname)

    def set_cookie(self, request: Request, response: AnyResponse, value: str) -> None:
        """Log the browser in."""
        name, secure = self._cookie_name(request), self._is_secure(request)
        response.set_cookie(
            name, value, max_age=COOKIE_SECONDS, httponly=True, samesite="Strict", secure=secure, path="/"
        )

    def has_cookie(self, request: Request) -> bool:
        """Whether the browser was logged in once."""
        return self._cookie_name(request) in request.cookies

    def end_cookie(self, request: Request, response: AnyResponse) -> None:
        """Log the browser out, and whoever has a copy of its cookie.

        Raises:
            SettingsError: this user cannot write the state folder.
        """
        name, secure = self._cookie_name(request), self._is_secure(request)
        self.logins.end(request.cookies.get(name, ""))
        response.delete_cookie(name, httponly=True, samesite="Strict", secure=secure, path="/")

    def _cookie_name(self, request: Request) -> str:
        # RFC 6265bis 4.1.3.2: a browser takes a name that begins so from this host alone, and only over HTTPS.
        return f"__Host-{self._cookie}" if self._is_secure(request) else self._cookie

    def _is_secure(self, request: Request) -> bool:
        return self._is_https or request.is_secure


def is_signed(request: Request) -> bool:
    """Whether the address claims to be signed."""
    return f"{SIGNATURE}=" in request.environ.get("QUERY_STRING", "")


def _host_of(address: str) -> str:
    try:
        return (urlsplit(address).hostname or "").removesuffix(".")
    except ValueError:
        return ""


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
