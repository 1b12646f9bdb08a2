"""The chunks of a PNG (PNG specification, third edition): texts with bounds, and the picture without them."""

import io
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from plotindex.rendering.facts import MAX_TEXT_BYTES

SIGNATURE = b"\x89PNG\r\n\x1a\n"
PICTURE = {b"IHDR", b"PLTE", b"tRNS", b"pHYs", b"IDAT", b"IEND", b"acTL", b"fcTL", b"fdAT"}
"""What a decoder needs. A damaged or huge chunk of another kind would cost it the picture."""
MAX_CHUNKS = 100_000
MAX_TEXTS = 1000
MAX_CHUNK_BYTES = 1 << 16
"""Of a chunk with text, compressed or not: the rest of it is not read."""
XMP = "XML:com.adobe.xmp"


class Png(NamedTuple):
    """What a PNG holds."""

    picture: io.BytesIO
    """The PNG without texts, profiles and EXIF."""
    texts: list[tuple[str, str]]
    xmp: bytes
    exif: bytes
    is_complete: bool
    """Whether it has its last chunk."""


def read_png(content: bytes) -> Png:
    picture = [SIGNATURE]
    texts: list[tuple[str, str]] = []
    xmp = exif = kind = b""
    for kind, start, end in _chunks(content):
        data = content[start : min(end, start + MAX_CHUNK_BYTES)]
        if kind in PICTURE:
            picture.append(content[start - 8 : end + 4])
        elif kind == b"eXIf":
            exif = data
        elif kind in (b"tEXt", b"zTXt", b"iTXt") and len(texts) < MAX_TEXTS and (text := _text_of(kind, data)):
            if text[0] == XMP:
                xmp = text[1].encode()
            else:
                texts.append(text)
    return Png(io.BytesIO(b"".join(picture)), texts, xmp, exif, kind == b"IEND")


def _chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind of each chunk, and where its data starts and ends; the last one may be cut off."""
    place = len(SIGNATURE)
    for _ in range(MAX_CHUNKS):
        start = place + 8
        if start > len(content):
            return
        end = start + int.from_bytes(content[place : place + 4])
        kind = content[place + 4 : start]
        yield kind, start, end
        if kind == b"IEND":
            return
        place = end + 4


def _text_of(kind: bytes, data: bytes) -> tuple[str, str] | None:
    """Keyword and text of a chunk; None if it is damaged."""
    keyword, _, rest = data.partition(b"\0")
    encoding = "latin-1"
    is_compressed = kind == b"zTXt"
    if kind == b"zTXt":
        rest = rest[1:]
    elif kind == b"iTXt":
        encoding = "utf-8"
        is_compressed = rest[:1] == b"\x01"
        rest = b"\0".join(rest[2:].split(b"\0", 2)[2:])
    limit = MAX_CHUNK_BYTES if keyword == XMP.encode() else MAX_TEXT_BYTES
    if is_compressed:
        try:
            rest = zlib.decompressobj().decompress(rest, limit)
        except zlib.error:
            return None
    rest = rest[:limit]
    return keyword.decode("latin-1"), rest.decode(encoding, "replace")
