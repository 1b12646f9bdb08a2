"""Compare the pictures of two plots."""

import io
import math
from typing import NamedTuple

from PIL import Image, ImageChops

from plotindex.rendering.comparing.alignment import Aligned, align
from plotindex.rendering.comparing.difference import count_over, excess, places_in
from plotindex.rendering.comparison import (
    DIGITS,
    MAX_REGIONS,
    Box,
    Comparison,
    Extent,
    Likeness,
    Region,
)
from plotindex.rendering.drawing.pdf import draw_pdf
from plotindex.rendering.drawing.rasters import count_frames, draw_raster, samples
from plotindex.rendering.drawing.svg import draw_svg
from plotindex.rendering.drawing.view import WHITE, flatten
from plotindex.rendering.facts import MAX_NUMBER
from plotindex.rendering.protocol import Original

MAX_WIDTH = 4096
VECTOR_WIDTH = 880
"""Width in which the first of two vectors is drawn; the other one is drawn to the same scale."""
MAX_COMPARED = 1_500_000
"""Pixels of a picture that are compared; larger ones are made smaller, both by the same factor."""
WEAK, STRONG = 32, 64
"""Excess of a pixel, of 255, that counts for the score, and that anti-aliasing seldom has."""
FEW_PLACES = 6
"""Pictures of one size that differ in at most so many places have changed there."""
MAX_ALIKE = 7e-4
"""Share of the pixels with STRONG excess in pictures that are alike."""
BLACK = (0, 0, 0, 255)
DRAWERS = {".svg": draw_svg, ".pdf": draw_pdf}


class Source(NamedTuple):
    """An open plot and its suffix."""

    file: io.BufferedIOBase
    suffix: str


def preload() -> None:
    """Compare once: no module can be loaded later."""
    one, other = list(samples())[:2]
    compare_pictures(Source(one, ".png"), Source(other, ".jpg"))
    extent = Extent(1, 1, 1)
    compare_images(Image.new("RGB", (40, 40)), Image.new("RGB", (50, 60), "white"), extent, extent)


def compare_pictures(before: Source, after: Source) -> Comparison:
    """Compare two plots.

    Raises:
        BaseException: one cannot be drawn; the type is the library's choice.
    """
    first, original = _draw(before, VECTOR_WIDTH)
    second, other = _draw(after, VECTOR_WIDTH)
    if before.suffix in DRAWERS and after.suffix in DRAWERS and original[:2] != other[:2]:
        after.file.seek(0)
        second, _ = _draw(after, min(MAX_WIDTH, max(1, round(other.width * first.width / original.width))))
    likeness = Likeness.CHANGED
    if original[:2] == other[:2] and first.mode == second.mode and _are_equal(first, second):
        # A difference may have vanished in what is smaller than the plots.
        is_whole = before.suffix in DRAWERS or first.size == original[:2]
        likeness = Likeness.SAME if is_whole else Likeness.ALIKE
    extents = _extent(before, original), _extent(after, other)
    if likeness is not Likeness.CHANGED:
        return Comparison(likeness, 0.0, 0, False, (), *extents)
    return compare_images(*_flattened(first, second), *extents)


def compare_images(before: Image.Image, after: Image.Image, of_before: Extent, of_after: Extent) -> Comparison:
    """Compare two images in mode RGB that are not equal."""
    pixels = max(image.width * image.height for image in (before, after))
    factor = math.ceil(math.sqrt(pixels / MAX_COMPARED))
    is_same_size = before.size == after.size
    smaller = (before, after) if factor == 1 else (before.reduce(factor), after.reduce(factor))
    aligned = align(*smaller)
    outside = excess(aligned.before, aligned.after, WEAK)
    total = outside.width * outside.height
    places = places_in(outside, WEAK)
    is_local = is_same_size and 0 < len(places) <= FEW_PLACES
    is_alike = not is_local and count_over(outside, STRONG) <= MAX_ALIKE * total
    return Comparison(
        Likeness.ALIKE if is_alike else Likeness.CHANGED,
        round(100 * count_over(outside, WEAK) / total, DIGITS),
        len(places),
        is_local,
        tuple(_region(place.box, aligned, before, after, factor) for place in places[:MAX_REGIONS]),
        of_before,
        of_after,
    )


def _draw(plot: Source, width: int) -> tuple[Image.Image, Original]:
    if plot.suffix in DRAWERS:
        return DRAWERS[plot.suffix](plot.file, width)
    image, original = draw_raster(plot.file, MAX_WIDTH)
    if image.mode != "RGBA" or image.getchannel("A").getextrema() == (255, 255):
        return image.convert("RGB"), original
    return image, original


def _extent(plot: Source, original: Original) -> Extent:
    frames = original.pages if plot.suffix in DRAWERS else count_frames(plot.file)
    return Extent(*(min(number, MAX_NUMBER) for number in (original.width, original.height, frames)))


def _are_equal(one: Image.Image, other: Image.Image) -> bool:
    """Whether two images of one mode show the same on any background."""
    if one.size != other.size:
        return False
    if one.mode == "RGB":
        return not ImageChops.difference(one, other).getbbox()
    # The colour of a transparent pixel is not visible.
    return one.convert("RGBa").tobytes() == other.convert("RGBa").tobytes()


def _flattened(one: Image.Image, other: Image.Image) -> tuple[Image.Image, Image.Image]:
    """Both on white; on black if they do not differ on white."""
    flat = flatten(one, WHITE), flatten(other, WHITE)
    if one.size == other.size and not ImageChops.difference(*flat).getbbox():
        flat = flatten(one, BLACK), flatten(other, BLACK)
    return flat


def _region(
    box: tuple[int, int, int, int], aligned: Aligned, before: Image.Image, after: Image.Image, factor: int
) -> Region:
    sides = []
    for image, origin, scale in (
        (before, aligned.origin_before, aligned.scale_before),
        (after, aligned.origin_after, (1.0, 1.0)),
    ):
        size = image.width / factor * scale[0], image.height / factor * scale[1]
        edges = [(box[index] - origin[index % 2]) / size[index % 2] for index in range(4)]
        left, top, right, bottom = (round(min(1.0, max(0.0, edge)), DIGITS) for edge in edges)
        sides.append(Box(left, top, round(right - left, DIGITS), round(bottom - top, DIGITS)))
    return Region(*sides)
