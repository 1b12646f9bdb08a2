"""Which SVGs a page may draw at once: real plots, and nothing that is made to hold a browser up."""

import base64
import io
import time
from collections.abc import Callable

import numpy as np
import pytest
from matplotlib import rc_context
from matplotlib.figure import Figure
from PIL import Image

from plotindex.rendering.protocol import Outcome
from plotindex.rendering.svg_cost import judge
from tests.support.images import RED, encoded, png

HEAD = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="400" height="300">'


def histogram(figure: Figure) -> None:
    axes = figure.add_subplot()
    axes.hist(np.random.default_rng(0).normal(size=1000), bins=60, hatch="//", label="drawn")
    axes.legend()
    axes.grid(linestyle="--")


def scatter(figure: Figure) -> None:
    numbers = np.random.default_rng(0).normal(size=(2, 2000))
    figure.add_subplot().scatter(numbers[0], numbers[1], c=numbers[0], alpha=0.5)


def lines(figure: Figure) -> None:
    axes = figure.subplots(2, 2)
    for one in axes.flat:
        one.plot(np.sin(np.linspace(0, 50, 2000)), "-.")
        one.fill_between(range(100), np.arange(100.0), alpha=0.3)
        one.set_yscale("symlog")


def heat_map(figure: Figure) -> None:
    figure.colorbar(figure.add_subplot().imshow(np.random.default_rng(0).normal(size=(300, 300))))


def contours(figure: Figure) -> None:
    x, y = np.meshgrid(np.linspace(-3, 3, 80), np.linspace(-3, 3, 80))
    figure.add_subplot().contourf(x, y, np.sin(x) * np.cos(y), 20)


@pytest.mark.parametrize("drawing", [histogram, scatter, lines, heat_map, contours])
@pytest.mark.parametrize("fonts", ["path", "none"])
def test_real_plots_are_quick(drawing: Callable[[Figure], None], fonts: str) -> None:
    figure, file = Figure(), io.BytesIO()
    with rc_context({"svg.fonttype": fonts}):
        drawing(figure)
        figure.savefig(file, format="svg")
    assert judge(file.getvalue()) is Outcome.CHEAP


def uses(levels: int, each: int) -> str:
    """`each` to the power of `levels` circles, in a few hundred bytes."""
    groups = ['<g id="l0"><circle r="1"/></g>']
    for level in range(1, levels):
        groups.append(f'<g id="l{level}">{f"""<use xlink:href="#l{level - 1}"/>""" * each}</g>')
    return "".join(groups)


def inline(image: bytes, kind: str = "png") -> str:
    return f'<image xlink:href="data:image/{kind};base64,{base64.b64encode(image).decode()}"/>'


TILE = '<pattern id="p" patternUnits="userSpaceOnUse" width="{0}" height="{0}"><path d="M 0 0 L 9 9"/></pattern>'
NAMED = '<rect width="9" height="9" fill="url(#p)"/>'
PATH = '<path d="M 0 0 L 400 300" style="stroke-dasharray: {}"/>'

QUICK = {
    "some uses": uses(4, 8),
    "a picture": inline(encoded(Image.new("RGB", (500, 500), RED))),
    "a hatch": TILE.format(72) + NAMED,
    "dashes": PATH.format("5.5,2.4"),
    "a style": "<style>*{stroke-linejoin: round; stroke-linecap: butt} .a, #b {fill: red}</style>",
    "a gradient": '<linearGradient id="g"><stop offset="0"/></linearGradient><rect fill="url(#g)"/>',
    "a translucent group": '<g opacity="0.5"><circle r="5"/></g>',
    "nothing": "",
}
SLOW = {
    "uses of uses": uses(8, 8),
    "a circle of uses": '<g id="a"><use href="#b"/></g><g id="b"><use href="#a"/></g>',
    "a use of itself": '<g id="a"><use href="#a"/></g>',
    "a clip of clips": "".join(
        f'<clipPath id="c{n}"><rect clip-path="url(#c{n - 1})"/><rect clip-path="url(#c{n - 1})"/></clipPath>'
        for n in range(30)
    ),
    "very many elements": "<g/>" * 20_001,
    "very deep": "<g>" * 200 + "</g>" * 200,
    "a long path used often": f'<path id="p" d="{"L 1 1 " * 5_000}"/>' + '<use href="#p"/>' * 200,
    "turbulence": '<filter id="f"><feTurbulence baseFrequency="0.01" numOctaves="9"/></filter><rect filter="url(#f)"/>',
    "a blur in a style": '<rect style="fill: red; filter: blur(99px)"/>',
    "a blur in a sheet": "<style>rect { filter: blur(99px) }</style><rect/>",
    "an escape in a sheet": r"<style>rect { \66ilter: blur(99px) }</style><rect/>",
    "an escape in a style": r'<rect style="\66 ilter: blur(99px)"/>',
    "a comment in a style": '<rect style="fil/**/ter: blur(9px)"/>',
    "an animation in a sheet": "<style>@keyframes a {to {fill: red}} rect {animation: a 1s infinite}</style>",
    "costly selectors": "<style>:has(* * *):nth-child(3n) {fill: red}</style>",
    "a mask": '<mask id="m"><rect/></mask>',
    "a marker": '<marker id="m"><rect/></marker><path marker-mid="url(#m)" d="M 0 0 L 1 1"/>',
    "tiny tiles": TILE.format(0.01) + NAMED,
    "tiles of no size": TILE.format("NaN") + NAMED,
    "tiles of tiles": '<pattern id="p" patternUnits="userSpaceOnUse" width="9" height="9">'
    + TILE.format(9)
    + "</pattern>",
    "tiny dashes": PATH.format("0.0001"),
    "dashes of nothing": PATH.format("0,0"),
    "endless dashes": '<path d="M 0 0 h 9e99" stroke-dasharray="1"/>',
    "dashes for all": '<g stroke-dasharray="0.001"><path d="M 0 0 L 9 9"/></g>',
    "a huge picture": inline(png(20_000, 20_000, 0, 8, b"")),
    "a picture used often": f'<g id="i">{inline(encoded(Image.new("L", (900, 900))))}</g>' + '<use href="#i"/>' * 50,
    "a picture of another kind": inline(b"GIF89a", "gif"),
    "a picture that is an SVG": inline(HEAD.encode(), "svg+xml"),
    "a picture from elsewhere": '<image href="http://example.org/x.png"/>',
    "an animation": '<rect><animate attributeName="x" dur="1s" repeatCount="indefinite"/></rect>',
    "a page": '<foreignObject><div xmlns="http://www.w3.org/1999/xhtml">x</div></foreignObject>',
    "a page's style": '<style xmlns="http://www.w3.org/1999/xhtml">* {filter: blur(9px)}</style>',
    "a script": "<script>for(;;);</script>",
    "layers of layers": '<g opacity="0.5">' * 90 + "</g>" * 90 + '<g opacity="0.9"><circle/></g>' * 400,
    "two of one name": '<g id="a"/><g id="a"><circle/></g>',
    "a reference written oddly": "<rect fill=\"url( &#9;'#a' ) url(x)\"/>",
}


@pytest.mark.parametrize("name", QUICK)
def test_what_plots_are_made_of_is_quick(name: str) -> None:
    assert judge(f"{HEAD}{QUICK[name]}</svg>".encode()) is Outcome.CHEAP


@pytest.mark.parametrize("name", SLOW)
def test_what_holds_a_browser_up_is_slow(name: str) -> None:
    assert judge(f"{HEAD}{SLOW[name]}</svg>".encode()) is Outcome.EXPENSIVE


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<svg",
        b"\x89PNG",
        b'<!DOCTYPE svg [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><svg xmlns="http://www.w3.org/2000/svg">&b;</svg>',
        b'<?xml-stylesheet href="data:text/css,*{filter:blur(9px)}"?><svg xmlns="http://www.w3.org/2000/svg"/>',
        b'<?xml version="1.0" encoding="utf-7"?><svg xmlns="http://www.w3.org/2000/svg"/>',
        b"<svg/>",
        b"<html xmlns='http://www.w3.org/1999/xhtml'/>",
        HEAD.encode() + b" " * 1_000_000 + b"</svg>",
    ],
)
def test_what_is_no_plain_svg_is_slow(content: bytes) -> None:
    assert judge(content) is Outcome.EXPENSIVE


NEAR = '<path fill="none" stroke="red" {} d="M0 0C300 900 600 0 399 299"/>'
GRADIENT = '<linearGradient id="r"/>' + '<path fill="url(#r)" d="M0 0h9"/>' * 9_000
HIDDEN = {
    "a reference that is written otherwise": f'{HEAD}<g id="a1"/><use href="#%611"/></svg>',
    "a decoy by that name": f'{HEAD}<g id="a1"/><g id="%611"/><use href="#%611"/></svg>',
    "two links of one element": f'{HEAD}<g id="a"/><g id="b"/><use href="#a" xlink:href="#b"/></svg>',
    "a pattern that is inherited": f'{HEAD}<pattern id="p" patternUnits="userSpaceOnUse" width="90" height="90"/>'
    '<g fill="url(#p)"><path d="M0 0h9"/></g></svg>',
    "a line that crosses itself": f'{HEAD}<path d="M0 0{"L7 0L3 299" * 20_000}"/></svg>',
    "a thick line": f'{HEAD}<path stroke-width="60" d="M0 0{"L7 0L3 299" * 2_000}"/></svg>',
    "a thickness that is inherited": f'{HEAD}<g stroke-width="60"><path d="M0 0L7 7"/></g></svg>',
    "a thickness that a sheet gives": f"{HEAD}<style>*{{stroke-width:60}}</style></svg>",
    "a canvas that is small": f"{HEAD.replace('width=', 'viewBox=@0 0 1 1@ width=').replace('@', chr(34))}"
    f'<path stroke-width=".5" d="M0 0{"L1 0L0 1" * 2_000}"/></svg>',
    "what is enlarged": f'{HEAD}<g transform="translate(1,1) scale(100)"><path d="M0 0"/></g></svg>',
    "what is skewed": f'{HEAD}<path transform="skewX(89.9)" d="M0 0"/></svg>',
    "an svg within": f'{HEAD}<svg viewBox="0 0 .1 .1"/></svg>',
    "dashes by the length of the path": HEAD + NEAR.format('pathLength="3600000" stroke-dasharray="3"') + "</svg>",
    "dashes in another unit": HEAD + NEAR.format('font-size="0.0003" stroke-dasharray="3em"') + "</svg>",
    "dashes that are calculated": HEAD + NEAR.format('stroke-dasharray="calc(1px/900)"') + "</svg>",
    "what is important": HEAD + NEAR.format('style="opacity:.9!important"') + "</svg>",
    "what is said twice": HEAD + NEAR.format('style="opacity:.9;opacity:1"') + "</svg>",
    "very much text": f'{HEAD}<text font-size="900">{"W" * 150_000}</text></svg>',
    "text letter by letter": f'{HEAD}<text x="{"1 " * 75_000}">W</text></svg>',
    "gradients over each other": HEAD + GRADIENT + "</svg>",
}


@pytest.mark.parametrize("what", HIDDEN)
def test_what_is_meant_to_look_cheap_is_slow(what: str) -> None:
    assert judge(HIDDEN[what].encode()) is Outcome.EXPENSIVE


def test_a_long_sheet_is_judged_at_once() -> None:
    for sheet in ("a" * 1_999, "a," * 999, " " * 1_999, "a{" * 999):
        judge(f"{HEAD}<style>{sheet}</style></svg>".encode())


REPEATED = {
    "references in a reference": ('<rect fill="{}"/>', "url(#"),
    "references in a style": ('<rect style="fill: {}"/>', "url(#"),
    "blanks in a reference": ('<rect fill="url(#a{}"/>', " "),
    "quotes in a reference": ('<rect fill="url({}"/>', "'"),
    "the digits of a thickness": ('<rect stroke-width="{}x"/>', "1"),
    "the digits of a dash": ('<rect stroke-dasharray="{}x"/>', "1"),
    "blanks between dashes": ('<rect stroke-dasharray="1{}x"/>', " "),
    "dashes": ('<rect stroke-dasharray="{}x"/>', "11 "),
    "letters of a transformation": ('<rect transform="{}"/>', "a"),
    "blanks of a transformation": ('<rect transform="{}"/>', " "),
    "parts of a transformation": ('<rect transform="{}"/>', "scale("),
    "numbers of a canvas": ('<svg viewBox="{}x"/>', "11"),
    "letters of an outline": ('<path stroke-dasharray="1" d="{}"/>', "e1"),
}


def seconds_to_judge(content: bytes) -> float:
    """CPU time, the least of five."""
    times = []
    for _ in range(5):
        started = time.process_time()
        judge(content)
        times.append(time.process_time() - started)
    return min(times)


@pytest.mark.parametrize("what", REPEATED)
def test_the_work_of_judging_grows_with_the_size_of_an_svg_and_not_with_its_square(what: str) -> None:
    template, part = REPEATED[what]
    small, large = (
        seconds_to_judge(f"{HEAD}{template.format(part * (size // len(part)))}</svg>".encode())
        for size in (20_000, 320_000)
    )
    assert large < 60 * small


def test_a_reference_with_blanks_around_its_name_is_followed() -> None:
    for reference in ("url(#g)", "url( #g )", "url('#g')", 'url( "#g" )'):
        gradient = f"<linearGradient id='g'/><rect style='fill: {reference.replace(chr(39), '&apos;')}'/>"
        assert judge(f"{HEAD}{gradient}</svg>".encode()) is Outcome.CHEAP


def test_an_address_of_a_namespace_that_would_be_copied_for_each_name_is_refused() -> None:
    content = f'{HEAD}<g xmlns:a="{"a" * 201}"><rect a:x="1"/></g></svg>'
    assert judge(content.encode()) is Outcome.EXPENSIVE
    assert judge(content.replace("a" * 201, "a" * 200).encode()) is Outcome.CHEAP
