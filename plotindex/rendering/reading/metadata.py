"""Metadata that a file has of itself: EXIF, and which of it is a title or a text."""

import re
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress

from PIL import ExifTags, Image

DEFAULTS = re.compile(r"Gnuplot|Kaleido-fier|Pygal|%3|G|R Graphics Output|Produced by GNUPLOT .*")
"""Texts that tools write where a script gives none."""
TITLES = {"title", "xptitle"}
TEXTS = {
    *("description", "imagedescription", "comment", "usercomment", "xpcomment", "caption"),
    *("subject", "xpsubject", "keywords", "xpkeywords"),
}
"""Names, in lower case, of metadata that are texts for readers."""
EXIF_TAGS = (
    *(ExifTags.Base.ImageDescription, ExifTags.Base.Software, ExifTags.Base.DateTime, ExifTags.Base.Artist),
    *(ExifTags.Base.Copyright, ExifTags.Base.XPTitle, ExifTags.Base.XPComment, ExifTags.Base.XPAuthor),
    *(ExifTags.Base.XPKeywords, ExifTags.Base.XPSubject),
)
CHARACTER_CODES = {b"ASCII\0\0\0": "ascii", b"UNICODE\0": "utf-16"}
"""The first bytes of a user comment (Exif 3.0, table 9) -> its encoding."""
DAMAGED = (
    *(SyntaxError, ValueError, TypeError, KeyError, IndexError, AttributeError, OSError, EOFError),
    *(OverflowError, ZeroDivisionError, struct.error),
)
"""What Pillow raises for damaged EXIF."""


def is_default(text: str) -> bool:
    """Whether a tool has written this text by itself."""
    return DEFAULTS.fullmatch(text) is not None


def title_and_texts(metadata: Iterable[tuple[str, str]]) -> tuple[str, list[str]]:
    """The title that metadata states, and its other texts."""
    titles, texts = [], []
    for name, value in metadata:
        if is_default(value):
            continue
        if name.lower() in TITLES:
            titles.append(value)
        elif name.lower() in TEXTS:
            texts.append(value)
    return next(iter(titles), ""), texts


def read_exif(exif: Image.Exif, content: bytes = b"") -> list[tuple[str, str]]:
    """Texts of EXIF, which is loaded from `content`, if given."""
    found: list[tuple[str, str]] = []
    with suppress(*DAMAGED):
        if content:
            exif.load(content)
        found.extend(_texts_of(exif))
    return found


def _texts_of(exif: Image.Exif) -> Iterator[tuple[str, str]]:
    for tag in EXIF_TAGS:
        if tag in exif:
            yield tag.name, _decode(exif[tag], tag.name.startswith("XP"))
    comment = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.UserComment)
    if isinstance(comment, bytes):
        yield "UserComment", comment[8:].decode(CHARACTER_CODES.get(comment[:8], "utf-8"), "replace")


def _decode(value: object, is_utf16: bool) -> str:
    if isinstance(value, tuple):
        value = bytes(value)
    if isinstance(value, bytes):
        return value.decode("utf-16-le" if is_utf16 else "utf-8", "replace")
    text = str(value)
    # Pillow decodes as Latin-1; most programs write UTF-8.
    with suppress(UnicodeError):
        return text.encode("latin-1").decode()
    return text
