"""Pictures of real files look as Chromium shows the files."""

import base64
import io
import random
from collections.abc import Iterator

import pytest
from PIL import Image, ImageChops, ImageFilter
from playwright.sync_api import Browser, Page

from plotindex.rendering.protocol import Outcome
from plotindex.rendering.renderer_client import RendererClient
from plotindex.tree import MEDIA_TYPES
from tests.tools.corpus import find_files, make_corpus
from tests.tools.pictures import CORPUS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
COUNTS = {".svg": 30, ".png": 10, ".jpg": 5, ".gif": 5, ".webp": 5, ".avif": 5}
WIDTH = 640
BLUR = 3
"""Pixels: edges are smoothed in other ways, and text has other hints."""
VISIBLE = 40
"""Of 255: a difference that is seen."""
MAX_DIFFERENT = 0.006
"""Share of the pixels that may differ visibly."""
DIFFERS = {"pillow-13.0.0/Tests/images/issue_2811.gif": "LZW codes of 11 bits, where GIF has 8; Chromium shows none"}
"""Files of the corpus that look otherwise, and why."""
SHOW = """async ([address, width, height]) => {
    const image = new Image();
    image.src = address;
    await image.decode();
    const canvas = new OffscreenCanvas(width, height), context = canvas.getContext("2d");
    context.fillStyle = "white";
    context.fillRect(0, 0, width, height);
    context.imageSmoothingQuality = "high";
    context.drawImage(image, 0, 0, width, height);
    const reader = new FileReader();
    reader.readAsDataURL(await canvas.convertToBlob());
    await new Promise((resolve) => (reader.onload = resolve));
    return [reader.result.split(",")[1], image.naturalWidth / image.naturalHeight];
}"""


@pytest.fixture
def renderer() -> Iterator[RendererClient]:
    renderer = RendererClient()
    yield renderer
    renderer.close()


def on_white(image: Image.Image) -> Image.Image:
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image.convert("RGBA"))
    return white.convert("RGB").filter(ImageFilter.GaussianBlur(BLUR))


def difference(page: Page, drawn: bytes, content: bytes, kind: str) -> float:
    """The share of the pixels that a reader sees to differ; 1 for another shape."""
    own = Image.open(io.BytesIO(drawn))
    address = f"data:{kind};base64,{base64.b64encode(content).decode()}"
    shown, ratio = page.evaluate(SHOW, [address, *own.size])
    if abs(own.width / own.height / ratio - 1) > 0.03:
        return 1.0
    browser = Image.open(io.BytesIO(base64.b64decode(shown)))
    red, green, blue = ImageChops.difference(on_white(own), on_white(browser)).split()
    largest = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    return sum(largest.histogram()[VISIBLE + 1 :]) / (own.width * own.height)


def test_sixty_real_files_look_as_in_chromium(browser: Browser, renderer: RendererClient) -> None:
    make_corpus(CORPUS)
    files = find_files(CORPUS)
    chance = random.Random(2)
    chosen = [file for kind, count in COUNTS.items() for file in chance.sample(files[kind], count)]
    page = browser.new_page()
    differs: dict[str, float] = {}
    for file in chosen:
        with file.open("rb") as plot:
            outcome, drawn = renderer.run(f"{file.suffix.lower()} {WIDTH}", plot.fileno())
        assert outcome is Outcome.RENDERED, file
        share = difference(page, drawn, file.read_bytes(), MEDIA_TYPES[file.suffix.lower()])
        if share > MAX_DIFFERENT:
            differs[str(file.relative_to(CORPUS))] = share
    page.close()
    assert len(chosen) == 60
    assert set(differs) == set(DIFFERS), differs
