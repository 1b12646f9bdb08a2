"""One-time codes, and the cookies they become: how a browser gets to see what a token may.

Both stand for a token and end with it.
"""

import json
import os
import secrets
import time
from hashlib import sha256
from pathlib import Path

from itsdangerous import BadSignature, URLSafeTimedSerializer

from plotindex.access import Token, Tokens
from plotindex.locks import changing, open_private

CODE_SECONDS = 600
COOKIE_SECONDS = 30 * 86400


class Logins:
    """The codes and cookies of one root. Its files are made when they are first needed."""

    def __init__(self, folder: Path, tokens: Tokens) -> None:
        self._codes = folder / "logins.json"
        self._key = folder / "secret.key"
        self._tokens = tokens

    def create_code(self, secret: str) -> str:
        """A code that is good for one login within ten minutes, as the holder of that token.

        Raises:
            SettingsError: this user cannot write the state folder.
        """
        code = secrets.token_urlsafe(24)
        with changing(self._codes):
            codes = self._read_codes()
            codes[_digest(code)] = {"token": _digest(secret), "expires": time.time() + CODE_SECONDS}
            self._write_codes(codes)
        return code

    def consume_code(self, code: str) -> str | None:
        """The value of a cookie for whoever brings that code first, or None."""
        with changing(self._codes):
            codes = self._read_codes()
            entry = codes.pop(_digest(code), None)
            if entry is None:
                return None
            self._write_codes(codes)
        return self._serializer().dumps(entry["token"])

    def check_cookie(self, value: str) -> Token | None:
        """The token that a cookie stands for, or None when the cookie or the token is not good any more."""
        if not value or not self._key.exists():
            return None
        try:
            digest = self._serializer().loads(value, max_age=COOKIE_SECONDS)
        except BadSignature:
            return None
        return self._tokens.find(digest) if isinstance(digest, str) else None

    def _serializer(self) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(self._read_key(), salt="plotindex-cookie")

    def _read_key(self) -> bytes:
        try:
            return self._key.read_bytes()
        except FileNotFoundError:
            pass
        with changing(self._key):
            if not self._key.exists():
                new = self._key.with_name(self._key.name + ".new")
                new.unlink(missing_ok=True)
                with os.fdopen(open_private(new), "wb") as file:
                    file.write(secrets.token_bytes(32))
                # Whole or not at all: an empty key would sign for anybody.
                new.rename(self._key)
            return self._key.read_bytes()

    def _read_codes(self) -> dict[str, dict[str, float | str]]:
        try:
            codes = json.loads(self._codes.read_text())
        except (FileNotFoundError, ValueError):
            return {}
        now = time.time()
        return {code: entry for code, entry in codes.items() if entry["expires"] > now}

    def _write_codes(self, codes: dict[str, dict[str, float | str]]) -> None:
        new = self._codes.with_name(self._codes.name + ".new")
        new.unlink(missing_ok=True)
        with os.fdopen(open_private(new), "w") as file:
            json.dump(codes, file)
        new.rename(self._codes)


def _digest(secret: str) -> str:
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
