"""Tokens: which sessions a program or a browser can see.

A program sends the secret (Bearer); a browser logs in by `plotindex token link`. Secrets are printed once; only their
SHA-256 is stored. The file is reloaded when it changes, so that a revocation takes effect at once in every process.
"""

import hashlib
import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from plotindex.config import Settings
from plotindex.errors import PlotIndexError, SettingsError
from plotindex.system import exclusive_lock, file_signature, parse_duration, printable, read_private, write_private
from plotindex.tree import SessionFilter, glob_matcher, is_name, literal_prefix

MAX_TIME = 10**12
"""Seconds since the epoch, later than any expiry that can be given."""

TOKENS_FILE = "tokens.json"
PREFIX = "plotindex_"
"""Lets secret scanners recognise a leaked token."""


@dataclass(frozen=True)
class Token:
    """The permissions of a token. Times are seconds since the epoch."""

    sha256: str
    created: float
    session: str | None = None
    session_glob: str | None = None
    expires: float | None = None
    metrics: bool = False
    """Whether it allows /metrics only, and no session."""

    @property
    def id(self) -> str:
        """A public identifier, for use in URLs. It grants no access."""
        return hashlib.sha256(f"id {self.sha256}".encode()).hexdigest()[:16]

    def allows(self, session: str) -> bool:
        """Whether it grants access to that session."""
        if self.metrics:
            return False
        if self.session is not None:
            return session == self.session
        return self.session_glob is None or glob_matcher(self.session_glob)(session)

    @property
    def allows_all(self) -> bool:
        """Whether it grants access to all sessions, including future ones."""
        return not self.metrics and self.session is None and self.session_glob is None

    @property
    def sessions(self) -> SessionFilter:
        """The sessions that it grants access to."""
        name = "" if self.metrics else self.session
        return SessionFilter(self.allows, self.allows_all, name, literal_prefix(self.session_glob or ""))

    @property
    def allows_metrics(self) -> bool:
        """Whether it grants access to /metrics, which covers all sessions."""
        return self.metrics or self.allows_all

    def is_expired(self, now: float) -> bool:
        return self.expires is not None and now >= self.expires


class Tokens:
    """The tokens of one root, in one private file."""

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The tokens of a root."""
        return cls(settings.state_folder / TOKENS_FILE)

    def __init__(self, file: Path) -> None:
        self._file = file
        self._path = str(file)
        self._cached: tuple[tuple[int, ...] | None, dict[str, Token]] = None, {}

    def create(
        self,
        name: str,
        *,
        session: str | None = None,
        session_glob: str | None = None,
        expires: str | None = None,
        metrics: bool = False,
    ) -> str:
        """Create a token; return its secret, which is not stored. `expires` is a duration such as 30d.

        Raises:
            SettingsError: the name is taken, or an argument is invalid.
        """
        if not name or not name.isprintable():
            raise SettingsError("A token needs a name of printable characters.")
        if session is not None and session_glob is not None:
            raise SettingsError("Give either --session or --session-glob, not both.")
        if metrics and (session is not None or session_glob is not None):
            raise SettingsError("A --metrics token allows no session: leave out --session and --session-glob.")
        if session_glob == "":
            raise SettingsError("An empty --session-glob matches no session: leave it out to allow every session.")
        if session is not None and not is_name(session):
            raise SettingsError(f"{session!r} is not a valid session: expected a single directory name.")
        now = time.time()
        secret = PREFIX + secrets.token_urlsafe(32)
        expiry = None if expires is None else now + parse_duration(expires)
        with self._changing() as tokens:
            for expired in [name for name, token in tokens.items() if token.is_expired(now)]:
                del tokens[expired]
            if name in tokens:
                raise SettingsError(f"The token {name!r} already exists: revoke it first, or choose another name.")
            tokens[name] = Token(hash_secret(secret), now, session, session_glob, expiry, metrics)
        return secret

    def revoke(self, name: str) -> bool:
        """Revoke a token; return whether it existed."""
        with self._changing() as tokens:
            return tokens.pop(name, None) is not None

    def list(self) -> dict[str, Token]:
        """All tokens by name."""
        return self._read()

    def check(self, secret: str) -> Token | None:
        """The token with that secret; None if it does not exist or has expired.

        Raises:
            PlotIndexError: the file is damaged.
        """
        return self.find(hash_secret(secret))

    def find(self, digest_or_id: str) -> Token | None:
        """The token whose secret has that SHA-256, or that has that id. Raises as `check` does."""
        signature = file_signature(self._path)
        cached = self._cached
        if signature != cached[0]:
            tokens = self._read().values()
            by_name = {name: token for token in tokens for name in (token.sha256, token.id)}
            # One assignment: threads must not see the signature of one version with the tokens of another.
            self._cached = cached = signature, by_name
        token = cached[1].get(digest_or_id)
        return None if token is None or token.is_expired(time.time()) else token

    def _read(self) -> dict[str, Token]:
        try:
            return parse_tokens(read_private(self._file))
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise SettingsError(
                f"The tokens in {printable(str(self._file))} cannot be read ({error.strerror}): "
                "make the file readable for this user (chmod, chown)."
            ) from error
        except ValueError as error:
            raise PlotIndexError(
                f"{printable(str(self._file))} is damaged: restore the file, or remove it and create the tokens again."
            ) from error

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Token]]:
        with exclusive_lock(self._file):
            tokens = self._read()
            yield tokens
            content = {name: _to_json(token) for name, token in tokens.items()}
            write_private(self._file, json.dumps(content, indent=2).encode())


def parse_tokens(content: bytes) -> dict[str, Token]:
    """The tokens in a token file, by name.

    Raises:
        ValueError: the content is not an object of tokens by name.
    """
    try:
        tokens = {name: Token(**fields) for name, fields in json.loads(content).items()}
    except (TypeError, AttributeError, RecursionError) as error:
        raise ValueError("not an object of tokens by name") from error
    if not all(map(_has_valid_types, tokens.values())):
        raise ValueError("a field of a token has the wrong type")
    return tokens


def _has_valid_types(token: Token) -> bool:
    texts = token.sha256, token.session or "", token.session_glob or ""
    times = token.created, token.expires or 0
    return (
        all(isinstance(text, str) for text in texts)
        and all(isinstance(time, int | float) and 0 <= time <= MAX_TIME for time in times)
        and isinstance(token.metrics, bool)
    )


def _to_json(token: Token) -> dict[str, object]:
    """The fields to store. `metrics` is left out unless set: older versions reject it."""
    return {name: value for name, value in asdict(token).items() if name != "metrics" or value}


def hash_secret(secret: str) -> str:
    """The digest of a secret, as stored."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
