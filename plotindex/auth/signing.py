"""What carries a signature: the value of a cookie, and the address of one plot."""

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
SIGNATURE = "sig"
EXPIRES = "expires"
HOLDER = "by"
"""Parameters of a signed address: until when, in seconds since the epoch, and by the id of which token."""


class Cookies:
    """Values that nobody else can make, and that say how old they are."""

    def __init__(self, keys: Keys, salt: str) -> None:
        self._keys = keys
        self._salt = salt

    def seal(self, value: str) -> str:
        """A cookie that holds `value`."""
        return str(self._serializer(self._keys.made()).dumps(value))

    def open(self, cookie: str, max_age: int) -> str | None:
        """What a cookie holds that is at most so many seconds old, or None."""
        keys = self._keys.known()
        try:
            value = self._serializer(keys).loads(cookie, max_age=max_age) if keys else None
        except BadSignature:
            return None
        return value if isinstance(value, str) else None

    def _serializer(self, keys: Sequence[bytes]) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(_oldest_first(keys), self._salt, signer_kwargs=_STRENGTH)


class Addresses:
    """Addresses that open one plot until a rounded hour, for whoever has them: `<img>` sends no token."""

    def __init__(self, keys: Keys, url_prefix: str, salt: str) -> None:
        self._keys = keys
        self._url_prefix = url_prefix
        self._salt = salt

    def plain(self, key: PlotKey, parameters: Mapping[str, str]) -> str:
        """The path and query of a plot, for who may see it anyway."""
        path = f"{self._url_prefix}/plots/{quote(key.session, safe='')}/{quote(key.filename)}"
        return f"{path}?{urlencode(parameters, quote_via=quote)}" if parameters else path

    def signed(self, key: PlotKey, parameters: Mapping[str, str], seconds: float, holder: str | None = None) -> str:
        """The path and query that open that plot, with these parameters and no others, for so long at least.

        `holder` is the id of the token with which it ends.
        """
        # The same for an hour, so that a browser keeps the image it has.
        until = ceil((time.time() + seconds) / HOUR) * HOUR
        given = {**parameters, EXPIRES: str(until), **({HOLDER: holder} if holder else {})}
        return self.plain(key, {**given, SIGNATURE: self._sign(key, given.items())})

    def check(self, session: str, filename: str, parameters: Iterable[tuple[str, str]]) -> bool:
        """Whether an address was signed here for exactly that, and is not over. `parameters` are all that it has."""
        given = sorted(parameters)
        signatures = [value for name, value in given if name == SIGNATURE]
        rest = [pair for pair in given if pair[0] != SIGNATURE]
        keys = self._keys.known()
        if len(signatures) != 1 or not signatures[0].isascii() or not keys:
            return False
        if not self._signer(keys).verify_signature(_text(PlotKey(session, filename), rest), signatures[0]):
            return False
        return float(dict(rest)[EXPIRES]) > time.time()

    def _sign(self, key: PlotKey, parameters: Iterable[tuple[str, str]]) -> str:
        return self._signer(self._keys.made()).get_signature(_text(key, sorted(parameters))).decode()

    def _signer(self, keys: Sequence[bytes]) -> Signer:
        return Signer(_oldest_first(keys), self._salt, **_STRENGTH)


_STRENGTH: dict[str, Any] = {"digest_method": hashlib.sha256, "key_derivation": "hmac"}


def _oldest_first(keys: Sequence[bytes]) -> list[bytes]:
    # itsdangerous signs with the last.
    return list(reversed(keys))


def _text(key: PlotKey, parameters: Iterable[tuple[str, str]]) -> bytes:
    return json.dumps([*key, *parameters]).encode()
