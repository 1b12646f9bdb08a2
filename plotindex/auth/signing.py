"""Signatures of cookies, and of URLs of single plots."""

import hmac
import re
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from json.encoder import encode_basestring_ascii
from math import ceil
from typing import Any
from urllib.parse import quote

from itsdangerous import BadSignature, URLSafeTimedSerializer

from plotindex.auth.keys import Keys
from plotindex.tree import PlotKey

HOUR = 3600
SIGNATURE_PARAMETER = "sig"
EXPIRES_PARAMETER = "expires"
"""Seconds since the epoch."""
TOKEN_ID_PARAMETER = "by"  # noqa: S105 - a name of a parameter

SignPath = Callable[[PlotKey, Mapping[str, str]], str]
"""Returns the signed path and query of a plot, with exactly these parameters."""


class CookieSigner:
    """Signs values of cookies, with a timestamp."""

    def __init__(self, keys: Keys, salt: str) -> None:
        self._keys = keys
        self._salt = salt

    def seal(self, value: str) -> str:
        """A cookie that contains `value`."""
        return str(self._serializer(self._keys.load_or_create()).dumps(value))

    def open(self, cookie: str, max_age: int) -> str | None:
        """The value in a cookie; None if the signature is invalid or older than `max_age` seconds."""
        keys = self._keys.load()
        try:
            value = self._serializer(keys).loads(cookie, max_age=max_age) if keys else None
        except BadSignature:
            return None
        return value if isinstance(value, str) else None

    def _serializer(self, keys: Sequence[bytes]) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(_oldest_first(keys), self._salt, signer_kwargs=_ALGORITHM)


class UrlSigner:
    """Signs URLs for `<img>`, which sends no token. Anybody with a signed URL can see its plot until it expires."""

    def __init__(self, keys: Keys, url_prefix: str, salt: str) -> None:
        self._keys = keys
        self._url_prefix = url_prefix
        self._salt = salt

    def unsigned_path(self, key: PlotKey, parameters: Mapping[str, str]) -> str:
        """The path and query of a plot, for clients with other credentials."""
        query = "&".join([f"{name}={_quoted(parameters[name])}" for name in parameters])
        return f"{self._path(key)}?{query}" if query else self._path(key)

    def _path(self, key: PlotKey) -> str:
        return f"{self._url_prefix}/plots/{_quoted(key.session)}/{_quoted(key.filename, '/')}"

    def prepare(self, seconds: float, token_id: str | None = None) -> SignPath:
        """A function that signs the paths of plots as `sign` does: it prepares once what is the same for all."""
        # Rounded to the hour: the URL stays the same, so that browsers can cache the image.
        expires = ceil((time.time() + seconds) / HOUR) * HOUR
        common = {EXPIRES_PARAMETER: str(expires), **({TOKEN_ID_PARAMETER: token_id} if token_id else {})}
        mac = _prepared_mac(self._keys.load_or_create()[0], self._salt)
        texts, own = _ParameterTexts(), tuple(common.items())

        def sign(key: PlotKey, parameters: Mapping[str, str]) -> str:
            given = (*parameters.items(), *own)
            query = "&".join([texts[pair][1] for pair in given])
            signature = _signature(mac, _message(key, sorted(given), texts))
            return f"{self._path(key)}?{query}&{SIGNATURE_PARAMETER}={signature}"

        return sign

    def sign(self, key: PlotKey, parameters: Mapping[str, str], seconds: float, token_id: str | None = None) -> str:
        """The signed path and query of a plot, with exactly these parameters, valid for at least `seconds`.

        With a `token_id`, it is revoked with that token.
        """
        return self.prepare(seconds, token_id)(key, parameters)

    def verify(self, session: str, filename: str, parameters: Iterable[tuple[str, str]]) -> bool:
        """Whether the signature fits this plot and all `parameters` of the request, and has not expired."""
        given = sorted(parameters)
        signatures = [value for name, value in given if name == SIGNATURE_PARAMETER]
        signed = [pair for pair in given if pair[0] != SIGNATURE_PARAMETER]
        if len(signatures) != 1 or not signatures[0].isascii():
            return False
        message = _message(PlotKey(session, filename), signed, _ParameterTexts())
        macs = [_prepared_mac(key, self._salt) for key in self._keys.load()]
        if not any(hmac.compare_digest(_signature(mac, message), signatures[0]) for mac in macs):
            return False
        return float(dict(signed)[EXPIRES_PARAMETER]) > time.time()


_ALGORITHM: dict[str, Any] = {"digest_method": sha256, "key_derivation": "hmac"}


def _oldest_first(keys: Sequence[bytes]) -> list[bytes]:
    # itsdangerous signs with the last key.
    return list(reversed(keys))


@lru_cache(16)
def _prepared_mac(key: bytes, salt: str) -> hmac.HMAC:
    """A MAC without a message, to copy for each: with a key derived as by itsdangerous, which signed URLs before."""
    return hmac.new(hmac.digest(key, salt.encode("utf-8", "surrogateescape"), sha256), digestmod=sha256)


def _signature(prepared: hmac.HMAC, message: bytes) -> str:
    mac = prepared.copy()
    mac.update(message)
    return urlsafe_b64encode(mac.digest()).rstrip(b"=").decode()


class _ParameterTexts(dict[tuple[str, str], tuple[str, str]]):
    """Parameters as parts of a message and of a query: most are the same in many URLs."""

    def __missing__(self, pair: tuple[str, str]) -> tuple[str, str]:
        name, value = pair
        message = f", [{encode_basestring_ascii(name)}, {encode_basestring_ascii(value)}]"
        texts = self[pair] = message, f"{_quoted(name)}={_quoted(value)}"
        return texts


def _message(key: PlotKey, parameters: Iterable[tuple[str, str]], texts: _ParameterTexts) -> bytes:
    """The JSON of [session, filename, [name, value], …]; `json.dumps` takes longer to start than to write it."""
    pairs = "".join([texts[pair][0] for pair in parameters])
    return f"[{encode_basestring_ascii(key.session)}, {encode_basestring_ascii(key.filename)}{pairs}]".encode()


def _quoted(text: str, safe: str = "") -> str:
    # `quote` takes five times as long to find that nothing is to be quoted.
    return text if _UNRESERVED(text) else quote(text, safe)


_UNRESERVED = re.compile(r"[A-Za-z0-9_.~-]*").fullmatch
"""RFC 3986 2.3."""
