"""Facts that the confined renderer reads from plots as tools write them, and from hostile ones."""

import io
import os
import random
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, PngImagePlugin

from plotindex.rendering.facts import HASH_BYTES, MAX_FACTS_BYTES, UNKNOWN, Facts, hash_distance
from plotindex.rendering.protocol import INSPECTION_CPU_SECONDS, Outcome
from plotindex.rendering.renderer_client import RendererClient
from plotindex.system import closing_fd
from tests.rendering.test_facts import assert_bounded
from tests.support.images import PDF, RED, WHITE, encoded, halves, pdf, png
from tests.tools.corpus import mutate

Inspect = Callable[..., Facts]
PLOTS = Path(__file__).parent / "data"
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="90" height="60">%s</svg>'
TITLE = "Residuals of model A"
PANELS = {"Time (s)", r"Energy $\alpha$", "Left in two lines", "Right", "a note", "Berlin"}
ENERGY = "Energy \N{GREEK SMALL LETTER ALPHA}"
LABELS = {"Time (s)", "Energy (eV)", "baseline", "tuned"}


@pytest.fixture(scope="module")
def renderer() -> Iterator[RendererClient]:
    renderer = RendererClient()
    yield renderer
    renderer.close()


@pytest.fixture(scope="module")
def inspect(renderer: RendererClient) -> Inspect:
    def inspect(content: bytes | str, suffix: str = "") -> Facts:
        plot = os.memfd_create("plot")
        with closing_fd(plot):
            os.write(plot, content.encode() if isinstance(content, str) else content)
            facts = renderer.inspect(plot, suffix)
            assert isinstance(facts, Facts)
            return facts

    return inspect


@pytest.mark.parametrize(
    ("name", "title", "texts"),
    [
        ("matplotlib.svg", "Residuals -- model A", {"Time (s)", r"Energy $\alpha$", "Left in two lines", "Berlin"}),
        (
            "matplotlib-text.svg",
            "Residuals -- model A",
            {"Time (s)", r"Energy $\alpha$", "Left in two lines", "Berlin"},
        ),
        ("matplotlib-axes.svg", TITLE, {"a note"}),
        ("matplotlib-untitled.svg", "", {"Time (s)", "only a note"}),
        (
            "matplotlib.pdf",
            "A document",
            {"Time (s)", "Energy \N{GREEK SMALL LETTER ALPHA}", "baseline", "tuned", "Berlin"},
        ),
        ("matplotlib.png", "Residuals of model Ä", {"Energy over time, in µs \N{MINUS SIGN} Żółw"}),
        ("seaborn.svg", TITLE, {*LABELS, "run"}),
        ("seaborn-facets.svg", "run = baseline; run = tuned", {"t", "energy"}),
        ("plotnine.svg", TITLE, {*LABELS, "Run"}),
        ("plotnine.pdf", TITLE, {*LABELS, "Run"}),
        ("plotnine-untitled.svg", "", LABELS),
        ("plotly.svg", TITLE, {*LABELS, "Run"}),
        ("plotly.pdf", TITLE, {*LABELS, "Run"}),
        ("altair.svg", TITLE, {*LABELS, "Run"}),
        ("altair.pdf", TITLE, {*LABELS, "Run"}),
        ("pygal.svg", TITLE, {*LABELS, "one", "two"}),
        ("graphviz.svg", TITLE, {"Load data", "Fit model", "clean", "pipeline"}),
        ("gnuplot.svg", TITLE, LABELS),
        ("svglite.svg", TITLE, LABELS),
        ("ggplot2.svg", TITLE, {*LABELS, "Run"}),
        ("ggplot2.pdf", TITLE, {*LABELS, "Run"}),
    ],
)
def test_title_and_texts_are_found_in_what_tools_write(
    inspect: Inspect, name: str, title: str, texts: set[str]
) -> None:
    facts = inspect((PLOTS / name).read_bytes(), Path(name).suffix)
    assert facts.title == title
    assert texts <= set(facts.text)
    assert not any(text.replace(".", "").isdigit() for text in facts.text)
    assert (facts.format, facts.flags, len(facts.picture_hash)) == (Path(name).suffix[1:], frozenset(), HASH_BYTES)
    assert facts.width is not None
    assert facts.width > 200


def test_metadata_is_read(inspect: Inspect) -> None:
    facts = inspect((PLOTS / "matplotlib.svg").read_bytes(), ".svg")
    assert (facts.metadata["title"], facts.metadata["subject"]) == ("A document", "energy time")
    assert facts.metadata["creator"].startswith("Matplotlib v3")
    assert inspect((PLOTS / "matplotlib.pdf").read_bytes(), ".pdf").metadata["Keywords"] == "energy"
    facts = inspect((PLOTS / "matplotlib.png").read_bytes(), ".png")
    assert facts.metadata["Software"].startswith("Matplotlib")
    assert facts[:5] == ("png", 250, 125, 1, 50.0)


def test_other_texts_of_an_svg_are_read(inspect: Inspect) -> None:
    content = (
        '<title>A &amp; B</title><desc>What it shows</desc><g aria-label="a label"/>'
        '<text font-size="9" y="50">small <tspan>words</tspan></text><text y="55" font-size="9">12.5</text>'
        "<foreignObject><p xmlns='http://www.w3.org/1999/xhtml'>in HTML</p></foreignObject><style>g{}</style>"
    )
    facts = inspect(SVG % content, ".svg")
    assert (facts.title, facts.text) == ("A & B", ("What it shows", "a label", "small words", "in HTML"))
    facts = inspect(f"<?xml version='1.0' encoding='utf-16'?>{SVG % content}".encode("utf-16"), ".svg")
    assert facts.title == "A & B"


def test_comments_that_matplotlib_has_escaped_are_read_as_they_are_drawn(inspect: Inspect) -> None:
    comments = "<!-- S&amp;P 500, p &lt; 0.05 -&gt; 0.01 --><!-- &amp;lt; - - &copy; -->"
    facts = inspect(SVG % f'<g id="figure_1"><g id="text_1">{comments}</g></g>', ".svg")
    assert facts.title == "S&P 500, p < 0.05 -> 0.01 &lt; -- &copy;"


XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
    b' xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/">'
    b'<rdf:Description rdf:about="" xmp:CreatorTool="a tool"><dc:title><rdf:Alt><rdf:li xml:lang="x-default">By XMP'
    b"</rdf:li></rdf:Alt></dc:title></rdf:Description></rdf:RDF></x:xmpmeta>"
)


def exif() -> Image.Exif:
    made = Image.Exif()
    made[0x010E] = "Energy over time"
    made.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + "a comment".encode("utf-16")
    return made


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {"xmp": XMP}),
        ("WEBP", {"xmp": XMP}),
        ("AVIF", {"xmp": XMP, "max_threads": 1}),
        ("TIFF", {"tiffinfo": {700: XMP}}),
        ("PNG", {}),
    ],
)
def test_exif_and_xmp_are_read(inspect: Inspect, kind: str, options: dict[str, Any]) -> None:
    if kind == "PNG":
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", XMP.decode(), zip=True)
        options = {"pnginfo": info}
    if kind != "TIFF":
        options["exif"] = exif()
    else:
        options["tiffinfo"][0x010E] = "Energy over time"
    facts = inspect(encoded(halves(), kind, dpi=(120, 120), **options), f".{kind.lower()}")
    assert (facts.title, facts.metadata["CreatorTool"]) == ("By XMP", "a tool")
    assert "Energy over time" in facts.text
    assert ("a comment" in facts.text) is (kind != "TIFF")
    assert facts.dpi == (None if kind in ("WEBP", "AVIF") else 120.0)
    assert facts.flags == frozenset()


def test_damaged_exif_and_xmp_do_not_cost_the_rest(inspect: Inspect) -> None:
    content = png(
        40, 20, 0, 8, bytes(41 * 20), (b"eXIf", b"MM\0*junk"), (b"tEXt", b"Title\0kept"), (b"zTXt", b"k\0\0x")
    )
    facts = inspect(content, ".png")
    assert (facts.title, len(facts.picture_hash)) == ("kept", HASH_BYTES)
    assert inspect(encoded(halves(), "JPEG", xmp=b"<broken", exif=b"Exif\0\0MM"), ".jpg").flags == frozenset()


def test_a_bomb_of_text_does_not_cost_the_picture(inspect: Inspect) -> None:
    bomb = zlib.compress(b"Z" * 50_000_000, 9)
    chunks = [
        *(
            (kind, head + bomb)
            for kind, head in ((b"zTXt", b"k\0\0"), (b"iCCP", b"p\0\0"), (b"iTXt", b"i\0\x01\0\0\0"))
        ),
        (b"tEXt", b"long\0" + b"y" * 5_000_000),
        (b"tEXt", b"Title\0kept"),
        *[(b"zTXt", b"more\0\0" + bomb)] * 20,
    ]
    facts = inspect(png(40, 20, 0, 8, bytes(41 * 20), *chunks), ".png")
    assert (facts.title, facts.width, len(facts.picture_hash)) == ("kept", 40, HASH_BYTES)
    assert "broken" not in facts.flags


def uniform(mode: str, colour: Any, size: tuple[int, int] = (64, 48)) -> Image.Image:
    return Image.new(mode, size, colour)


def dot() -> Image.Image:
    image = uniform("L", 255, (4000, 3000))
    image.putpixel((1234, 1234), 0)
    return image


def white_on_transparent() -> Image.Image:
    image = uniform("RGBA", (255, 255, 255, 0))
    ImageDraw.Draw(image).line((0, 0, 60, 40), (255, 255, 255, 255))
    return image


def frames() -> bytes:
    return encoded(uniform("RGB", WHITE), "GIF", save_all=True, append_images=[uniform("RGB", RED)], duration=50)


AXES = '<path d="M9 9V50H80" stroke="#000" stroke-width=".2" fill="none"/>'


@pytest.mark.parametrize(
    ("content", "is_blank"),
    [
        (encoded(uniform("RGB", WHITE)), True),
        (encoded(uniform("RGBA", (9, 9, 9, 255))), True),
        (encoded(uniform("L", 77), "JPEG"), True),
        (encoded(uniform("P", 3), "GIF"), True),
        (SVG % "", True),
        (SVG % '<rect width="100%" height="100%" fill="#eee"/>', True),
        (pdf(""), True),
        (SVG % AXES, False),
        (pdf("9 9 m 9 50 l S"), False),
        (encoded(halves((0, 0, 0, 0), (255, 0, 0, 0), mode="RGBA")), True),
        (encoded(white_on_transparent()), False),
        (encoded(dot(), "JPEG", quality=95), False),
        (encoded(dot(), compress_level=1), False),
        (frames(), False),
    ],
    ids=lambda value: value if isinstance(value, bool) else "",
)
def test_blank_is_what_shows_nothing(inspect: Inspect, content: bytes | str, is_blank: bool) -> None:
    assert inspect(content).flags == ({"blank"} if is_blank else set())


def test_tiny_is_below_sixteen_pixels_on_a_side(inspect: Inspect) -> None:
    assert "tiny" in inspect(encoded(halves(size=(15, 400))), ".png").flags
    assert "tiny" not in inspect(encoded(halves(size=(16, 16))), ".png").flags
    assert inspect(encoded(halves(size=(1, 1))), ".png").flags == {"tiny", "blank"}
    assert "tiny" in inspect('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="90"><g/></svg>', ".svg").flags


NOISE = Image.effect_noise((200, 100), 80)
WHOLE = {
    ".png": encoded(NOISE),
    ".jpg": encoded(NOISE, "JPEG"),
    ".gif": encoded(NOISE, "GIF"),
    ".webp": encoded(NOISE, "WEBP", lossless=True),
    ".avif": encoded(NOISE.convert("RGB"), "AVIF", max_threads=1),
    ".tif": encoded(NOISE, "TIFF"),
    ".svg": (PLOTS / "svglite.svg").read_bytes(),
}


@pytest.mark.parametrize("suffix", WHOLE)
def test_a_truncated_file_is_broken_and_tells_what_it_has(inspect: Inspect, suffix: str) -> None:
    whole = WHOLE[suffix]
    assert inspect(whole, suffix).flags == frozenset()
    for length in (len(whole) // 2, len(whole) - 12):
        facts = inspect(whole[:length], suffix)
        assert facts.flags == {"broken"}
        if suffix in (".png", ".jpg", ".gif"):
            assert (facts.width, facts.height) == (200, 100)
    assert inspect(b"", suffix) == UNKNOWN._replace(flags=frozenset({"broken"}))


@pytest.mark.parametrize(
    ("content", "suffix", "found"),
    [
        (WHOLE[".png"], ".jpg", "png"),
        (WHOLE[".jpg"], ".png", "jpeg"),
        (WHOLE[".svg"], ".pdf", "svg"),
        (PDF, ".svg", "pdf"),
        (b"%PDF-1.4 junk", ".pdf", "pdf"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF\0", ".jpg", "jpeg"),
        (b"<!doctype html><title>Not found</title>", ".png", ""),
        (b"<html><svg xmlns='http://www.w3.org/2000/svg'/></html>", ".svg", ""),
        (b"<svg><text>no namespace</text></svg>", ".svg", ""),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", ".pdf", ""),
        (b"version https://git-lfs.github.com/spec/v1\n", ".png", ""),
    ],
)
def test_content_that_is_not_what_the_suffix_says_is_broken(
    inspect: Inspect, content: bytes, suffix: str, found: str
) -> None:
    facts = inspect(content, suffix)
    assert (facts.format, set(facts.flags)) == (found, {"broken"})
    # Without a name there is nothing to contradict.
    is_whole = content in (*WHOLE.values(), PDF)
    assert ("broken" in inspect(content).flags) is not is_whole


def test_the_usual_suffixes_of_a_format_are_not_broken(inspect: Inspect) -> None:
    for suffix, content in ((".jpeg", WHOLE[".jpg"]), (".tiff", WHOLE[".tif"]), (".pdf", PDF)):
        assert inspect(content, suffix).flags == frozenset()


def test_an_svg_that_names_the_brand_of_another_format_is_an_svg(inspect: Inspect) -> None:
    facts = inspect("<svg id='avis' xmlns='http://www.w3.org/2000/svg' width='90' height='60'><text>x</text></svg>")
    assert (facts.format, facts.width) == ("svg", 90)


def test_a_plot_too_hard_to_draw_is_not_broken_and_keeps_its_text(inspect: Inspect) -> None:
    words = '<text y="9">words</text>'
    deep = SVG % (words + "<g>" * 1100 + "<rect width='9' height='9'/>" + "</g>" * 1100)
    facts = inspect(deep, ".svg")
    assert (facts.title, set(facts.flags), facts.picture_hash) == ("words", set(), b"")


def _nested(depth: int) -> str:
    return SVG % ("<g>" * depth + "</g>" * depth)


RDF = "<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>%s</rdf:RDF>"
BOMBS = {
    "entities": '<!DOCTYPE svg [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {chr(98 + i)} "{f"&{chr(97 + i)};" * 10}">' for i in range(9))
    + f"]>{SVG % '<text>&j;</text>'}",
    "depth": _nested(400_000),
    "comments": SVG % ("<g id='text_1'>" + "<!--c-->" * 1_000_000 + "</g>"),
    "titles": SVG % ("<g><title>word</title></g>" * 150_000),
    "attribute": SVG % f"<g aria-label='{'x' * 20_000_000}'/>",
    "RDF": SVG % (RDF % ("<rdf:Description>" + "<rdf:li>" * 200_000)),
    "properties": SVG % (RDF % ("<rdf:Description>" + "<rdf:a>x</rdf:a>" * 200_000 + "</rdf:Description>")),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_costs_no_more_than_its_bound(renderer: RendererClient, inspect: Inspect, name: str) -> None:
    inspect(PDF)
    assert renderer.pid is not None
    process = psutil.Process(renderer.pid)
    before = process.cpu_times().children_user
    plot = os.memfd_create("plot")
    with closing_fd(plot):
        os.write(plot, BOMBS[name].encode())
        facts = renderer.inspect(plot, ".svg")
    # On a busy machine the clock may stop it first.
    if facts is not Outcome.BUSY:
        assert isinstance(facts, Facts)
        assert_bounded(facts)
    assert process.cpu_times().children_user - before < INSPECTION_CPU_SECONDS + 1.5
    assert process.children() == []


def test_other_programs_recompress_scale_and_frame_a_plot_and_its_hash_stays_near(inspect: Inspect) -> None:
    with Image.open(PLOTS / "matplotlib.png") as opened:
        plot = opened.convert("RGB").resize((1000, 500), Image.Resampling.LANCZOS)
    framed = Image.new("RGB", (1012, 514), WHITE)
    framed.paste(plot, (5, 8))
    own = inspect(encoded(plot)).picture_hash
    for changed in (
        encoded(plot.resize((500, 250), Image.Resampling.LANCZOS)),
        encoded(plot, "JPEG", quality=70),
        encoded(plot, "WEBP", quality=80),
        encoded(framed),
        encoded(plot.quantize(64)),
    ):
        assert hash_distance(own, inspect(changed).picture_hash) <= NEAR
    for other in ("seaborn.svg", "plotly.svg", "gnuplot.svg"):
        assert hash_distance(own, inspect((PLOTS / other).read_bytes()).picture_hash) > 2 * NEAR


NEAR = 30
"""Bits that a plot made smaller or compressed may change."""


def test_whatever_the_renderer_writes_becomes_facts_in_bounds(
    renderer: RendererClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    plot = os.memfd_create("plot")
    lies = (b"", b"\n", b"{}\n", b"\xff" * 300_000, UNKNOWN.to_bytes() + b"junk\n", b"\n" * (5 * MAX_FACTS_BYTES))
    with closing_fd(plot):
        for outcome in Outcome:
            for lie in lies:

                def write(
                    _running: object, _job: str, fds: list[int], lie: bytes = lie, told: Outcome = outcome
                ) -> Outcome:
                    os.write(fds[1], lie)
                    return told

                monkeypatch.setattr(renderer, "_send", write)
                facts = renderer.inspect(plot, ".png")
                if outcome is Outcome.BUSY:
                    assert facts is Outcome.BUSY
                else:
                    assert isinstance(facts, Facts)
                    assert facts._replace(flags=frozenset()) == UNKNOWN


@settings(max_examples=60)
@given(st.sampled_from(sorted(PLOTS.glob("*.[sp]*"))), st.integers(0, 2**32))
def test_mutated_plots_have_facts_in_bounds(renderer: RendererClient, file: Path, seed: int) -> None:
    plot = os.memfd_create("plot")
    with closing_fd(plot):
        os.write(plot, mutate(file.read_bytes(), random.Random(seed)))
        facts = renderer.inspect(plot, file.suffix)
    if isinstance(facts, Facts):
        assert_bounded(facts)
    else:
        assert facts is Outcome.BUSY


def test_the_position_of_the_descriptor_does_not_change(renderer: RendererClient) -> None:
    with io.FileIO(PLOTS / "matplotlib.png") as file:
        file.seek(7)
        assert isinstance(renderer.inspect(file.fileno(), ".png"), Facts)
        assert file.tell() == 7
