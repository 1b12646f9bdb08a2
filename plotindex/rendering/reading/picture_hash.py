"""How a picture looks: whether it shows anything, and a hash that pictures which look alike share in most bits."""

from typing import NamedTuple

from PIL import Image, ImageChops

from plotindex.rendering.facts import HASH_BYTES

SIDE = 24
"""Bits of the hash in each direction."""
MARGIN = 32
"""A pixel that differs so much from the corner, of 255, belongs to the content: a border does not count, nor what JPEG
adds beside letters."""
FAINT = 1
"""A smaller difference of neighbours, of 255, is noise."""
NOTHING = 2
"""Difference of the lightest and the darkest pixel, of 255, that nobody sees."""
WHITE = 255


class Look(NamedTuple):
    """How a picture looks."""

    picture_hash: bytes
    is_uniform: bool
    """Whether it has one colour, so that it shows nothing."""


def look_at(image: Image.Image) -> Look:
    """How an image in mode L, RGB or RGBA looks.

    The hash says which neighbour in a row is lighter, in the content made small (a difference hash).
    """
    grey = image.convert("L")
    if image.mode == "RGBA" and (alpha := image.getchannel("A")).getextrema() != (WHITE, WHITE):
        # The colour of a transparent pixel is not visible.
        grey = Image.composite(grey, Image.new("L", image.size, WHITE), alpha)
        image = image.convert("RGBa")
        return Look(_hash(grey), _is_uniform(image))
    # Each band takes memory of its own: most plots are told by the grey one.
    return Look(_hash(grey), _is_uniform(grey) and _is_uniform(image))


def _hash(grey: Image.Image) -> bytes:
    small = grey.resize((SIDE + 1, SIDE), Image.Resampling.HAMMING, box=_content_box(grey))
    left, right = small.crop((0, 0, SIDE, SIDE)), small.crop((1, 0, SIDE + 1, SIDE))
    lighter = ImageChops.subtract(right, left).point([WHITE * (value > FAINT) for value in range(256)])
    hashed = lighter.convert("1", dither=Image.Dither.NONE).tobytes()
    assert len(hashed) == HASH_BYTES
    return hashed


def _content_box(grey: Image.Image) -> tuple[int, int, int, int] | None:
    """The content without a border of the colour of its corner."""
    corner = grey.crop((0, 0, 1, 1)).tobytes()[0]
    return grey.point([WHITE * (abs(value - corner) > MARGIN) for value in range(256)]).getbbox()


def _is_uniform(image: Image.Image) -> bool:
    extrema = image.getextrema()
    bands = extrema if isinstance(extrema[0], tuple) else (extrema,)
    return all(most - least <= NOTHING for least, most in bands)
