"""One-time codes, and the cookies they become: how a browser gets to see what a token may.

Both stand for a token and end with it.
"""

import json
import logging
import secrets
import time
from pathlib import Path
from typing import Self

from plotindex.auth.keys import Keys, keys_of
from plotindex.auth.signing import Cookies
from plotindex.auth.tokens import Token, Tokens, digest_of
from plotindex.config import Settings
from plotindex.errors import SettingsError
from plotindex.system import exclusive_lock, file_signature, printable, read_private, write_private

CODES_FILE, LOGOUTS_FILE = "logins.json", "logouts.json"
CODE_SECONDS = 600
COOKIE_SECONDS = 30 * 86400

log = logging.getLogger(__name__)


class Logins:
    """The codes and cookies of one root. Its files are made when they are first needed."""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Those of the root that settings name."""
        return cls(settings.state_folder, Tokens.of(settings), keys_of(settings))

    def __init__(self, folder: Path, tokens: Tokens, keys: Keys) -> None:
        self._codes = folder / CODES_FILE
        self._ended = Ended(folder / LOGOUTS_FILE)
        self._tokens = tokens
        self._cookies = Cookies(keys, "plotindex-cookie")

    def create_code(self, token: Token) -> str:
        """A code that is good for one login within ten minutes, as the holder of that token.

        Raises:
            SettingsError: this user cannot write the state folder.
        """
        code = secrets.token_urlsafe(24)
        with exclusive_lock(self._codes):
            codes = self._read_codes()
            codes[digest_of(code)] = {"token": token.sha256, "expires": time.time() + CODE_SECONDS}
            self._write_codes(codes)
        return code

    def consume_code(self, code: str) -> str | None:
        """The value of a cookie for whoever brings that code first, or None."""
        with exclusive_lock(self._codes):
            codes = self._read_codes()
            entry = codes.pop(digest_of(code), None)
            if entry is None:
                return None
            self._write_codes(codes)
        return self._cookies.seal(f"{entry['token']} {secrets.token_urlsafe(12)}")

    def check_cookie(self, value: str) -> Token | None:
        """The token that a cookie stands for, or None when the cookie or the token is not good any more."""
        digest, login = self._open(value)
        return self._tokens.find(digest) if login and not self._ended.holds(login) else None

    def end(self, value: str) -> None:
        """Log out: that cookie is good no more, wherever a copy of it may be.

        Raises:
            SettingsError: this user cannot write the state folder.
        """
        _, login = self._open(value)
        if login and not self._ended.holds(login):
            self._ended.add(login, time.time() + COOKIE_SECONDS)

    def _open(self, value: str) -> tuple[str, str]:
        """Which token a cookie stands for, and by which login."""
        digest, _, login = ((self._cookies.open(value, COOKIE_SECONDS) if value else None) or "").partition(" ")
        return digest, login

    def _read_codes(self) -> dict[str, dict[str, float | str]]:
        try:
            codes = json.loads(read_private(self._codes))
        except (FileNotFoundError, ValueError, RecursionError):
            return {}
        except OSError as error:
            raise SettingsError(
                f"The codes in {printable(str(self._codes))} cannot be read ({error.strerror}): let this user read it."
            ) from None
        now = time.time()
        if not isinstance(codes, dict) or not all(isinstance(entry, dict) for entry in codes.values()):
            return {}
        return {code: entry for code, entry in codes.items() if entry.get("expires", 0) > now}

    def _write_codes(self, codes: dict[str, dict[str, float | str]]) -> None:
        write_private(self._codes, json.dumps(codes).encode())


class Ended:
    """Logins that are over, until their cookies would be: a file that is not there while nobody has logged out."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known: tuple[tuple[int, ...], dict[str, float] | None] = (), {}

    def holds(self, login: str) -> bool:
        """Whether that login is over; while the file is damaged every one is."""
        seen = file_signature(self._file)
        known = self._known
        if seen != known[0]:
            self._known = known = seen, self._read()
        return known[1] is None or login in known[1]

    def add(self, login: str, until: float) -> None:
        """Keep, across restarts, that a login is over."""
        with exclusive_lock(self._file):
            now = time.time()
            kept = {name: end for name, end in (self._read() or {}).items() if end > now}
            write_private(self._file, json.dumps({**kept, login: until}).encode())

    def _read(self) -> dict[str, float] | None:
        try:
            return parse_ended(read_private(self._file))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, SettingsError):
            log.error("%s cannot be read: nobody is logged in until it is removed or restored.", self._file.name)
            return None


def parse_ended(content: bytes) -> dict[str, float]:
    """What a file of logins that are over holds: until when each is kept.

    Raises:
        ValueError: it is none.
    """
    try:
        ended = json.loads(content)
    except RecursionError as error:
        raise ValueError("these are no logins") from error
    if not isinstance(ended, dict) or not all(isinstance(end, int | float) for end in ended.values()):
        raise ValueError("these are no logins")
    return ended
