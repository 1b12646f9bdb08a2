"""The keys that sign cookies and addresses. The newest signs, each is believed: a new one ends nobody's login."""

import re
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, Self

from plotindex.config import Settings
from plotindex.errors import SettingsError
from plotindex.system import exclusive_lock, file_signature, printable, read_private, write_private

KEYS_FILE = "secret.key"
KEPT_KEYS = 2
"""So many keys before the newest are believed. A cookie lasts thirty days: rotate no more than twice in these."""


class Keys(Protocol):
    """Where keys come from."""

    def known(self) -> Sequence[bytes]:
        """The keys that are believed, the newest first; none when none was made yet."""

    def made(self) -> Sequence[bytes]:
        """As `known`, but a key is made when there is none."""


class GivenKeys:
    """Keys that somebody else keeps: a setting, or the application that plotindex is part of."""

    def __init__(self, ask: Callable[[], Sequence[bytes]]) -> None:
        self.known = self.made = ask


class KeyFile:
    """Keys in a file that only its owner can read, a line each."""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Those of the root that settings name."""
        return cls(settings.state_folder / KEYS_FILE)

    def __init__(self, file: Path) -> None:
        self._file = file
        self._seen: tuple[tuple[int, ...], list[bytes]] = (), []

    def known(self) -> Sequence[bytes]:
        """The keys that are believed. The file is read again when it changes.

        Raises:
            SettingsError: this user cannot read the file, or it holds something else.
        """
        signature = file_signature(self._file)
        if not signature:
            return []
        seen = self._seen
        if signature != seen[0]:
            self._seen = seen = signature, self._read()
        return seen[1]

    def made(self) -> Sequence[bytes]:
        """As `known`, but the file is made when there is none.

        Raises:
            SettingsError: this user can neither read nor make it, or it holds something else.
        """
        if not self._file.exists():
            with exclusive_lock(self._file):
                if not self._file.exists():
                    self._write([_new_key()])
        return self.known()

    def rotate(self, *, keep: int = KEPT_KEYS) -> None:
        """Sign with a new key from now on, and still believe so many of those before it.

        Raises:
            SettingsError: this user cannot write the file, or it holds something else.
        """
        with exclusive_lock(self._file):
            before = self._read() if self._file.exists() else []
            self._write([_new_key(), *before[:keep]])

    def _read(self) -> list[bytes]:
        try:
            return parse_keys(read_private(self._file))
        except OSError as error:
            raise SettingsError(
                f"The keys in {printable(str(self._file))} cannot be read ({error.strerror}): let this user read it."
            ) from error
        except ValueError:
            raise SettingsError(
                f"{printable(str(self._file))} holds no keys: restore it or, which ends every login, remove it."
            ) from None

    def _write(self, keys: Sequence[bytes]) -> None:
        write_private(self._file, b"".join(key + b"\n" for key in keys))


def parse_keys(content: bytes) -> list[bytes]:
    """What a file of keys holds, the newest first.

    Raises:
        ValueError: it holds none, or something else.
    """
    keys = content.split()
    if not keys or not all(re.fullmatch(rb"[0-9a-f]{64}", key) for key in keys):
        raise ValueError("these are no keys")
    return keys


def keys_of(settings: Settings) -> Keys:
    """The keys that sign: those given, else those in the state folder.

    Raises:
        SettingsError: several nodes share the catalogue, and no keys are given.
    """
    given = [key.encode() for key in settings.secret_key]
    if given:
        return GivenKeys(lambda: given)
    if settings.is_shared:
        raise SettingsError(
            "The nodes that share a catalogue on a server believe each other's cookies and addresses: set "
            "PLOTINDEX_SECRET_KEY to the same key on each of them."
        )
    return KeyFile.of(settings)


def addresses_salt(settings: Settings) -> str:
    """What tells the signed addresses of one instance from those of another that has the same keys."""
    return f"plotindex-address {settings.root} {settings.url_prefix}"


def _new_key() -> bytes:
    return secrets.token_hex(32).encode()
