"""What pictures look like: size, colours, turning, text, and what an SVG or a PDF can reach."""

import base64
import io
import os
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from plotindex.rendering.drawing.svg import decode, size_of
from plotindex.rendering.protocol import Outcome
from plotindex.rendering.renderer_client import RendererClient
from tests.support.images import BLUE, GREEN, PDF, RED, WHITE, encoded, halves, pdf, png

Draw = Callable[..., Image.Image]
SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" %s>%s</svg>'
HUGE = '<pattern id="p" width="1000000" height="1000000" patternUnits="userSpaceOnUse"><rect width="9" height="9"/>'
HUGE += '</pattern><rect width="9" height="9" fill="url(#p)"/>'
HALVES = '<rect width="50%" height="100%" fill="#f00"/><rect x="50%" width="50%" height="100%" fill="#00f"/>'


@pytest.fixture(scope="module")
def renderer() -> Iterator[RendererClient]:
    renderer = RendererClient()
    yield renderer
    renderer.close()


@pytest.fixture(scope="module")
def run(renderer: RendererClient, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[Outcome, bytes]]:
    file = tmp_path_factory.mktemp("pictures") / "plot"

    def run(content: bytes | str, suffix: str, width: int = 160) -> tuple[Outcome, bytes]:
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        fd = os.open(file, os.O_RDONLY)
        try:
            return renderer.run(f"{suffix} {width}", fd)
        finally:
            os.close(fd)

    return run


@pytest.fixture(scope="module")
def draw(run: Callable[..., tuple[Outcome, bytes]]) -> Draw:
    def draw(content: bytes | str, suffix: str, width: int = 160) -> Image.Image:
        outcome, drawn = run(content, suffix, width)
        assert outcome is Outcome.RENDERED
        return Image.open(io.BytesIO(drawn), formats=["WEBP"])

    return draw


def sides(image: Image.Image) -> list[Any]:
    """The colours of the left and the right half."""
    rgb = image.convert("RGB")
    return [
        rgb.getpixel((image.width // 4, image.height // 2)),
        rgb.getpixel((3 * image.width // 4, image.height // 2)),
    ]


@pytest.mark.parametrize(
    ("root", "size"),
    [
        ('width="100" height="50"', (640, 320)),
        ('width="100pt" height="50pt"', (640, 320)),
        ('width="5.1mm" height="1.7mm"', (640, 213)),
        ('width="100%" height="100%" viewBox="0 0 30 20"', (640, 427)),
        ('viewBox="-5,-5 30,20"', (640, 427)),
        ('width="60" viewBox="0 0 30 20"', (640, 427)),
        ('width="0.01" height="0.01" viewBox="0 0 1 1"', (640, 640)),
        ('width="10" height="1000"', (26, 2560)),
        ('width="1" height="1e9"', (1, 2560)),
        ('width="1e9" height="1"', (640, 1)),
    ],
)
def test_an_svg_is_drawn_in_the_width_that_was_asked_for(draw: Draw, root: str, size: tuple[int, int]) -> None:
    image = draw(SVG % (root, HALVES), ".svg", 640)
    assert image.size == size
    if size[0] > 1:
        assert sides(image) == [RED, BLUE]


def test_a_transparent_svg_is_drawn_on_white(draw: Draw) -> None:
    assert sides(draw(SVG % ('width="9" height="9"', ""), ".svg")) == [WHITE, WHITE]


def test_the_size_of_an_svg_is_that_of_its_root_where_resvg_agrees() -> None:
    assert size_of('<svg width="100.25" height="50.5">', (100, 51)) == (100.25, 50.5)
    assert size_of('<svg width="100.25" height="50.5">', (7, 51)) == (7, 51)
    assert size_of("<s:svg width='3in' height='1pc'>", (288, 16)) == (288, 16)
    assert size_of('<!-- <svg width="1" height="1"> --><svg width="9" height="9">', (9, 9)) == (9, 9)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1"])
def test_an_svg_is_decoded_by_its_byte_order_mark_or_declaration(encoding: str) -> None:
    text = f'<?xml version="1.0" encoding="{encoding.removesuffix("-sig")}"?><svg>µ</svg>'
    assert decode(text.encode(encoding)) == text
    assert decode(b'<?xml version="1.0" encoding="klingon"?><svg/>').endswith("<svg/>")


@pytest.mark.parametrize(
    ("box", "size"), [((90, 60), (640, 427)), ((10, 1000), (26, 2560)), ((1_000_000, 1), (640, 1))]
)
def test_the_first_page_of_a_pdf_is_drawn_in_that_width(
    draw: Draw, box: tuple[int, int], size: tuple[int, int]
) -> None:
    assert draw(pdf("", box), ".pdf", 640).size == size


def test_a_pdf_shows_colours_and_text_of_fonts_that_are_not_embedded(draw: Draw) -> None:
    assert sides(draw(PDF, ".pdf")) == [RED, BLUE]
    for name in ("Helvetica", "Unheard-Of"):
        image = draw(pdf("BT /F 40 Tf 10 10 Td (Text) Tj ET", name=name), ".pdf").convert("L")
        assert sum(image.histogram()[:100]) > 200, name


BARE = """
import io, sys
from plotindex.rendering.drawing import fonts, svg
fonts.SYSTEM_FOLDERS = ()
svg.preload()
for family in sys.argv[1:]:
    text = f'<text y="30" font-size="30" {family}>µ≤∑</text>'
    text = f'<svg xmlns="http://www.w3.org/2000/svg" width="90" height="40">{text}</svg>'
    print(sum(svg.draw_svg(io.BytesIO(text.encode()), 90)[0].convert("L").histogram()[:100]))
"""


def test_a_machine_without_fonts_shows_text_of_every_family() -> None:
    families = ["", *(f'font-family="{name}"' for name in ("sans-serif", "Arial", "Unheard-Of", "monospace, serif"))]
    done = subprocess.run(
        [sys.executable, "-c", BARE, *families], capture_output=True, text=True, check=True, timeout=60
    )
    dark = [int(count) for count in done.stdout.split()]
    assert len(dark) == len(families)
    assert min(dark) > 100, dark


def test_an_svg_reaches_no_file(draw: Draw, tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(encoded(halves()))
    (tmp_path / "secret.svg").write_text(SVG % ('width="90" height="60"', HALVES))
    for name in ("secret.png", "secret.svg"):
        for path in (tmp_path / name, (tmp_path / name).as_uri(), os.path.relpath(tmp_path / name, "/")):
            content = (
                f'<image xlink:href="{path}" width="90" height="60"/><filter id="f"><feImage href="{path}"/></filter>'
            )
            image = draw(SVG % ('width="90" height="60"', content + '<rect width="0" filter="url(#f)"/>'), ".svg")
            assert sides(image) == [WHITE, WHITE], path
    inside = f"data:image/png;base64,{base64.b64encode(encoded(halves(size=(90, 60)))).decode()}"
    image = draw(SVG % ('width="90" height="60"', f'<image href="{inside}" width="90" height="60"/>'), ".svg")
    assert sides(image) == [RED, BLUE]


@pytest.mark.parametrize(
    ("content", "suffix", "outcome"),
    [
        ("<svg", ".svg", Outcome.FAILED),
        ("", ".pdf", Outcome.FAILED),
        ("%PDF-1.4", ".pdf", Outcome.FAILED),
        (SVG % ('width="9" height="9"', HUGE), ".svg", Outcome.CRASHED),
        (png(20_000, 20_000, 0, 8, b""), ".tif", Outcome.TOO_LARGE),
    ],
)
def test_what_cannot_be_drawn_has_a_reason(
    run: Callable[..., tuple[Outcome, bytes]], content: bytes | str, suffix: str, outcome: Outcome
) -> None:
    assert run(content, suffix) == (outcome, b"")


def test_what_takes_too_long_is_stopped(renderer: RendererClient, run: Callable[..., tuple[Outcome, bytes]]) -> None:
    turbulence = (
        '<filter id="f"><feTurbulence numOctaves="1000000"/></filter><rect width="99" height="99" filter="url(#f)"/>'
    )
    process = renderer.pid
    # On a busy machine the clock may stop it first.
    assert run(SVG % ('width="99" height="99"', turbulence), ".svg")[0] in (Outcome.TOO_SLOW, Outcome.BUSY)
    assert renderer.pid == process
    assert run(PDF, ".pdf")[0] is Outcome.RENDERED


def test_thin_lines_keep_their_hue(draw: Draw) -> None:
    image = Image.new("RGB", (640, 480), WHITE)
    for x, colour in ((100, RED), (200, GREEN), (300, BLUE), (400, (255, 0, 255))):
        image.paste(colour, (x, 0, x + 1, 480))
    drawn = draw(encoded(image), ".png", 640).convert("RGB")
    assert [drawn.getpixel((x, 240)) for x in (100, 200, 300, 400)] == [RED, GREEN, BLUE, (255, 0, 255)]
    half = draw(encoded(image), ".png", 320).convert("HSV")
    assert [half.getpixel((x, 120))[0] // 43 for x in (50, 100, 150, 200)] == [0, 1, 3, 4]  # type: ignore[index]


def exif(orientation: int) -> Image.Exif:
    made = Image.Exif()
    made[0x0112] = orientation
    return made


XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
XMP += b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'


def _xmp_png() -> bytes:
    return png(400, 200, 0, 8, bytes(401 * 200), (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP))


@pytest.mark.parametrize(
    ("make", "is_turned"),
    [
        (lambda: encoded(halves(size=(400, 200)), "JPEG", exif=exif(6)), True),
        (lambda: encoded(halves(size=(400, 200)), "PNG", exif=exif(8)), True),
        (lambda: encoded(halves(size=(400, 200)), "AVIF", exif=exif(6), max_threads=1), True),
        (lambda: encoded(halves(size=(400, 200)), "WEBP", exif=exif(6)), False),
        (lambda: encoded(halves(size=(400, 200)), "PNG", exif=b"Exif\0\0damaged"), False),
        (_xmp_png, False),
    ],
    ids=["JPEG", "PNG", "AVIF", "WebP", "damaged", "XMP"],
)
def test_a_raster_is_turned_where_browsers_turn_it(draw: Draw, make: Callable[[], bytes], is_turned: bool) -> None:
    image = draw(make(), ".png")
    assert (image.height > image.width) is is_turned


def grey(depth: int, *samples: int) -> bytes:
    """A PNG of grey samples whose first value is transparent."""
    bits = "".join(f"{sample:0{depth}b}" for sample in samples)
    row = int(bits, 2).to_bytes(len(bits) // 8)
    return png(len(samples), 1, 0, depth, b"\0" + row, (b"tRNS", samples[0].to_bytes(2)))


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_the_transparent_grey_of_a_png_is_transparent(draw: Draw, depth: int) -> None:
    highest = 2**depth - 1
    image = draw(grey(depth, *([highest, 0] * 4)), ".png")
    assert image.mode == "RGBA"
    assert [image.getpixel((x, 0))[3] for x in range(2)] == [0, 255]  # type: ignore[index]
    almost = draw(grey(16, 0x8000, 0x8001, *[0x7FFF] * 6), ".png")
    assert [almost.getpixel((x, 0))[3] for x in range(3)] == [0, 255, 255]  # type: ignore[index]


def test_the_transparent_colour_of_a_png_with_sixteen_bits_is_transparent(draw: Draw) -> None:
    row = b"\0" + b"\xff\xff\0\0\0\0" + b"\0\0\0\0\xff\xff"
    image = draw(png(2, 1, 2, 16, row, (b"tRNS", b"\xff\xff\0\0\0\0")), ".png")
    assert [image.getpixel((x, 0)) for x in range(2)] == [(0, 0, 0, 0), (0, 0, 255, 255)] or (
        image.getpixel((0, 0))[3] == 0  # type: ignore[index]
    )


def test_an_animated_png_shows_its_first_frame_as_browsers_do(draw: Draw) -> None:
    frames = [halves(GREEN, GREEN), halves(BLUE, BLUE)]
    content = encoded(halves(RED, RED), save_all=True, append_images=frames, default_image=True, duration=100)
    assert sides(draw(content, ".png")) == [GREEN, GREEN]
    content = encoded(halves(RED, RED), save_all=True, append_images=frames, duration=100)
    assert sides(draw(content, ".png")) == [RED, RED]


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"])
def test_a_tiff_is_drawn_whatever_its_compression(draw: Draw, compression: str) -> None:
    left, right = sides(draw(encoded(halves(), "TIFF", compression=compression), ".tif"))
    assert left[0] > 240 > 15 > left[2]
    assert right[2] > 240 > 15 > right[0]
    assert draw(encoded(halves(size=(20, 10)), "TIFF"), ".tif").size == (20, 10)


def test_a_large_drawing_is_small_in_bytes(run: Callable[..., tuple[Outcome, bytes]]) -> None:
    points = "".join(
        f'<circle cx="{i * 7919 % 640}" cy="{i * 104729 % 480}" r="2" opacity=".4"/>' for i in range(30_000)
    )
    content = SVG % ('width="640" height="480"', points)
    outcome, drawn = run(content, ".svg", 320)
    assert outcome is Outcome.RENDERED
    assert len(drawn) < 40_000 < len(zlib.compress(content.encode()))
