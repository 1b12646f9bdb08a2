"""Facts of what Pillow decodes."""

import io
from collections.abc import Iterator

from PIL import Image

from plotindex.rendering.drawing.rasters import FORMATS, MAX_PIXELS, frames_of, in_webp_mode, png_depth
from plotindex.rendering.drawing.size import fit
from plotindex.rendering.facts import BLANK, BROKEN, MAX_DPI, UNKNOWN, Facts, limit_metadata, limit_texts
from plotindex.rendering.protocol import NoPictureError, Outcome
from plotindex.rendering.reading.metadata import read_exif, title_and_texts
from plotindex.rendering.reading.picture_hash import Look, look_at
from plotindex.rendering.reading.png import read_png
from plotindex.rendering.reading.rdf import read_xmp

MAX_BYTES = 256 << 20
HASHED_WIDTH = 640
"""Width at which a JPEG, which can be decoded smaller, is looked at."""


def read_raster(file: io.BufferedIOBase, format_name: str) -> Iterator[Facts]:
    """The facts of an image: first what its headers state, then also what its pixels show.

    Raises:
        NoPictureError: it has too many bytes.
        Exception: it cannot be decoded; the type is Pillow's choice.
    """
    yield UNKNOWN._replace(format=format_name)
    metadata: list[tuple[str, str]] = []
    exif = xmp = b""
    is_complete = True
    if format_name == "png":
        content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise NoPictureError(Outcome.TOO_LARGE)
        file, metadata, xmp, exif, is_complete = read_png(content)
    elif format_name == "gif":
        is_complete = _ends_with_trailer(file)
    broken = frozenset() if is_complete else frozenset({BROKEN})
    # Image.open reads headers only.
    with Image.open(file, formats=FORMATS) as image:  # type: ignore[arg-type]  # a stream of bytes
        metadata += _metadata_of(image, exif, xmp)
        title, texts = limit_texts(*title_and_texts(metadata))
        facts = UNKNOWN._replace(
            format=format_name,
            width=image.width,
            height=image.height,
            frames=1,
            dpi=_dpi(image.info.get("dpi")),
            title=title,
            text=texts,
            metadata=limit_metadata(metadata),
            flags=broken,
        )
        yield facts
        if image.width * image.height > MAX_PIXELS:
            return
        look = _look(image, file)
        facts = facts._replace(picture_hash=look.picture_hash)
        yield facts
        # The frames of some formats are counted one by one.
        facts = facts._replace(frames=frames_of(image))
        yield facts._replace(flags=facts.flags | {BLANK}) if look.is_uniform and facts.frames == 1 else facts


def _look(image: Image.Image, file: io.BufferedIOBase) -> Look:
    """How the first frame looks."""
    size = image.size
    depth = png_depth(image, file)
    image.draft(None, fit(size, HASHED_WIDTH))
    image.load()
    look = look_at(in_webp_mode(image, depth))
    if look.is_uniform and image.size != size:
        # Made smaller, a dot may have vanished.
        file.seek(0)
        with Image.open(file, formats=["JPEG"]) as whole:  # type: ignore[arg-type]  # a stream of bytes
            return look_at(in_webp_mode(whole, depth))
    return look


def _metadata_of(image: Image.Image, exif: bytes, xmp: bytes) -> list[tuple[str, str]]:
    metadata = []
    comment = image.info.get("comment")
    if isinstance(comment, bytes):
        metadata.append(("Comment", comment.decode("utf-8", "replace")))
    elif isinstance(comment, str):
        metadata.append(("Comment", comment))
    exif = exif or image.info.get("exif", b"")
    metadata += read_exif(Image.Exif(), exif) if exif or image.format != "TIFF" else read_exif(image.getexif())
    xmp = xmp or image.info.get("xmp", b"")
    return metadata + read_xmp(xmp if isinstance(xmp, bytes) else b"")


def _dpi(value: object) -> float | None:
    """Pillow's pair of resolutions, of which a plot has two that are the same."""
    try:
        dpi = round(float(value[0]), 1)  # type: ignore[index]
    except (TypeError, ValueError, IndexError, ZeroDivisionError, OverflowError):
        return None
    return dpi if 0 < dpi <= MAX_DPI else None


def _ends_with_trailer(file: io.BufferedIOBase) -> bool:
    """Whether a GIF is complete: Pillow reads a shorter one up to where it ends."""
    file.seek(max(0, file.seek(0, io.SEEK_END) - 64))
    end = file.read(64)
    file.seek(0)
    return end.rstrip(b"\0\r\n").endswith(b";")
