"""What single elements of an SVG cost: the dashes of a line, the pixels of an image."""

import binascii
import re
from itertools import islice
from math import inf, isfinite
from struct import unpack

NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
MANY = 1e9
"""As many of anything as nobody draws."""
PNG_BASE64 = "data:image/png;base64,"
SIDES = ("x1", "y1", "x2", "y2", "width", "height", "r", "rx", "ry")


def dashes_of(name: str, attributes: dict[str, str]) -> float:
    """About how many dashes are drawn, and rather more."""
    lengths = [float(number) for number in NUMBER.findall(attributes["stroke-dasharray"])]
    period = sum(lengths)
    if not isfinite(period) or period <= 0 or min(lengths) < 0 or "%" in attributes["stroke-dasharray"]:
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
    if letters <= set("MLCQTSZz"):
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
