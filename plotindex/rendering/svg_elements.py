"""What single elements of an SVG cost: the outline of a shape, the dashes of a line, the pixels of an image."""

import binascii
import re
from itertools import islice
from math import inf, isfinite
from struct import unpack

# Possessive: a value that does not match must not be tried in every other way.
NUMBER = re.compile(r"[-+]?+(?:\d++\.?+\d*+|\.\d++)(?:[eE][-+]?+\d++)?+")
LENGTH = re.compile(rf"\s*+({NUMBER.pattern})(?:px)?+\s*+")
DASHES = re.compile(rf"\s*+{NUMBER.pattern}(?:px)?+(?:(?:\s++(?:,\s*+)?+|,\s*+){NUMBER.pattern}(?:px)?+)*+\s*+")
TRANSFORM = re.compile(r"\s*+(\w++)\s*+\(([^()]*+)\)\s*+,?+")
"""One part of a transformation."""
DATA_PER_ELEMENT = 200
"""So many characters of an outline are about as much work as one element."""
DATA_OF_A_LINE = 10_000
"""An outline can cross itself: with twice as many points it is more than twice the work."""
THICK = 0.02
"""Of the canvas: a stroke that is thicker costs by its area."""
CANVAS = 150.0
MANY = 1e9
"""A number larger than in any real plot."""
PNG_BASE64 = "data:image/png;base64,"
SIDES = ("x1", "y1", "x2", "y2", "width", "height", "r", "rx", "ry")


def leading_matches(pattern: re.Pattern[str], text: str) -> tuple[list[re.Match[str]], str]:
    """The matches at the start of `text`, one after the other, and the rest. Linear: nothing is searched for."""
    matches: list[re.Match[str]] = []
    position = 0
    while match := pattern.match(text, position):
        matches.append(match)
        position = match.end()
    return matches, text[position:]


def canvas_of(attributes: dict[str, str]) -> float:
    """How large the whole is in its own units, by its shorter side."""
    box = [float(number) for number in NUMBER.findall(attributes.get("viewBox", ""))]
    if "viewBox" in attributes:
        return max(0.0, min(box[2:])) if len(box) == 4 else 0.0
    sides = [NUMBER.match(attributes.get(side, "")) for side in ("width", "height")]
    return min((float(side[0]) for side in sides if side), default=CANVAS)


def effort_of_outline(given: dict[str, str], canvas: float) -> float:
    """What a shape costs by its points, in elements."""
    data = len(given.get("d", "")) + len(given.get("points", ""))
    times = 1 + data / DATA_OF_A_LINE
    if is_thick(given, canvas):
        times *= (_thickness(given, canvas) / THICK) ** 2
    return data / DATA_PER_ELEMENT * times


def is_thick(given: dict[str, str], canvas: float) -> bool:
    """Whether a stroke is thicker than the lines of plots, or of unknown thickness."""
    return _thickness(given, canvas) > THICK


def _thickness(given: dict[str, str], canvas: float) -> float:
    if "stroke-width" not in given:
        return 0.0
    width = LENGTH.fullmatch(given["stroke-width"])
    return abs(float(width[1])) / canvas if width and canvas > 0 else MANY


def enlarges(transform: str) -> bool:
    """Whether a transformation may enlarge: a part of it does, or is not understood."""
    parts, rest = leading_matches(TRANSFORM, transform)
    for kind, given in (part.groups() for part in parts):
        numbers = [abs(float(number)) for number in NUMBER.findall(given)]
        if kind in ("translate", "rotate") and numbers:
            continue
        if kind not in ("scale", "matrix") or not numbers or max(numbers if kind == "scale" else numbers[:4]) > 1:
            return True
    return bool(rest.strip())


def dashes_of(name: str, attributes: dict[str, str]) -> float:
    """About how many dashes are drawn, and rather more."""
    if not DASHES.fullmatch(attributes["stroke-dasharray"]):
        return MANY
    lengths = [float(number) for number in NUMBER.findall(attributes["stroke-dasharray"])]
    period = sum(lengths)
    if not isfinite(period) or period <= 0 or min(lengths) < 0:
        return MANY
    count = _length(name, attributes) / period * len(lengths)
    return count if isfinite(count) else MANY


def _length(name: str, attributes: dict[str, str]) -> float:
    data = attributes.get("d" if name == "path" else "points", "")
    numbers = [float(number) for number in NUMBER.findall(data)]
    letters = set(re.sub(r"[eE][-+]?\d", "", data)) & set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    if name not in ("path", "polyline", "polygon"):
        sides = [attributes.get(side, "0") for side in SIDES]
        # A circle is 6.3 times its radius, a rectangle twice both its sides.
        return 8 * sum(map(abs, map(float, sides)))
    if letters <= set("MLCQZz"):
        # The points come in pairs, and a curve is no longer than the line through its points.
        steps = zip(numbers, islice(numbers, 2, None), strict=False)
        return 2 * sum(abs(after - before) for before, after in steps)
    return 8 * len(numbers) * max(map(abs, numbers), default=0.0)


def pixels_of(link: str) -> float:
    """How many pixels an image has that is part of an SVG; very many when that cannot be told."""
    if not link.startswith(PNG_BASE64):
        return inf
    # Browsers and Python differ in what they skip: this is what neither skips in so short a piece.
    begin = re.sub(r"\s", "", link[len(PNG_BASE64) : len(PNG_BASE64) + 200])[:32]
    try:
        head = binascii.a2b_base64(begin, strict_mode=True)
    except binascii.Error:
        return inf
    if head[:8] != b"\x89PNG\r\n\x1a\n" or head[12:16] != b"IHDR":
        return inf
    width, height = unpack(">II", head[16:24])
    return float(width * height)
