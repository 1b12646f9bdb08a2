"""Encode a picture as WebP: small, without changing the colours of thin lines."""

import io

from PIL import Image, ImageChops

LOSSY_QUALITY = 85
FAST, SMALL = (0, 20), (2, 75)
"""Method and effort of a lossless picture."""
ALWAYS_LOSSLESS = 4096
"""Pixels of a picture that is small in any case; lossy compression would mix their colours."""
BYTES_PER_PIXEL = 0.05
"""A lossless picture of at most this size is small enough."""
FAST_FACTOR = 4
"""The fast way makes a drawing larger by at most so much; it shows where the small one is not worth its seconds."""
COLOURS = 256
TOLERANCE = 16
"""A pixel may differ so much, of 255, in a picture of few colours."""
MAX_DIFFERENT = 0.005
"""Share of the pixels that may differ more."""


def preload() -> None:
    """Encode once."""
    encode(Image.effect_noise((80, 80), 80).convert("RGBA"))


def encode(image: Image.Image) -> bytes:
    """A WebP of an image in mode L, RGB or RGBA, without profile and metadata.

    Drawings, which have few colours, are lossless or reduced to 256 colours; photographs are lossy.
    """
    pixels = image.width * image.height
    if pixels <= ALWAYS_LOSSLESS:
        return _save(image, lossless=True)
    reduced = _reduce_colours(image)
    if not _is_near(image, reduced):
        return _save(image, lossless=False)
    small_enough = BYTES_PER_PIXEL * pixels
    if len(_save(image, lossless=True, effort=FAST)) <= FAST_FACTOR * small_enough:
        exact = _save(image, lossless=True)
        if len(exact) <= small_enough:
            return exact
    return _save(reduced, lossless=True)


def _reduce_colours(image: Image.Image) -> Image.Image:
    palette = image.quantize(COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    return palette.convert(image.mode)


def _is_near(image: Image.Image, reduced: Image.Image) -> bool:
    if image.mode == "RGBA":
        # The colour of a transparent pixel is not visible.
        image, reduced = (one.convert("RGBa") for one in (image, reduced))
        image, reduced = (Image.merge("RGBA", one.split()) for one in (image, reduced))
    largest, *more = ImageChops.difference(image, reduced).split()
    for band in more:
        largest = ImageChops.lighter(largest, band)
    different = sum(largest.histogram()[TOLERANCE + 1 :])
    return different <= MAX_DIFFERENT * image.width * image.height


def _save(image: Image.Image, *, lossless: bool, effort: tuple[int, int] = SMALL) -> bytes:
    output = io.BytesIO()
    method, quality = effort
    quality = quality if lossless else LOSSY_QUALITY
    # Without the colour profile, which can be larger than the picture: most images are sRGB.
    image.save(output, "WEBP", lossless=lossless, quality=quality, method=method, icc_profile=b"", exif=b"", xmp=b"")
    return output.getvalue()
