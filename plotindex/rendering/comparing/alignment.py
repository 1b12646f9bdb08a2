"""Lay two pictures over each other: plots that were cropped or drawn at another resolution still show the same."""

from collections.abc import Iterator
from typing import NamedTuple

from PIL import Image, ImageChops, ImageStat

MARGIN = 16
"""A pixel that differs so much from the corner, of 255, belongs to the content."""
CROP_TOLERANCE = 3
"""Contents whose sides differ by at most so many pixels were cropped, not resized."""
MAX_SHIFT = 1
"""How far, in pixels, contents are moved in search of the best fit."""


class Aligned(NamedTuple):
    """Two pictures of one size, and where in each the common part is, in its own pixels."""

    before: Image.Image
    after: Image.Image
    origin_before: tuple[float, float]
    origin_after: tuple[float, float]
    scale_before: tuple[float, float] = (1.0, 1.0)
    """Pixels of the common part for each of its own."""


def align(before: Image.Image, after: Image.Image) -> Aligned:
    """Lay two pictures in mode RGB over each other. Those of one size are taken as they are."""
    if before.size == after.size:
        return Aligned(before, after, (0, 0), (0, 0))
    box_before, box_after = _content_box(before), _content_box(after)
    sides = [_sides(box) for box in (box_before, box_after)]
    if all(abs(one - other) <= CROP_TOLERANCE for one, other in zip(*sides, strict=True)):
        start = box_before[0] - box_after[0], box_before[1] - box_after[1]
        return min((_moved(before, after, shift) for shift in _shifts(start)), key=_misfit)
    scale = after.width / before.width, after.height / before.height
    return Aligned(before.resize(after.size, Image.Resampling.LANCZOS), after, (0, 0), (0, 0), scale)


def _moved(before: Image.Image, after: Image.Image, shift: tuple[int, int]) -> Aligned:
    """Both on a canvas that holds both, the second moved."""
    left, top = min(0, shift[0]), min(0, shift[1])
    size = (
        max(before.width, after.width + shift[0]) - left,
        max(before.height, after.height + shift[1]) - top,
    )
    origin_before, origin_after = (-left, -top), (shift[0] - left, shift[1] - top)
    canvases = _on_canvas(before, size, origin_before), _on_canvas(after, size, origin_after)
    return Aligned(*canvases, origin_before, origin_after)


def _on_canvas(image: Image.Image, size: tuple[int, int], origin: tuple[int, int]) -> Image.Image:
    canvas = Image.new("RGB", size, image.getpixel((0, 0)))
    canvas.paste(image, origin)
    return canvas


def _shifts(start: tuple[int, int]) -> Iterator[tuple[int, int]]:
    reach = range(-MAX_SHIFT, MAX_SHIFT + 1)
    yield from ((start[0] + x, start[1] + y) for x in reach for y in reach)


def _misfit(aligned: Aligned) -> float:
    grey = ImageChops.difference(aligned.before.convert("L"), aligned.after.convert("L"))
    return sum(ImageStat.Stat(grey).mean)


def _content_box(image: Image.Image) -> tuple[int, int, int, int]:
    grey = image.convert("L")
    corner = grey.crop((0, 0, 1, 1)).tobytes()[0]
    inked = grey.point([255 * (abs(value - corner) > MARGIN) for value in range(256)])
    return inked.getbbox() or (0, 0, *image.size)


def _sides(box: tuple[int, int, int, int]) -> tuple[int, int]:
    return box[2] - box[0], box[3] - box[1]
