"""Draw what Pillow decodes, as browsers show it."""

import io
import struct
from collections.abc import Iterator
from contextlib import suppress

from PIL import (
    AvifImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    ImageChops,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
    features,
)

from plotindex.rendering.drawing.size import fit
from plotindex.rendering.protocol import NoPictureError, Original, Outcome

FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "AVIF", "TIFF")
"""Without this list Pillow detects any format, and starts Ghostscript for EPS."""
_PLUGINS = (
    *(AvifImagePlugin, GifImagePlugin, JpegImagePlugin, MpoImagePlugin),
    *(PngImagePlugin, TiffImagePlugin, WebPImagePlugin),
)
"""Imported before the process is confined; it can open no file afterwards."""
MAX_PIXELS = 128_000_000
ORIENTATION_TAG = 0x0112
TURNED_FORMATS = ("PNG", "JPEG", "MPO", "AVIF")
"""Formats that browsers turn by EXIF. For AVIF Pillow gives the file's own rotation as EXIF; it turns TIFF itself."""
TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation -> the operation that turns the image upright."""
SIDEWAYS = (5, 6, 7, 8)
"""The EXIF orientations that swap width and height."""
PNG_DEPTH_OFFSET = 24


def preload() -> None:
    """Draw each format once: Pillow loads codecs on first use."""
    Image.MAX_IMAGE_PIXELS = None
    # dav1d would start threads, which the filter of system calls forbids.
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    for sample in samples():
        draw_raster(sample, 4)


def samples() -> Iterator[io.BytesIO]:
    """A small file of each format."""
    image = Image.new("RGB", (8, 8))
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = 6
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = b"UNICODE\0x\0"
    for format_name in FORMATS:
        if format_name == "AVIF" and not features.check("avif"):
            continue
        file = io.BytesIO()
        image.save(file, format_name, exif=exif)
        file.seek(0)
        yield file


def draw_raster(file: io.BufferedIOBase, width: int) -> tuple[Image.Image, Original]:
    """The image in this width, never enlarged; in mode L, RGB or RGBA; and its own size.

    Raises:
        NoPictureError: it has too many pixels.
        Exception: it cannot be decoded; the type is Pillow's choice.
    """
    # Image.open reads headers only.
    with Image.open(file, formats=FORMATS) as image:  # type: ignore[arg-type]  # a stream of bytes
        if image.width * image.height > MAX_PIXELS:
            raise NoPictureError(Outcome.TOO_LARGE)
        if getattr(image, "default_image", False):
            # Browsers show the animation of a PNG, not the image for other programs.
            image.seek(1)
        original_size = image.size
        depth = png_depth(image, file)
        # Decodes a JPEG at up to an eighth of its size. EXIF is read afterwards: a PNG may have it at its end.
        image.draft(None, fit(original_size, 2 * width))
        image.load()
        orientation = _orientation(image)
        size = fit(original_size[::-1], width)[::-1] if orientation in SIDEWAYS else fit(original_size, width)
        drawn = in_webp_mode(image, depth).resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    if orientation in TRANSPOSITIONS:
        drawn = drawn.transpose(TRANSPOSITIONS[orientation])
    return drawn, Original(*(original_size[::-1] if orientation in SIDEWAYS else original_size))


def count_frames(file: io.BufferedIOBase) -> int:
    """The number of frames of an image, or of its pages. Some formats are read for it frame by frame."""
    file.seek(0)
    with Image.open(file, formats=FORMATS) as image:  # type: ignore[arg-type]  # a stream of bytes
        return frames_of(image)


def frames_of(image: Image.Image) -> int:
    """The number of frames of an open image; the further images of a JPEG are previews and depths of its first."""
    return 1 if image.format in ("JPEG", "MPO") else getattr(image, "n_frames", 1)


def png_depth(image: Image.Image, file: io.BufferedIOBase) -> int:
    """Bits of a sample of a PNG; Pillow decodes fewer than eight, and keeps the transparent colour as it was."""
    if image.format != "PNG":
        return 8
    position = file.tell()
    file.seek(PNG_DEPTH_OFFSET)
    depth = file.read(1)[0]
    file.seek(position)
    return depth


def _orientation(image: Image.Image) -> int:
    if image.format not in TURNED_FORMATS or "exif" not in image.info:
        return 1
    exif = Image.Exif()
    # Damaged EXIF turns nothing. Not `getexif`, which also reads XMP.
    with suppress(SyntaxError, ValueError, TypeError, KeyError, struct.error):
        exif.load(image.info["exif"])
        return int(exif.get(ORIENTATION_TAG, 1))
    return 1


def in_webp_mode(image: Image.Image, depth: int) -> Image.Image:
    """The image in a mode that WebP supports: RGB, RGBA or L."""
    if image.mode in ("I", "F") or (image.mode.startswith("I;16") and image.format == "TIFF"):
        return _stretched(image)
    transparent = image.info.get("transparency")
    if image.mode.startswith("I;16"):
        return _from_sixteen_bits(image, transparent)
    if transparent is not None or image.mode in ("LA", "La", "PA", "RGBa"):
        if image.mode == "L" and isinstance(transparent, int):
            image.info["transparency"] = transparent * 255 // (2**depth - 1)
        elif image.mode == "RGB" and depth == 16 and transparent is not None:
            image.info["transparency"] = tuple(sample >> 8 for sample in transparent)
        return image.convert("RGBA")
    if image.mode in ("RGB", "RGBA", "L"):
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _from_sixteen_bits(image: Image.Image, transparent: int | None) -> Image.Image:
    """The upper eight of sixteen bits, as browsers show them."""
    # As if they were two bands.
    upper, lower = Image.frombytes("LA", image.size, image.tobytes("raw", "I;16B")).split()
    if transparent is None:
        return upper
    differs = [
        band.point([0 if value == sample else 255 for value in range(256)])
        for band, sample in ((upper, transparent >> 8), (lower, transparent & 255))
    ]
    return Image.merge("RGBA", (upper, upper, upper, ImageChops.lighter(*differs)))


def _stretched(image: Image.Image) -> Image.Image:
    """Numbers of any range, which no browser shows, in grey from the least to the greatest."""
    values = image.convert("F")
    least, greatest = values.getextrema()
    assert isinstance(least, float)
    assert isinstance(greatest, float)
    scale = 255 / (greatest - least) if greatest > least else 0.0
    return values.point(lambda value: value * scale - least * scale).convert("L")
