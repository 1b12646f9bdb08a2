"""One-time codes, and the cookies they become: how a browser gets to see what a token may.

Both stand for a token and end with it.
"""

import json
import secrets
import time
from pathlib import Path
from typing import Self

from plotindex.access import Token, Tokens, digest_of
from plotindex.keys import Keys, keys_of
from plotindex.locks import changing, write_private
from plotindex.settings import Settings
from plotindex.signing import Cookies

CODE_SECONDS = 600
COOKIE_SECONDS = 30 * 86400


class Logins:
    """The codes and cookies of one root. Its files are made when they are first needed."""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Those of the root that settings name."""
        return cls(settings.state_folder, Tokens.of(settings), keys_of(settings))

    def __init__(self, folder: Path, tokens: Tokens, keys: Keys) -> None:
        self._codes = folder / "logins.json"
        self._tokens = tokens
        self._cookies = Cookies(keys, "plotindex-cookie")

    def create_code(self, token: Token) -> str:
        """A code that is good for one login within ten minutes, as the holder of that token.

        Raises:
            SettingsError: this user cannot write the state folder.
        """
        code = secrets.token_urlsafe(24)
        with changing(self._codes):
            codes = self._read_codes()
            codes[digest_of(code)] = {"token": token.sha256, "expires": time.time() + CODE_SECONDS}
            self._write_codes(codes)
        return code

    def consume_code(self, code: str) -> str | None:
        """The value of a cookie for whoever brings that code first, or None."""
        with changing(self._codes):
            codes = self._read_codes()
            entry = codes.pop(digest_of(code), None)
            if entry is None:
                return None
            self._write_codes(codes)
        return self._cookies.seal(str(entry["token"]))

    def check_cookie(self, value: str) -> Token | None:
        """The token that a cookie stands for, or None when the cookie or the token is not good any more."""
        digest = self._cookies.open(value, COOKIE_SECONDS) if value else None
        return self._tokens.find(digest) if digest else None

    def _read_codes(self) -> dict[str, dict[str, float | str]]:
        try:
            codes = json.loads(self._codes.read_text())
        except (FileNotFoundError, ValueError):
            return {}
        now = time.time()
        if not isinstance(codes, dict) or not all(isinstance(entry, dict) for entry in codes.values()):
            return {}
        return {code: entry for code, entry in codes.items() if entry.get("expires", 0) > now}

    def _write_codes(self, codes: dict[str, dict[str, float | str]]) -> None:
        write_private(self._codes, json.dumps(codes).encode())
