"""Facts: what the renderer reads from one version of a plot, and the bytes it sends them in.

A plot can take the renderer over. `Facts.parse` accepts nothing but bounded, printable text and bounded numbers.
"""

import json
from collections.abc import Iterable
from typing import NamedTuple, TypeVar

FORMATS = ("png", "jpeg", "gif", "webp", "avif", "tiff", "svg", "pdf")
MAX_TEXT_BYTES = 4096
"""Limit of the title and all texts, and of all metadata, in UTF-8."""
MAX_NUMBER = 2**31 - 1
MAX_DPI = 1e6
HASH_BYTES = 72
"""Length of the hash of a picture."""
MAX_FACTS_BYTES = 1 << 16
"""Limit of `Facts.to_bytes`: JSON needs at most four bytes for one of text or metadata."""
T = TypeVar("T")
BLANK, TINY, BROKEN = FLAGS = ("blank", "tiny", "broken")


class Facts(NamedTuple):
    """What one version of a plot is and shows. Empty or None where it is not known."""

    format: str
    """The format of the content, one of FORMATS, whatever the suffix."""
    width: int | None
    """In pixels; of a vector in pixels of CSS or in points."""
    height: int | None
    frames: int
    """Frames of an animation, pages of a PDF."""
    dpi: float | None
    title: str
    text: tuple[str, ...]
    """Texts other than the title, each once, in the order of the file. As `clean` leaves them."""
    metadata: dict[str, str]
    picture_hash: bytes
    """Hash of how it looks, HASH_BYTES long: see `hash_distance`."""
    flags: frozenset[str]
    """Of FLAGS."""

    def to_bytes(self) -> bytes:
        """One line of JSON."""
        values = {
            **self._asdict(),
            "text": list(self.text),
            "picture_hash": self.picture_hash.hex(),
            "flags": sorted(self.flags),
        }
        return json.dumps(values, ensure_ascii=False).encode() + b"\n"

    @classmethod
    def parse(cls, content: bytes) -> "Facts":
        """The facts that `to_bytes` has written.

        Raises:
            ValueError: the content is anything else, or out of bounds.
        """
        if len(content) > MAX_FACTS_BYTES:
            raise ValueError("too long")
        try:
            values = json.loads(content)
        except RecursionError:
            raise ValueError("nested") from None
        values = _typed(dict, values)
        if tuple(values) != cls._fields:
            raise ValueError("other fields")
        facts = cls(
            format=_one_of(("", *FORMATS), values["format"]),
            width=_optional_number(values["width"]),
            height=_optional_number(values["height"]),
            frames=_number(values["frames"]),
            dpi=_dpi(values["dpi"]),
            title=_clean_text(values["title"]),
            text=tuple(_nonempty_text(text) for text in _typed(list, values["text"])),
            metadata={
                _nonempty_text(name): _clean_text(value) for name, value in _typed(dict, values["metadata"]).items()
            },
            picture_hash=bytes.fromhex(_typed(str, values["picture_hash"])),
            flags=frozenset(_one_of(FLAGS, flag) for flag in _typed(list, values["flags"])),
        )
        if len(facts.picture_hash) not in (0, HASH_BYTES):
            raise ValueError("hash of another length")
        for texts in ([facts.title, *facts.text], [*facts.metadata, *facts.metadata.values()]):
            if sum(len(text.encode()) for text in texts) > MAX_TEXT_BYTES:
                raise ValueError("too much text")
        return facts


UNKNOWN = Facts("", None, None, 0, None, "", (), {}, b"", frozenset())


def clean(text: str) -> str:
    """The printable characters of a text in one line, words separated by one blank.

    Control characters, bidirectional marks, surrogates and unassigned characters are left out.
    """
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " * c.isspace() for c in text)
    return " ".join(text.split())


def hash_distance(one: bytes, other: bytes) -> int:
    """The number of bits in which the hashes of two pictures differ."""
    return (int.from_bytes(one) ^ int.from_bytes(other)).bit_count()


def shorten(text: str, most: int) -> str:
    """The beginning of a text, at most `most` bytes in UTF-8."""
    return text.encode()[: max(0, most)].decode(errors="ignore").rstrip()


def limit_texts(title: str, texts: Iterable[str]) -> tuple[str, tuple[str, ...]]:
    """The title and the other texts as far as there is room, cleaned, each once."""
    title = shorten(clean(title), MAX_TEXT_BYTES)
    room = MAX_TEXT_BYTES - len(title.encode())
    kept = dict.fromkeys([title])
    for text in texts:
        cleaned = shorten(clean(text), room)
        if cleaned and cleaned not in kept:
            kept[cleaned] = None
            room -= len(cleaned.encode())
        if room <= 0:
            break
    return title, tuple(kept)[1:]


def limit_metadata(metadata: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Names and values as far as there is room, the short ones first, cleaned; of two with one name the first."""
    room = MAX_TEXT_BYTES
    kept: dict[str, str] = {}
    for name, value in sorted(metadata, key=lambda pair: len(pair[1])):
        cleaned = clean(name)
        length = len(cleaned.encode())
        if not cleaned or cleaned in kept or length >= room:
            continue
        kept[cleaned] = shorten(clean(value), room - length)
        room -= length + len(kept[cleaned].encode())
    return kept


def _typed(kind: type[T], value: object) -> T:
    if type(value) is not kind:
        raise ValueError("another type")
    return value


def _one_of(known: tuple[str, ...], value: object) -> str:
    if value not in known:
        raise ValueError("unknown value")
    return str(value)


def _number(value: object) -> int:
    number = _typed(int, value)
    if not 0 <= number <= MAX_NUMBER:
        raise ValueError("number out of bounds")
    return number


def _optional_number(value: object) -> int | None:
    return None if value is None else _number(value)


def _dpi(value: object) -> float | None:
    if value is None:
        return None
    dpi = _typed(float, value)
    # Not a number compares as false.
    if not 0 < dpi <= MAX_DPI:
        raise ValueError("dpi out of bounds")
    return dpi


def _clean_text(value: object) -> str:
    text = _typed(str, value)
    if clean(text) != text:
        raise ValueError("text with other characters")
    return text


def _nonempty_text(value: object) -> str:
    if not value:
        raise ValueError("empty text")
    return _clean_text(value)
