"""PNGs for programs that look at plots: small, of few colours, never enlarged, and checked."""

import io
import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from PIL import Image

from plotindex.rendering.protocol import MAX_VIEW_BYTES, Outcome, png_size
from plotindex.rendering.renderer_client import RendererClient, View
from tests.rendering.test_comparison import stored
from tests.support.images import PDF, UNDECODABLE, UNUSUAL_IMAGES, encoded, halves

SVG = b"<svg xmlns='http://www.w3.org/2000/svg' width='90' height='60'><rect width='45' height='60' fill='#f00'/></svg>"


@pytest.fixture(scope="module")
def renderer() -> Iterator[RendererClient]:
    client = RendererClient()
    yield client
    client.close()


def view(renderer: RendererClient, content: bytes, suffix: str = ".png", side: int = 768) -> Image.Image:
    with stored(content) as fd:
        found = renderer.view((fd, suffix), side)
    assert isinstance(found, View), found
    image = Image.open(io.BytesIO(found.content))
    assert image.size == (found.width, found.height)
    return image


@pytest.mark.parametrize("name", UNUSUAL_IMAGES)
def test_every_image_is_shown_on_white_in_few_colours(renderer: RendererClient, name: str) -> None:
    make, *colours = UNUSUAL_IMAGES[name]
    image = view(renderer, make())
    assert (image.format, image.mode) == ("PNG", "P")
    assert len(image.getcolors() or []) <= 64
    shown = image.convert("RGB")
    for x, colour in zip((shown.width // 4, 3 * shown.width // 4), colours, strict=True):
        expected = (255, 255, 255) if colour[3:] == (0,) else colour[:3]
        found = shown.getpixel((x, shown.height // 2))
        assert isinstance(found, tuple)
        assert all(abs(one - other) <= 24 for one, other in zip(found, expected, strict=True)), (found, expected)


@pytest.mark.parametrize(
    ("size", "side", "expected"),
    [((4000, 2000), 768, (768, 384)), ((30, 20), 768, (30, 20)), ((20, 3000), 100, (1, 100)), ((1, 1), 768, (1, 1))],
)
def test_no_side_is_longer_and_nothing_is_enlarged(
    renderer: RendererClient, size: tuple[int, int], side: int, expected: tuple[int, int]
) -> None:
    assert view(renderer, encoded(halves(size=size)), side=side).size == expected


def test_vectors_are_drawn_in_the_size_asked_for(renderer: RendererClient) -> None:
    assert view(renderer, SVG, ".svg").size == (768, 512)
    assert view(renderer, PDF, ".pdf", 1568).size == (1568, 1045)


def test_two_plots_of_any_format_are_beside_each_other(renderer: RendererClient) -> None:
    with stored(SVG) as before, stored(encoded(halves(size=(30, 20)))) as after:
        found = renderer.view_beside((before, ".svg"), (after, ".png"), 1024)
    assert isinstance(found, View)
    assert (found.width, found.height) == (508 + 8 + 30, 339)
    both = Image.open(io.BytesIO(found.content)).convert("RGB")
    for place, colour in {
        (100, 10): (255, 0, 0),
        (400, 10): (255, 255, 255),
        (512, 10): (255, 255, 255),
        (520, 10): (255, 0, 0),
        (542, 10): (0, 0, 255),
        (530, 100): (255, 255, 255),
    }.items():
        found_colour = both.getpixel(place)
        assert isinstance(found_colour, tuple)
        assert all(abs(one - other) <= 2 for one, other in zip(found_colour, colour, strict=True)), place


@pytest.mark.parametrize("name", [name for name in UNDECODABLE if name != "text-bomb.png"])
def test_what_cannot_be_drawn_has_a_reason(renderer: RendererClient, name: str) -> None:
    with ExitStack() as stack:
        bad, good = stack.enter_context(stored(UNDECODABLE[name])), stack.enter_context(stored(encoded(halves())))
        assert renderer.view((bad, ".png"), 768) in (Outcome.FAILED, Outcome.TOO_LARGE)
        assert renderer.view_beside((good, ".png"), (bad, ".png"), 768) in (Outcome.FAILED, Outcome.TOO_LARGE)


def test_what_a_captured_renderer_sends_is_no_picture() -> None:
    content = encoded(Image.new("RGB", (40, 30)))
    assert png_size(content, 40) == (40, 30)
    for wrong in (b"", content[:-1], content[1:], content + b"x", b"GIF89a" + content, content[:30]):
        assert png_size(wrong, 40) is None
    assert png_size(content, 39) is None
    assert png_size(content[:33] + os.urandom(MAX_VIEW_BYTES) + content[-12:], 40) is None


def test_noise_of_the_largest_size_is_within_the_bound(renderer: RendererClient) -> None:
    noise = Image.frombytes("RGB", (1568, 1568), os.urandom(3 * 1568 * 1568))
    assert view(renderer, encoded(noise), side=1568).size == (1568, 1568)
