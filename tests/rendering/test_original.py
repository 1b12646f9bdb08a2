"""A picture tells the size and the number of pages of its plot."""

import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from plotindex.rendering.protocol import Original, add_original, is_webp, original_of
from plotindex.rendering.renderer_client import RendererClient
from tests.support.images import encoded, halves

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="72pt" height="300"/>'
EXIF = Image.Exif()
EXIF[0x0112] = 6
THREE = [Image.new("RGB", (600, 800)) for _ in range(3)]
PLOTS = {
    "x.png": (encoded(halves(size=(3000, 1000))), Original(3000, 1000)),
    "x.jpg": (encoded(halves(size=(3000, 1000)), "JPEG", exif=EXIF), Original(1000, 3000)),
    "x.tif": (encoded(halves(size=(300, 100)), "TIFF"), Original(300, 100)),
    "x.svg": (SVG, Original(96, 300)),
    "x.pdf": (encoded(THREE[0], "PDF", save_all=True, append_images=THREE[1:]), Original(600, 800, 3)),
}


@pytest.fixture(scope="module")
def renderer() -> Iterator[RendererClient]:
    renderer = RendererClient()
    yield renderer
    renderer.close()


@pytest.mark.parametrize("name", PLOTS)
def test_a_picture_tells_what_the_plot_has(renderer: RendererClient, tmp_path: Path, name: str) -> None:
    content, original = PLOTS[name]
    file = tmp_path / name
    file.write_bytes(content)
    fd = os.open(file, os.O_RDONLY)
    try:
        _, drawn = renderer.run(f"{file.suffix} 160", fd)
    finally:
        os.close(fd)
    assert original_of(drawn) == original
    assert is_webp(drawn)
    assert Image.open(io.BytesIO(drawn), formats=["WEBP"]).convert("RGB").width <= 160


def test_other_content_tells_nothing_and_large_numbers_fit() -> None:
    webp = encoded(halves(size=(9, 9)), "WEBP")
    assert [original_of(content) for content in (b"", webp, b"plot" * 9)] == [None, None, None]
    assert original_of(add_original(webp, Original(10**12, 1, 2))) == Original(2**32 - 1, 1, 2)
