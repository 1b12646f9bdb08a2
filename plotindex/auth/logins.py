"""Browser logins: one-time codes, and the cookies that they are exchanged for.

Both belong to a token and are revoked with it.
"""

import json
import logging
import secrets
import time
from pathlib import Path
from typing import Self

from plotindex.auth.keys import Keys, signing_keys
from plotindex.auth.signing import CookieSigner
from plotindex.auth.tokens import Token, Tokens, hash_secret
from plotindex.config import Settings
from plotindex.errors import SettingsError
from plotindex.system import exclusive_lock, file_signature, printable, read_private, write_private

CODES_FILE, LOGOUTS_FILE = "logins.json", "logouts.json"
CODE_SECONDS = 600
COOKIE_SECONDS = 30 * 86400

log = logging.getLogger(__name__)


class Logins:
    """The codes and cookies of one root. Files are created when first needed."""

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The logins of a root."""
        return cls(settings.state_folder, Tokens.from_settings(settings), signing_keys(settings))

    def __init__(self, folder: Path, tokens: Tokens, keys: Keys) -> None:
        self._codes_file = folder / CODES_FILE
        self._logouts = Logouts(folder / LOGOUTS_FILE)
        self._tokens = tokens
        self._cookies = CookieSigner(keys, "plotindex-cookie")

    def create_code(self, token: Token) -> str:
        """A code for one login with this token, valid for ten minutes.

        Raises:
            SettingsError: the state folder cannot be written.
        """
        code = secrets.token_urlsafe(24)
        with exclusive_lock(self._codes_file):
            codes = self._read_codes()
            codes[hash_secret(code)] = {"token": token.sha256, "expires": time.time() + CODE_SECONDS}
            self._write_codes(codes)
        return code

    def consume_code(self, code: str) -> str | None:
        """Exchange a code for the value of a cookie; None if the code is invalid, expired or used."""
        with exclusive_lock(self._codes_file):
            codes = self._read_codes()
            entry = codes.pop(hash_secret(code), None)
            if entry is None:
                return None
            self._write_codes(codes)
        return self._cookies.seal(f"{entry['token']} {secrets.token_urlsafe(12)}")

    def check_cookie(self, value: str) -> Token | None:
        """The token of a cookie; None if the cookie or the token is no longer valid."""
        digest, login = self._open(value)
        return self._tokens.find(digest) if login and not self._logouts.contains(login) else None

    def log_out(self, value: str) -> None:
        """Invalidate a cookie and all copies of it.

        Raises:
            SettingsError: the state folder cannot be written.
        """
        _, login = self._open(value)
        if login and not self._logouts.contains(login):
            self._logouts.add(login, time.time() + COOKIE_SECONDS)

    def _open(self, value: str) -> tuple[str, str]:
        """The digest of a cookie's token, and the id of its login; empty if the cookie is invalid."""
        digest, _, login = ((self._cookies.open(value, COOKIE_SECONDS) if value else None) or "").partition(" ")
        return digest, login

    def _read_codes(self) -> dict[str, dict[str, float | str]]:
        try:
            codes = json.loads(read_private(self._codes_file))
        except (FileNotFoundError, ValueError, RecursionError):
            return {}
        except OSError as error:
            file = printable(str(self._codes_file))
            raise SettingsError(
                f"The codes in {file} cannot be read ({error.strerror}): "
                "make the file readable for this user (chmod, chown)."
            ) from None
        now = time.time()
        if not isinstance(codes, dict) or not all(map(_is_code, codes.values())):
            return {}
        return {code: entry for code, entry in codes.items() if entry["expires"] > now}

    def _write_codes(self, codes: dict[str, dict[str, float | str]]) -> None:
        write_private(self._codes_file, json.dumps(codes).encode())


def _is_code(entry: object) -> bool:
    match entry:
        case {"token": str(), "expires": int() | float()}:
            return True
    return False


class Logouts:
    """Logins that were logged out, until their cookies expire. The file is created by the first logout."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._cached: tuple[tuple[int, ...], dict[str, float] | None] = (), {}

    def contains(self, login: str) -> bool:
        """Whether a login was logged out. True for every login while the file is damaged."""
        signature = file_signature(self._file)
        cached = self._cached
        if signature != cached[0]:
            self._cached = cached = signature, self._read()
        return cached[1] is None or login in cached[1]

    def add(self, login: str, until: float) -> None:
        """Store a logout until that time, in seconds since the epoch."""
        with exclusive_lock(self._file):
            now = time.time()
            current = {name: end for name, end in (self._read() or {}).items() if end > now}
            write_private(self._file, json.dumps({**current, login: until}).encode())

    def _read(self) -> dict[str, float] | None:
        try:
            return parse_logouts(read_private(self._file))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, SettingsError):
            log.error("%s cannot be read; no browser can log in. Restore or remove it.", self._file.name)
            return None


def parse_logouts(content: bytes) -> dict[str, float]:
    """The logins in a file of logouts, each with the time until which it is stored.

    Raises:
        ValueError: the content is not a list of logouts.
    """
    try:
        logouts = json.loads(content)
    except RecursionError as error:
        raise ValueError("not a list of logouts") from error
    if not isinstance(logouts, dict) or not all(isinstance(end, int | float) for end in logouts.values()):
        raise ValueError("not a list of logouts")
    return logouts
