"""Read the facts of a plot, whatever its format."""

import io
from collections.abc import Iterator

from PIL import Image

from plotindex.rendering.drawing.pdf import MAX_BYTES, Document
from plotindex.rendering.drawing.pdf import SAMPLE as PDF_SAMPLE
from plotindex.rendering.drawing.rasters import samples
from plotindex.rendering.drawing.svg import draw_svg
from plotindex.rendering.facts import BLANK, BROKEN, MAX_NUMBER, TINY, UNKNOWN, Facts, limit_metadata, limit_texts
from plotindex.rendering.protocol import NoPictureError, Original, Outcome
from plotindex.rendering.reading.metadata import title_and_texts
from plotindex.rendering.reading.pdf_text import read_pdf
from plotindex.rendering.reading.picture_hash import look_at
from plotindex.rendering.reading.raster_facts import read_raster
from plotindex.rendering.reading.svg_text import read_svg

TINY_SIDE = 16
DRAWN_WIDTH = 320
"""Width of the picture of a vector that is looked at."""
FORMAT_OF_SUFFIX = {".jpg": "jpeg", ".tif": "tiff"}
"""Suffixes that are not called as their format."""
SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": "png",
    b"\xff\xd8\xff": "jpeg",
    b"GIF87a": "gif",
    b"GIF89a": "gif",
    b"II*\0": "tiff",
    b"MM\0*": "tiff",
    b"II+\0": "tiff",
    b"MM\0+": "tiff",
}
SVG_SAMPLE = b"<?xml version='1.0' encoding='latin-1'?><svg xmlns='http://www.w3.org/2000/svg'><text>x</text></svg>"
HEAD_BYTES = 1024
"""A PDF may begin that late."""


def preload() -> None:
    """Read each format once: no file can be opened later."""
    for sample in (io.BytesIO(SVG_SAMPLE), io.BytesIO(PDF_SAMPLE), *samples()):
        list(inspect(sample, ""))


def inspect(file: io.BufferedIOBase, suffix: str) -> Iterator[Facts]:
    """The facts of a plot with this suffix, or none, each time with more of them.

    Raises:
        BaseException: it cannot be decoded; the type is the library's choice.
    """
    head = file.read(HEAD_BYTES)
    file.seek(0)
    format_name = format_of(head)
    readers = {"svg": _read_svg, "pdf": _read_pdf, "": _read_nothing}
    found = readers[format_name](file) if format_name in readers else read_raster(file, format_name)
    for facts in found:
        flags = set(facts.flags)
        if not facts.format or (suffix and facts.format != FORMAT_OF_SUFFIX.get(suffix, suffix[1:])):
            flags.add(BROKEN)
        if facts.width is not None and facts.height is not None and min(facts.width, facts.height) < TINY_SIDE:
            flags.add(TINY)
        yield facts._replace(flags=frozenset(flags))


def format_of(head: bytes) -> str:
    """The format of a file that begins so; `svg` for all that may be XML."""
    for signature, name in SIGNATURES.items():
        if head.startswith(signature):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[4:8] == b"ftyp" and any(brand in head[8:64] for brand in (b"avif", b"avis")):
        return "avif"
    if b"%PDF-" in head:
        return "pdf"
    # In UTF-16, too.
    return "svg" if head.lstrip(b"\xef\xbb\xbf\xff\xfe\0 \t\r\n").startswith(b"<") else ""


def _read_nothing(_file: io.BufferedIOBase) -> Iterator[Facts]:
    yield UNKNOWN


def _read_svg(file: io.BufferedIOBase) -> Iterator[Facts]:
    found, is_well_formed = read_svg(file)
    if not found.is_svg:
        yield UNKNOWN
        return
    metadata = list(found.properties)
    title, texts = found.title_and_texts()
    stated, more = title_and_texts(metadata)
    title, kept = limit_texts(title or stated, [*texts, *more])
    facts = UNKNOWN._replace(
        format="svg",
        frames=1,
        title=title,
        text=kept,
        metadata=limit_metadata(metadata),
        flags=frozenset() if is_well_formed else frozenset({BROKEN}),
    )
    yield facts
    if not is_well_formed:
        return
    file.seek(0)
    try:
        image, original = draw_svg(file, DRAWN_WIDTH)
    except NoPictureError:
        raise
    except BaseException as error:
        # Browsers draw what resvg does not understand, or finds too deep: the file is not broken.
        raise NoPictureError(Outcome.CRASHED) from error
    yield _with_picture(facts, image, original)


def _read_pdf(file: io.BufferedIOBase) -> Iterator[Facts]:
    content = file.read(MAX_BYTES + 1)
    yield UNKNOWN._replace(format="pdf")
    if len(content) > MAX_BYTES:
        raise NoPictureError(Outcome.TOO_LARGE)
    document = Document(content)
    metadata = document.metadata()
    stated, more = title_and_texts(metadata)
    facts = UNKNOWN._replace(format="pdf", frames=document.pages, metadata=limit_metadata(metadata))
    yield facts
    title, texts = read_pdf(document)
    # A title that a script states is surer than one told by its size.
    title, kept = limit_texts(stated or title, [*texts, *more])
    facts = facts._replace(title=title, text=kept)
    yield facts
    yield _with_picture(facts, *document.draw(DRAWN_WIDTH))


def _with_picture(facts: Facts, image: Image.Image, original: Original) -> Facts:
    look = look_at(image)
    return facts._replace(
        width=min(original.width, MAX_NUMBER),
        height=min(original.height, MAX_NUMBER),
        picture_hash=look.picture_hash,
        flags=facts.flags | ({BLANK} if look.is_uniform and facts.frames == 1 else set()),
    )
