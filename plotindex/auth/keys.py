"""Keys that sign cookies and URLs. The newest signs; all are accepted, so that logins survive two rotations."""

import re
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, Self

from plotindex.config import Settings
from plotindex.errors import SettingsError
from plotindex.system import exclusive_lock, file_signature, printable, read_private, write_private

KEYS_FILE = "secret.key"
MAX_PREVIOUS_KEYS = 2
"""Previous keys that are still accepted. Cookies last 30 days: with two rotations in that time none is cut short."""


class Keys(Protocol):
    """A source of keys."""

    def load(self) -> Sequence[bytes]:
        """The accepted keys, newest first; empty if none was created yet."""

    def load_or_create(self) -> Sequence[bytes]:
        """As `load`, but create a key if there is none."""


class ExternalKeys:
    """Keys from the settings or the host application."""

    def __init__(self, load: Callable[[], Sequence[bytes]]) -> None:
        self.load = self.load_or_create = load


class KeyFile:
    """Keys in a private file, one per line."""

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The key file of a root."""
        return cls(settings.state_folder / KEYS_FILE)

    def __init__(self, file: Path) -> None:
        self._file = file
        self._cached: tuple[tuple[int, ...], list[bytes]] = (), []

    def load(self) -> Sequence[bytes]:
        """The accepted keys, newest first. Reloads the file when it changes.

        Raises:
            SettingsError: the file is unreadable or damaged.
        """
        signature = file_signature(self._file)
        if not signature:
            return []
        cached = self._cached
        if signature != cached[0]:
            self._cached = cached = signature, self._read()
        return cached[1]

    def load_or_create(self) -> Sequence[bytes]:
        """As `load`, but create the file if it is missing.

        Raises:
            SettingsError: the file is unreadable or damaged, or cannot be created.
        """
        if not self._file.exists():
            with exclusive_lock(self._file):
                if not self._file.exists():
                    self._write([_new_key()])
        return self.load()

    def rotate(self, *, keep: int = MAX_PREVIOUS_KEYS) -> None:
        """Sign with a new key from now on; accept the `keep` newest previous keys.

        Raises:
            SettingsError: the file is damaged or cannot be written.
        """
        with exclusive_lock(self._file):
            previous = self._read() if self._file.exists() else []
            self._write([_new_key(), *previous[:keep]])

    def _read(self) -> list[bytes]:
        try:
            return parse_keys(read_private(self._file))
        except OSError as error:
            raise SettingsError(
                f"The keys in {printable(str(self._file))} cannot be read ({error.strerror}): "
                "make the file readable for this user (chmod, chown)."
            ) from error
        except ValueError:
            raise SettingsError(
                f"{printable(str(self._file))} is damaged: restore it, or remove it (which ends every login)."
            ) from None

    def _write(self, keys: Sequence[bytes]) -> None:
        write_private(self._file, b"".join(key + b"\n" for key in keys))


def parse_keys(content: bytes) -> list[bytes]:
    """The keys in a key file, newest first.

    Raises:
        ValueError: the content is not a list of keys.
    """
    keys = content.split()
    if not keys or not all(re.fullmatch(rb"[0-9a-f]{64}", key) for key in keys):
        raise ValueError("not a list of keys")
    return keys


def signing_keys(settings: Settings) -> Keys:
    """The keys in `secret_key` or, if it is not set, the key file.

    Raises:
        SettingsError: the catalogue is shared by several nodes, and `secret_key` is not set.
    """
    keys = [key.encode() for key in settings.secret_key]
    if keys:
        return ExternalKeys(lambda: keys)
    if settings.is_shared:
        raise SettingsError(
            "Nodes that share a catalogue must accept each other's cookies and signed URLs: set PLOTINDEX_SECRET_KEY "
            "to the same key on each of them."
        )
    return KeyFile.from_settings(settings)


def signed_url_salt(settings: Settings) -> str:
    """The salt that separates the signed URLs of instances with the same keys."""
    return f"plotindex-address {settings.root} {settings.url_prefix}"


def _new_key() -> bytes:
    return secrets.token_hex(32).encode()
