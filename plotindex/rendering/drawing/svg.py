"""Draw an SVG with resvg."""

import io
import re

from PIL import Image
from resvg import render, usvg

from plotindex.rendering.drawing.fonts import load_fonts
from plotindex.rendering.drawing.size import fit
from plotindex.rendering.protocol import NoPictureError, Original, Outcome

MAX_BYTES = 64 << 20
WHITE = (255, 255, 255, 255)
PIXELS = {"": 1.0, "px": 1.0, "pt": 4 / 3, "pc": 16.0, "in": 96.0, "cm": 96 / 2.54, "mm": 96 / 25.4}
"""CSS unit -> its pixels."""
_SPACE = r"[ \t\r\n]"
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_ROOT = re.compile(r"<(?:[\w.-]+:)?svg(?=[\s>/])([^<>]*)>")
_ATTRIBUTE = re.compile(rf"{_SPACE}(width|height|viewBox){_SPACE}*={_SPACE}*[\"']([^\"']*)[\"']")
_LENGTH = re.compile(rf"{_SPACE}*({_NUMBER})({'|'.join(PIXELS)}){_SPACE}*")
_ENCODING = re.compile(rb"<\?xml[^>]{0,200}?encoding=[\"']([A-Za-z0-9._-]{1,40})[\"']")
_BYTE_ORDER_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}

_options = usvg.Options.default()


def preload() -> None:
    """Load the fonts, and draw once."""
    load_fonts(_options.load_font_data)
    draw_svg(io.BytesIO(b'<svg xmlns="http://www.w3.org/2000/svg"><text y="9">x</text></svg>'), 8)


def draw_svg(file: io.BufferedIOBase, width: int) -> tuple[Image.Image, Original]:
    """The SVG on white, in this width, and its own size.

    Raises:
        NoPictureError: it is too large.
        BaseException: it is not valid; the type is resvg's choice.
    """
    content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise NoPictureError(Outcome.TOO_LARGE)
    text = add_missing_side(decode(content))
    tree = usvg.Tree.from_str(text, _options)
    own = size_of(text, tree.int_size())
    size = fit(own, width, enlarges=True)
    scale = size[0] / own[0], size[1] / own[1]
    png = render(tree, (scale[0], 0, 0, 0, scale[1], 0), bg_size=size, bg_color=WHITE)
    image = Image.open(io.BytesIO(png), formats=["PNG"]).convert("RGB")
    return image, Original(max(1, round(own[0])), max(1, round(own[1])))


def decode(content: bytes) -> str:
    """The text of an XML document, by its byte order mark or its declaration."""
    encoding = _BYTE_ORDER_MARKS.get(content[:3]) or _BYTE_ORDER_MARKS.get(content[:2])
    declared = _ENCODING.match(content)
    try:
        return content.decode(encoding or (declared[1].decode() if declared else "utf-8"))
    except LookupError:
        return content.decode("utf-8")


def add_missing_side(text: str) -> str:
    """The SVG with both width and height where it has one of them and a viewBox: browsers keep its proportions."""
    root = _ROOT.search(text)
    given = dict(_ATTRIBUTE.findall(root[1])) if root else {}
    sides, box = _sides(given), _box(given)
    if root is None or box is None or sides.count(None) != 1:
        return text
    missing = sides.index(None)
    name = ("width", "height")[missing]
    if name in given:
        # A percentage.
        return text
    length = (sides[1 - missing] or 0) * box[missing] / box[1 - missing]
    return f'{text[: root.start(1)]} {name}="{length:.6f}"{text[root.start(1) :]}'


def size_of(text: str, rounded: tuple[int, int]) -> tuple[float, float]:
    """The size of an SVG in CSS pixels. `rounded` is resvg's, which loses fractions."""
    root = _ROOT.search(text)
    given = dict(_ATTRIBUTE.findall(root[1])) if root else {}
    sides = _sides(given)
    width, height = (_box(given) or (0, 0)) if sides == [None, None] else (side or 0 for side in sides)
    # Where resvg understands the root otherwise, it is right.
    if all(side > 0 and abs(max(side, 1) - whole) <= 1 for side, whole in zip((width, height), rounded, strict=True)):
        return width, height
    return rounded


def _sides(given: dict[str, str]) -> list[float | None]:
    lengths = [_LENGTH.fullmatch(given.get(side, "")) for side in ("width", "height")]
    return [float(length[1]) * PIXELS[length[2]] if length else None for length in lengths]


def _box(given: dict[str, str]) -> tuple[float, float] | None:
    box = [float(number) for number in re.findall(_NUMBER, given.get("viewBox", ""))]
    return (box[2], box[3]) if len(box) == 4 and min(box[2:]) > 0 else None
