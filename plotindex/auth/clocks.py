"""Encrypt clocks: a caller can return one, but reads no number from it."""

import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256

from plotindex.auth.keys import Keys
from plotindex.errors import SettingsError

TAG_BYTES = 16
CLOCK_BYTES = 8
CLOCK_TEXT = re.compile(r"[A-Za-z0-9_-]{32}([A-Za-z0-9_-]{12})?")
"""The form of an encrypted clock, the longer one with a position within a commit (9 bytes)."""


class ClockSealer:
    """Encrypts clocks for callers. Equal clocks give equal texts, which other callers cannot use.

    A synthetic IV (as in RFC 5297): the tag authenticates the clock, and gives the key stream that hides it.
    """

    def __init__(self, keys: Keys, salt: str) -> None:
        self._keys = keys
        self._salt = salt

    def seal(self, clock: int, caller: str, within: bytes = b"") -> str:
        """The text of a clock, with a position within its commit, for a caller."""
        keys = self._keys.load_or_create()
        if not keys:
            raise SettingsError("There is no key to encrypt clocks with: set PLOTINDEX_SECRET_KEY.")
        return self._seal(keys[0], clock.to_bytes(CLOCK_BYTES, signed=True) + within, caller)

    def open(self, text: str, caller: str) -> tuple[int, bytes] | None:
        """The clock and position in a text; None if it was not encrypted for this caller with one of the keys."""
        if not CLOCK_TEXT.fullmatch(text):
            return None
        sealed = urlsafe_b64decode(text)
        for key in self._keys.load():
            plain = self._hide(key, sealed[:TAG_BYTES], sealed[TAG_BYTES:])
            if hmac.compare_digest(text, self._seal(key, plain, caller)):
                return int.from_bytes(plain[:CLOCK_BYTES], signed=True), plain[CLOCK_BYTES:]
        return None

    def _seal(self, key: bytes, plain: bytes, caller: str) -> str:
        tag = self._digest(key, "tag", plain + caller.encode())[:TAG_BYTES]
        return urlsafe_b64encode(tag + self._hide(key, tag, plain)).decode()

    def _hide(self, key: bytes, tag: bytes, content: bytes) -> bytes:
        """Encrypt or decrypt."""
        stream = self._digest(key, "stream", tag)
        return bytes(a ^ b for a, b in zip(content, stream, strict=False))

    def _digest(self, key: bytes, purpose: str, content: bytes) -> bytes:
        derived = hmac.digest(key, f"clock {purpose} {self._salt}".encode("utf-8", "surrogateescape"), sha256)
        return hmac.digest(derived, content, sha256)
