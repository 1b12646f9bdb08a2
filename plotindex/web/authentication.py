"""Authentication of requests: bearer tokens (programs), cookies (browsers), signed URLs (`<img>`)."""

import os
from hashlib import blake2b
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

from flask import Request
from werkzeug.wrappers import Response as AnyResponse

from plotindex.auth import (
    COOKIE_SECONDS,
    SIGNATURE_PARAMETER,
    TOKEN_ID_PARAMETER,
    Logins,
    Token,
    Tokens,
    UrlSigner,
    signed_url_salt,
    signing_keys,
)
from plotindex.config import Settings


class Caller(NamedTuple):
    """The token of a request, from a bearer token or a cookie. With a bearer token, `<img>` needs signed URLs."""

    token: Token
    has_bearer: bool


class Authenticator:
    """Authenticates the requests of one instance."""

    def __init__(self, settings: Settings) -> None:
        self.tokens = Tokens.from_settings(settings)
        keys = signing_keys(settings)
        self.logins = Logins(settings.state_folder, self.tokens, keys)
        self.url_signer = UrlSigner(keys, settings.url_prefix, signed_url_salt(settings))
        public = urlsplit(settings.public_url or "")
        self._is_https = public.scheme == "https"
        self._hosts = {settings.host, "localhost", public.hostname or "localhost"}
        # One name per instance: browsers share cookies between the ports of a host.
        self._cookie = f"plotindex_{blake2b(os.fsencode(settings.state_folder), digest_size=4).hexdigest()}"

    def authenticate(self, request: Request) -> Caller | None:
        """The caller, or None without a valid token or cookie."""
        sent = request.environ.get("HTTP_AUTHORIZATION")
        if sent:
            scheme, _, secret = sent.partition(" ")
            token = self.tokens.check(secret.strip()) if scheme.lower() == "bearer" else None
            return Caller(token, has_bearer=True) if token else None
        if "HTTP_COOKIE" not in request.environ or not self.is_trusted_host(request):
            return None
        token = self.logins.check_cookie(request.cookies.get(self._cookie_name(request), ""))
        return Caller(token, has_bearer=False) if token else None

    def has_valid_signature(self, request: Request, session: str, filename: str) -> bool:
        """Whether the URL was signed for this plot, for a token that still exists and allows the session."""
        parameters = list(request.args.items(multi=True))
        if not self.url_signer.verify(session, filename, parameters):
            return False
        token = self.tokens.find(dict(parameters).get(TOKEN_ID_PARAMETER, ""))
        return token is not None and token.allows(session)

    def is_trusted_host(self, request: Request) -> bool:
        """Whether the Host header names this server (protection against DNS rebinding)."""
        host = _hostname(f"//{request.environ.get('HTTP_HOST', '')}")
        return host in self._hosts or _is_ip_address(host)

    def is_same_origin(self, request: Request) -> bool:
        """Whether no other site has sent this form (Fetch Metadata; Origin, RFC 6454)."""
        site = request.headers.get("Sec-Fetch-Site")
        if site is not None:
            return site in ("same-origin", "none")
        origin = request.headers.get("Origin")
        if origin is None:
            return True
        # Compare the port too: another port of this host may be another site. A proxy may omit the port from Host.
        parts = urlsplit(origin)
        return request.host.lower() in (parts.netloc.lower(), parts.hostname)

    def set_cookie(self, request: Request, response: AnyResponse, value: str) -> None:
        """Set the login cookie."""
        name, secure = self._cookie_name(request), self._is_secure(request)
        response.set_cookie(
            name, value, max_age=COOKIE_SECONDS, httponly=True, samesite="Strict", secure=secure, path="/"
        )

    def has_cookie(self, request: Request) -> bool:
        """Whether the request has a login cookie, valid or not."""
        return self._cookie_name(request) in request.cookies

    def delete_cookie(self, request: Request, response: AnyResponse) -> None:
        """Delete the login cookie and invalidate all copies of it.

        Raises:
            SettingsError: this user cannot write the state folder.
        """
        name, secure = self._cookie_name(request), self._is_secure(request)
        self.logins.log_out(request.cookies.get(name, ""))
        response.delete_cookie(name, httponly=True, samesite="Strict", secure=secure, path="/")

    def _cookie_name(self, request: Request) -> str:
        # RFC 6265bis 4.1.3.2: browsers accept the prefix from this host only, and only over HTTPS.
        return f"__Host-{self._cookie}" if self._is_secure(request) else self._cookie

    def _is_secure(self, request: Request) -> bool:
        return self._is_https or request.is_secure


def is_signed(request: Request) -> bool:
    """Whether the URL has a signature, valid or not."""
    return f"{SIGNATURE_PARAMETER}=" in request.environ.get("QUERY_STRING", "")


def _hostname(address: str) -> str:
    try:
        return (urlsplit(address).hostname or "").removesuffix(".")
    except ValueError:
        return ""


def _is_ip_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
