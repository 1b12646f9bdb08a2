"""Who may see which session: bearer tokens for programs.

A token's secret is shown once and kept as its SHA-256 alone. The file is read again when it changes, so that
revoking works at once in every process.
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
from plotindex.tree import glob_matcher, is_name

TOKENS_FILE = "tokens.json"
PREFIX = "plotindex_"
"""So that a leaked secret is known for what it is."""


@dataclass(frozen=True)
class Token:
    """What a token allows. Times are seconds since the epoch."""

    sha256: str
    created: float
    session: str | None = None
    session_glob: str | None = None
    expires: float | None = None
    metrics: bool = False
    """Whether it opens /metrics alone, and no session."""

    @property
    def id(self) -> str:
        """What names it where others may read it, as in an address: nothing can be opened with it."""
        return hashlib.sha256(f"id {self.sha256}".encode()).hexdigest()[:16]

    def allows(self, session: str) -> bool:
        """Whether its holder may see that session."""
        if self.metrics:
            return False
        if self.session is not None:
            return session == self.session
        return self.session_glob is None or bool(glob_matcher(self.session_glob)(session))

    @property
    def allows_all(self) -> bool:
        """Whether its holder may see every session that there is or will be."""
        return not self.metrics and self.session is None and self.session_glob is None

    @property
    def opens_metrics(self) -> bool:
        """Whether its holder may see /metrics: numbers of all sessions together."""
        return self.metrics or self.allows_all

    def is_expired(self, now: float) -> bool:
        return self.expires is not None and now >= self.expires


class Tokens:
    """The tokens of one root, kept in one file that only its owner can read."""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Those of the root that settings name."""
        return cls(settings.state_folder / TOKENS_FILE)

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known: tuple[tuple[int, ...] | None, dict[str, Token]] = None, {}

    def create(
        self,
        name: str,
        *,
        session: str | None = None,
        session_glob: str | None = None,
        expires: str | None = None,
        metrics: bool = False,
    ) -> str:
        """Make a token; return its secret, which is kept nowhere. `expires` is a duration such as 30d.

        One for `metrics` opens these and no session.

        Raises:
            SettingsError: the name is taken, or something given is wrong.
        """
        if not name or not name.isprintable():
            raise SettingsError("A token needs a name of printable characters.")
        if session is not None and session_glob is not None:
            raise SettingsError("Give either --session or --session-glob, not both.")
        if metrics and (session is not None or session_glob is not None):
            raise SettingsError("A token for --metrics opens no session: leave out --session and --session-glob.")
        if session_glob == "":
            raise SettingsError("An empty --session-glob matches no session: leave it out for every session.")
        if session is not None and not is_name(session):
            raise SettingsError(f"{session!r} can be no session: a session is the name of one folder.")
        now = time.time()
        secret = PREFIX + secrets.token_urlsafe(32)
        until = None if expires is None else now + parse_duration(expires)
        with self._changing() as tokens:
            for ended in [name for name, token in tokens.items() if token.is_expired(now)]:
                del tokens[ended]
            if name in tokens:
                raise SettingsError(f"There is a token {name!r} already: revoke it first, or choose another name.")
            tokens[name] = Token(digest_of(secret), now, session, session_glob, until, metrics)
        return secret

    def revoke(self, name: str) -> bool:
        """End a token; return whether there was one."""
        with self._changing() as tokens:
            return tokens.pop(name, None) is not None

    def list(self) -> dict[str, Token]:
        """Every token by name."""
        return self._read()

    def check(self, secret: str) -> Token | None:
        """The token of that secret, or None when there is none or it has expired.

        Raises:
            PlotIndexError: the file of tokens is damaged; nobody is let in.
        """
        return self.find(digest_of(secret))

    def find(self, name: str) -> Token | None:
        """The token whose secret has that SHA-256, or whose id it is. Raises as `check` does."""
        seen = file_signature(self._file)
        known = self._known
        if seen != known[0]:
            # One assignment: two threads that read it again around a change never mix what they read.
            tokens = self._read().values()
            named = {name: token for token in tokens for name in (token.sha256, token.id)}
            self._known = known = seen, named
        token = known[1].get(name)
        return None if token is None or token.is_expired(time.time()) else token

    def _read(self) -> dict[str, Token]:
        try:
            return parse_tokens(read_private(self._file))
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise SettingsError(
                f"The tokens in {printable(str(self._file))} cannot be read ({error.strerror}): let this user read it."
            ) from error
        except ValueError as error:
            raise PlotIndexError(
                f"The tokens in {printable(str(self._file))} cannot be read: restore the file, "
                "or remove it and create the tokens anew."
            ) from error

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Token]]:
        with exclusive_lock(self._file):
            tokens = self._read()
            yield tokens
            content = {name: _fields_of(token) for name, token in tokens.items()}
            write_private(self._file, json.dumps(content, indent=2).encode())


def parse_tokens(content: bytes) -> dict[str, Token]:
    """What a file of tokens holds, by name.

    Raises:
        ValueError: it is none.
    """
    try:
        tokens = {name: Token(**fields) for name, fields in json.loads(content).items()}
    except (TypeError, AttributeError, RecursionError) as error:
        raise ValueError("these are no tokens") from error
    if not all(map(_is_whole, tokens.values())):
        raise ValueError("a token's fields are of other types")
    return tokens


def _is_whole(token: Token) -> bool:
    texts = token.sha256, token.session or "", token.session_glob or ""
    times = token.created, token.expires or 0
    return (
        all(isinstance(text, str) for text in texts)
        and all(isinstance(time, int | float) for time in times)
        and isinstance(token.metrics, bool)
    )


def _fields_of(token: Token) -> dict[str, object]:
    """What the file says of a token; nothing that an older plotindex, which may read it, does not know."""
    return {name: value for name, value in asdict(token).items() if name != "metrics" or value}


def digest_of(secret: str) -> str:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
