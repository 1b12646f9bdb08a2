"""Signatures of cookies, and of URLs of single plots."""

import hashlib
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from typing import Any
from urllib.parse import quote, urlencode

from itsdangerous import BadSignature, Signer, URLSafeTimedSerializer

from plotindex.auth.keys import Keys
from plotindex.tree import PlotKey

HOUR = 3600
SIGNATURE_PARAMETER = "sig"
EXPIRES_PARAMETER = "expires"
"""Seconds since the epoch."""
TOKEN_ID_PARAMETER = "by"  # noqa: S105 - a name of a parameter


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
        path = f"{self._url_prefix}/plots/{quote(key.session, safe='')}/{quote(key.filename)}"
        return f"{path}?{urlencode(parameters, quote_via=quote)}" if parameters else path

    def sign(self, key: PlotKey, parameters: Mapping[str, str], seconds: float, token_id: str | None = None) -> str:
        """The signed path and query of a plot, with exactly these parameters, valid for at least `seconds`.

        With a `token_id`, it is revoked with that token.
        """
        # Rounded to the hour: the URL stays the same, so that browsers can cache the image.
        expires = ceil((time.time() + seconds) / HOUR) * HOUR
        signed = {**parameters, EXPIRES_PARAMETER: str(expires), **({TOKEN_ID_PARAMETER: token_id} if token_id else {})}
        return self.unsigned_path(key, {**signed, SIGNATURE_PARAMETER: self._sign(key, signed.items())})

    def verify(self, session: str, filename: str, parameters: Iterable[tuple[str, str]]) -> bool:
        """Whether the signature fits this plot and all `parameters` of the request, and has not expired."""
        given = sorted(parameters)
        signatures = [value for name, value in given if name == SIGNATURE_PARAMETER]
        signed = [pair for pair in given if pair[0] != SIGNATURE_PARAMETER]
        keys = self._keys.load()
        if len(signatures) != 1 or not signatures[0].isascii() or not keys:
            return False
        if not self._signer(keys).verify_signature(_message(PlotKey(session, filename), signed), signatures[0]):
            return False
        return float(dict(signed)[EXPIRES_PARAMETER]) > time.time()

    def _sign(self, key: PlotKey, parameters: Iterable[tuple[str, str]]) -> str:
        return self._signer(self._keys.load_or_create()).get_signature(_message(key, sorted(parameters))).decode()

    def _signer(self, keys: Sequence[bytes]) -> Signer:
        return Signer(_oldest_first(keys), self._salt, **_ALGORITHM)


_ALGORITHM: dict[str, Any] = {"digest_method": hashlib.sha256, "key_derivation": "hmac"}


def _oldest_first(keys: Sequence[bytes]) -> list[bytes]:
    # itsdangerous signs with the last key.
    return list(reversed(keys))


def _message(key: PlotKey, parameters: Iterable[tuple[str, str]]) -> bytes:
    return json.dumps([*key, *parameters]).encode()
