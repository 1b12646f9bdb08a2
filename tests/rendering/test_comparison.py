"""How two pictures differ: by pixels that anti-aliasing does not explain, and where."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from PIL import Image, ImageDraw

from plotindex.rendering.comparison import Box, Comparison, Extent, Likeness, Region
from plotindex.rendering.protocol import Outcome
from plotindex.rendering.renderer_client import RendererClient
from tests.support.images import encoded

SIZE = (400, 240)
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="100" height="60"><rect {} width="40" height="20"/></svg>'


@pytest.fixture(scope="module")
def renderer() -> Iterator[RendererClient]:
    client = RendererClient()
    yield client
    client.close()


@contextmanager
def stored(content: bytes) -> Iterator[int]:
    fd = os.memfd_create("plot")
    try:
        os.write(fd, content)
        yield fd
    finally:
        os.close(fd)


def compared(renderer: RendererClient, before: bytes, after: bytes, *suffixes: str) -> Comparison | Outcome:
    of_before, of_after = suffixes or (".png", ".png")
    with stored(before) as first, stored(after) as second:
        return renderer.compare((first, of_before), (second, of_after))


def plot(*bars: int, shift: int = 0, margin: int = 20, size: tuple[int, int] = SIZE) -> Image.Image:
    """A picture of bars of these heights in a frame."""
    image = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(image)
    left, top = margin + shift, margin
    draw.rectangle((left, top, left + 340, top + 190), outline="black")
    for number, height in enumerate(bars):
        draw.rectangle((left + 20 + 40 * number, top + 190 - height, left + 40 + 40 * number, top + 190), fill="navy")
    return image


def nothing(likeness: Likeness, before: tuple[int, int] = SIZE, after: tuple[int, int] = SIZE) -> Comparison:
    return Comparison(likeness, 0.0, 0, False, (), Extent(*before, 1), Extent(*after, 1))


def test_equal_pixels_are_the_same_picture_whatever_the_bytes(renderer: RendererClient) -> None:
    image = plot(50, 80)
    found = compared(renderer, encoded(image), encoded(image, compress_level=0))
    assert found == nothing(Likeness.SAME)
    assert compared(renderer, encoded(image), encoded(image, "WEBP", lossless=True), ".png", ".webp") == found


def test_what_a_transparent_pixel_would_have_as_colour_does_not_count(renderer: RendererClient) -> None:
    clear, other = (Image.new("RGBA", SIZE, colour) for colour in ((255, 0, 0, 0), (0, 0, 255, 0)))
    found = compared(renderer, encoded(clear), encoded(other))
    assert isinstance(found, Comparison)
    assert found.likeness is Likeness.SAME


def test_white_on_transparent_ground_differs_from_nothing(renderer: RendererClient) -> None:
    clear, other = (Image.new("RGBA", SIZE, (255, 255, 255, 0)) for _ in range(2))
    other.paste((255, 255, 255, 255), (50, 50, 80, 80))
    found = compared(renderer, encoded(clear), encoded(other))
    assert isinstance(found, Comparison)
    assert (found.likeness, found.places) == (Likeness.CHANGED, 1)


def test_a_bar_that_grew_is_changed_there(renderer: RendererClient) -> None:
    found = compared(renderer, encoded(plot(50, 80)), encoded(plot(50, 84)))
    assert isinstance(found, Comparison)
    assert (found.likeness, found.is_local, found.places) == (Likeness.CHANGED, True, 1)
    [region] = found.regions
    # One row counts as anti-aliasing.
    assert region.before == region.after
    assert (region.after.left, region.after.width) == pytest.approx((80 / 400, 21 / 400))
    assert region.after.top == pytest.approx(126 / 240, abs=1.5 / 240)
    assert found.score == pytest.approx(100 * 3 * 21 / (400 * 240), rel=0.5)


def test_a_picture_moved_by_a_pixel_is_alike(renderer: RendererClient) -> None:
    found = compared(renderer, encoded(plot(50, 80)), encoded(plot(50, 80, shift=1)))
    assert found == nothing(Likeness.ALIKE)


def test_a_cropped_picture_is_alike(renderer: RendererClient) -> None:
    cropped = plot(50, 80, margin=5, size=(355, 205))
    found = compared(renderer, encoded(plot(50, 80)), encoded(cropped))
    assert found == nothing(Likeness.ALIKE, after=(355, 205))


def test_regions_of_a_cropped_picture_are_where_they_are_in_each(renderer: RendererClient) -> None:
    cropped = plot(50, 180, margin=5, size=(355, 205))
    found = compared(renderer, encoded(plot(50, 80)), encoded(cropped))
    assert isinstance(found, Comparison)
    assert (found.likeness, found.is_local) == (Likeness.CHANGED, False)
    [region] = found.regions
    assert region.before.left == pytest.approx(80 / 400, abs=1e-4)
    assert region.after.left == pytest.approx(65 / 355, abs=1e-4)


def test_at_most_twenty_regions_are_told_the_largest_first(renderer: RendererClient) -> None:
    after = plot()
    draw = ImageDraw.Draw(after)
    for number in range(30):
        left, top = 30 + 50 * (number % 6), 25 + 35 * (number // 6)
        draw.rectangle((left, top, left + 4 + number % 5, top + 8), fill="red")
    found = compared(renderer, encoded(plot()), encoded(after))
    assert isinstance(found, Comparison)
    assert (found.places, len(found.regions), found.is_local) == (30, 20, False)
    sizes = [region.after.width for region in found.regions]
    assert sizes == sorted(sizes, reverse=True)


def test_vectors_are_compared_to_one_scale(renderer: RendererClient) -> None:
    small, wide = SVG.format('x="10" y="10"'), SVG.format('x="10" y="10"').replace("100", "140", 1)
    same = compared(renderer, small.encode(), f"{small}<!-- -->".encode(), ".svg", ".svg")
    assert same == nothing(Likeness.SAME, (100, 60), (100, 60))
    moved = compared(renderer, small.encode(), SVG.format('x="30" y="10"').encode(), ".svg", ".svg")
    assert isinstance(moved, Comparison)
    assert (moved.likeness, moved.places) == (Likeness.CHANGED, 2)
    cropped = compared(renderer, small.encode(), wide.encode(), ".svg", ".svg")
    assert isinstance(cropped, Comparison)
    assert cropped.likeness is Likeness.ALIKE


def test_a_large_picture_is_compared_smaller(renderer: RendererClient) -> None:
    large, other = Image.new("RGB", (3000, 2000), "white"), Image.new("RGB", (3000, 2000), "white")
    other.paste("black", (1500, 1000, 1560, 1050))
    found = compared(renderer, encoded(large), encoded(other))
    assert isinstance(found, Comparison)
    assert found.regions[0].after == pytest.approx((0.5, 0.5, 0.02, 0.025), abs=0.002)


def test_a_damaged_plot_is_not_compared_and_the_next_one_is(renderer: RendererClient) -> None:
    good = encoded(plot(50))
    assert compared(renderer, good, b"<svg") is Outcome.FAILED
    assert compared(renderer, b"", good) is Outcome.FAILED
    assert isinstance(compared(renderer, good, good), Comparison)


REGION = Region(Box(0.0, 0.0, 0.5, 0.5), Box(0.1, 0.1, 0.5, 0.5))
WHOLE = Comparison(Likeness.CHANGED, 1.5, 1, True, (REGION,), Extent(880, 550, 1), Extent(1, 1, 1))
EXTENTS = [[1, 1, 1], [1, 1, 1]]


def test_a_comparison_is_read_as_it_was_written() -> None:
    assert Comparison.parse(WHOLE.to_bytes()) == WHOLE


@pytest.mark.parametrize(
    "values",
    [
        [],
        {},
        "changed",
        ["new", 1.0, 0, False, [], *EXTENTS],
        ["changed", 100.5, 0, False, [], *EXTENTS],
        ["changed", 1, 0, False, [], *EXTENTS],
        ["changed", float("nan"), 0, False, [], *EXTENTS],
        ["changed", float("inf"), 0, False, [], *EXTENTS],
        ["changed", 1.0, -1, False, [], *EXTENTS],
        ["changed", 1.0, True, False, [], *EXTENTS],
        ["changed", 1.0, 1, 1, [], *EXTENTS],
        ["changed", 1.0, 1, True, [[]], *EXTENTS],
        ["changed", 1.0, 1, True, [[[0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.5]]], *EXTENTS],
        ["changed", 1.0, 0, True, [[[0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]], *EXTENTS],
        ["changed", 1.0, 21, True, 21 * [[[0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]], *EXTENTS],
        ["changed", 1.0, 0, False, [], 1, *EXTENTS],
        ["changed", 1.0, 0, False, [], [1, 1, 1]],
        ["changed", 1.0, 0, False, [], [1, 1], [1, 1, 1]],
        ["changed", 1.0, 0, False, [], [1, 1, 1], [1, 1, -1]],
        ["changed", 1.0, 0, False, [], [1, 1, 1], [1, 1, 1.0]],
        ["changed", 1.0, 0, False, [], [2**31, 1, 1], [1, 1, 1]],
    ],
)
def test_anything_else_is_no_comparison(values: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        Comparison.parse(json.dumps(values).encode())


@pytest.mark.parametrize("content", [b"", b"[" * 8000, b"\xff", b"[" + b" " * 9000 + b"]"])
def test_no_bytes_break_the_client(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        Comparison.parse(content)
