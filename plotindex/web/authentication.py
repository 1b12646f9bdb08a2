"""Authentication of requests: bearer tokens (programs), cookies (browsers), signed URLs (`<img>`)."""

import os
import re
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from ipaddress import ip_address
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from flask import Request
from werkzeug.sansio.http import parse_cookie
from werkzeug.wrappers import Response as AnyResponse

from plotindex.auth import (
    COOKIE_SECONDS,
    SIGNATURE_PARAMETER,
    TOKEN_ID_PARAMETER,
    ClockSealer,
    Logins,
    Token,
    Tokens,
    UrlSigner,
    signed_url_salt,
    signing_keys,
)
from plotindex.config import Settings

OWN_SITES = {"same-origin", "none"}
"""Values of Sec-Fetch-Site of a page of this server, and of a URL typed by the user."""
EMBEDDED = {"object", "embed"}
"""Values of Sec-Fetch-Dest of parts of a page that browsers load by a navigation."""
EMBEDDING_POLICY = ("Cross-Origin-Resource-Policy", "same-origin")
"""Header of answers to a cookie: also where browsers send no Sec-Fetch-Site, over plain HTTP."""
DEFAULT_PORTS = {"http": 80, "https": 443}
HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[\w.-]+)(:(?P<port>[0-9]{0,5}))?", re.ASCII)
MAX_PORT = 65_535

Environ = Mapping[str, Any]


class Caller(NamedTuple):
    """The token of a request, from a bearer token or a cookie. With a bearer token, `<img>` needs signed URLs."""

    token: Token
    has_bearer: bool

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """Headers of each answer to this caller."""
        return () if self.has_bearer else (EMBEDDING_POLICY,)


class Authenticator:
    """Authenticates the requests of one instance."""

    def __init__(self, settings: Settings) -> None:
        self.tokens = Tokens.from_settings(settings)
        keys = signing_keys(settings)
        self.logins = Logins(settings.state_folder, self.tokens, keys)
        self.clock_sealer = ClockSealer(keys, str(settings.root))
        self.url_signer = UrlSigner(keys, settings.url_prefix, signed_url_salt(settings))
        public = urlsplit(settings.public_url or "")
        self._is_https = public.scheme == "https"
        self._public_url = settings.public_url
        self._hosts = {settings.host, "localhost", public.hostname or "localhost"}
        # One name per instance: browsers share cookies between the ports of a host.
        self._cookie = f"plotindex_{blake2b(os.fsencode(settings.state_folder), digest_size=4).hexdigest()}"

    def authenticate(self, environ: Environ) -> Caller | None:
        """The caller, or None without a valid token or cookie."""
        sent = environ.get("HTTP_AUTHORIZATION")
        if sent:
            scheme, _, secret = sent.partition(" ")
            token = self.tokens.check(secret.strip()) if scheme.lower() == "bearer" else None
            return Caller(token, has_bearer=True) if token else None
        if "HTTP_COOKIE" not in environ or not _may_use_cookie(environ) or not self.is_trusted_host(environ):
            return None
        token = self.logins.check_cookie(parse_cookie(environ["HTTP_COOKIE"]).get(self._cookie_name(environ), ""))
        return Caller(token, has_bearer=False) if token else None

    def signing_token(self, session: str, filename: str, parameters: Sequence[tuple[str, str]]) -> Token | None:
        """The valid token that has signed a URL with this query for the plot, and allows the session."""
        if not self.url_signer.verify(session, filename, parameters):
            return None
        token = self.tokens.find(dict(parameters).get(TOKEN_ID_PARAMETER, ""))
        return token if token is not None and token.allows(session) else None

    def is_trusted_host(self, environ: Environ) -> bool:
        """Whether the Host header names this server (protection against DNS rebinding)."""
        host = _hostname(environ.get("HTTP_HOST", ""))
        return host in self._hosts or _is_ip_address(host)

    def is_same_origin(self, request: Request) -> bool:
        """Whether a page of this server has sent this form."""
        return is_same_origin(request, self._public_url)

    def set_cookie(self, request: Request, response: AnyResponse, value: str) -> None:
        """Set the login cookie."""
        name, secure = self._cookie_name(request.environ), self._is_secure(request.environ)
        response.set_cookie(
            name, value, max_age=COOKIE_SECONDS, httponly=True, samesite="Strict", secure=secure, path="/"
        )

    def has_cookie(self, request: Request) -> bool:
        """Whether the request has a login cookie, valid or not."""
        return self._cookie_name(request.environ) in request.cookies

    def delete_cookie(self, request: Request, response: AnyResponse) -> None:
        """Delete the login cookie and invalidate all copies of it.

        Raises:
            SettingsError: this user cannot write the state folder.
        """
        name, secure = self._cookie_name(request.environ), self._is_secure(request.environ)
        self.logins.log_out(request.cookies.get(name, ""))
        response.delete_cookie(name, httponly=True, samesite="Strict", secure=secure, path="/")

    def _cookie_name(self, environ: Environ) -> str:
        # RFC 6265bis 4.1.3.2: browsers accept the prefix from this host only, and only over HTTPS.
        return f"__Host-{self._cookie}" if self._is_secure(environ) else self._cookie

    def _is_secure(self, environ: Environ) -> bool:
        return self._is_https or environ["wsgi.url_scheme"] == "https"


def is_signed(environ: Environ) -> bool:
    """Whether the URL has a signature, valid or not."""
    return f"{SIGNATURE_PARAMETER}=" in environ.get("QUERY_STRING", "")


def is_same_origin(request: Request, public_url: str | None) -> bool:
    """Whether a page of the server with this public URL has sent this form (Fetch Metadata; Origin, RFC 6454)."""
    site, origin = request.headers.get("Sec-Fetch-Site"), _origin(request.headers.get("Origin", ""))
    if site is not None:
        return site == "same-origin"
    environ = request.environ
    own = (_origin(f"{environ['wsgi.url_scheme']}://{environ.get('HTTP_HOST', '')}"), _origin(public_url or ""))
    return origin is not None and origin in own


def sent_by_browser(request: Request) -> bool:
    """Whether the request has a header by which browsers say where a form comes from."""
    return request.headers.get("Sec-Fetch-Site", "none") != "none" or "Origin" in request.headers


def _may_use_cookie(environ: Environ) -> bool:
    """False for a request that a page of another origin makes, except for following a link or showing a frame."""
    if environ.get("HTTP_SEC_FETCH_SITE", "none") in OWN_SITES:
        return True
    is_navigation = environ.get("HTTP_SEC_FETCH_MODE") == "navigate"
    return is_navigation and environ.get("HTTP_SEC_FETCH_DEST") not in EMBEDDED


def _origin(address: str) -> tuple[str, str, int] | None:
    """Scheme, host and port of a URL; None without one of them."""
    try:
        parts = urlsplit(address)
        port = parts.port or DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return None
    return (parts.scheme, parts.hostname, port) if parts.hostname and port else None


def _hostname(host: str) -> str:
    """The name in a Host header, in lower case; empty unless all of it is a name and perhaps a port (RFC 9110 7.2)."""
    match = HOST.fullmatch(host)
    if match is None or int(match["port"] or 0) > MAX_PORT:
        return ""
    return match["name"].strip("[]").removesuffix(".").lower()


def _is_ip_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
