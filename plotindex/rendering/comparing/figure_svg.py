"""Read what a figure of matplotlib draws in its axes, from an SVG: curves, points, ticks and texts."""

import io
import math
import re
from dataclasses import dataclass, field

from plotindex.rendering.facts import MAX_TEXT_BYTES, clean
from plotindex.rendering.reading.xml import read_xml

MAX_VERTICES = 200_000
SVG, XLINK = "http://www.w3.org/2000/svg ", "http://www.w3.org/1999/xlink "
_NUMBER = re.compile(r"-?\d+\.?\d*(?:e[-+]?\d+)?")
_GROUP = re.compile(r"(.*?)_?(\d+)")

Point = tuple[float, float]


@dataclass
class Tick:
    """A tick of an axis: where it is, and its label."""

    position: float
    label: str


@dataclass
class Shape:
    """What one artist draws, in shares of the width and height of its axes."""

    kind: str
    """Its identifier without number, such as `line2d`."""
    points: list[Point] = field(default_factory=list)
    image: str = ""
    """The content of a raster."""


@dataclass
class DrawnAxes:
    """Axes, and what is drawn in them."""

    box: tuple[float, float, float, float] | None = None
    """Left, top, width and height; None where it is not known."""
    shapes: list[Shape] = field(default_factory=list)
    ticks: dict[str, list[Tick]] = field(default_factory=lambda: {"x": [], "y": []})
    offsets: dict[str, str] = field(default_factory=lambda: {"x": "", "y": ""})
    """Texts of an axis: its label, and the factor of the labels of its ticks."""
    texts: list[str] = field(default_factory=list)

    def share(self, axis: str, position: float) -> float:
        """Where a position on an axis is, in shares of it, from the left or the bottom."""
        left, top, width, height = self.box or (0.0, 0.0, 1.0, 1.0)
        return (position - left) / width if axis == "x" else (top + height - position) / height


class FigureReader:
    """The axes of one SVG, as a listener of its elements."""

    def __init__(self) -> None:
        self.is_figure = False
        self.is_complete = True
        """False where not all was read."""
        self.axes: list[DrawnAxes] = []
        self.texts: list[str] = []
        """Outside of the axes."""
        self._path: list[tuple[str, str]] = []
        """Kind and number of the open groups; both empty for elements without an identifier."""
        self._defined: dict[str, list[Point]] = {}
        self._shape: Shape | None = None
        self._tick: Tick | None = None
        self._words: list[str] = []
        self._vertices = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        local = name.removeprefix(SVG)
        found = _GROUP.fullmatch(attributes.get("id", "")) if local == "g" else None
        kind = found[1] if found else local
        parent = self._path[-1][0] if self._path else ""
        self._path.append((kind, attributes.get("id", "")))
        self.is_figure = self.is_figure or kind == "figure"
        if found and kind == "axes":
            self.axes.append(DrawnAxes())
        elif not self.axes or not self._is_in("axes"):
            return
        elif found and kind in ("xtick", "ytick"):
            self._tick = Tick(math.nan, "")
        elif self._tick is not None:
            if local == "use" and math.isnan(self._tick.position):
                self._tick.position = _number(attributes, "x" if self._is_in("xtick") else "y")
        elif self._is_in("text") or self._is_in("legend") or self._is_in("matplotlib.axis"):
            return
        elif found and parent == "axes":
            self._shape = Shape(kind)
            self.axes[-1].shapes.append(self._shape)
        elif self._shape is not None:
            self._draw(local, attributes, self._shape)

    def end(self, _name: str) -> None:
        kind, _ = self._path.pop()
        if kind == "text":
            self._keep_text(clean(" ".join(self._words)))
            self._words = []
        elif kind in ("xtick", "ytick"):
            if self._tick is not None and not math.isnan(self._tick.position):
                self.axes[-1].ticks[kind[0]].append(self._tick)
            self._tick = None
        elif kind == "axes":
            self._shape = None

    def text(self, text: str) -> None:
        if self._path[-1][0] == "text" or self._is_in("text"):
            self._words.append(text[:MAX_TEXT_BYTES].strip())

    def comment(self, text: str) -> None:
        if self._is_in("text"):
            self._words.append(text[:MAX_TEXT_BYTES].replace("- -", "--"))

    def _is_in(self, kind: str) -> bool:
        return any(open_kind == kind for open_kind, _ in self._path)

    def _keep_text(self, words: str) -> None:
        if not words:
            return
        if self._tick is not None:
            self._tick.label = self._tick.label or words
        elif not self.axes or not self._is_in("axes"):
            self.texts.append(words)
        else:
            self.axes[-1].texts.append(words)
            if self._is_in("matplotlib.axis"):
                number = next(identifier for kind, identifier in self._path if kind == "matplotlib.axis")
                self.axes[-1].offsets["x" if number.endswith("1") else "y"] += f"{words}\n"

    def _draw(self, local: str, attributes: dict[str, str], shape: Shape) -> None:
        axes = self.axes[-1]
        if local == "path":
            points = self._take(_vertices(attributes.get("d", "")))
            if self._is_in("defs"):
                self._defined[attributes.get("id", "")] = points
            elif axes.box is None and shape.kind == "patch":
                axes.box = _box(points)
                axes.shapes.remove(shape)
            else:
                shape.points += self._placed(points)
        elif local == "use":
            x, y = _number(attributes, "x"), _number(attributes, "y")
            points = [(x, y)]
            if x == 0:
                # A collection without offsets: what it names is its data, not a marker.
                points = [(x + left, y + top) for left, top in self._defined.get(_target(attributes), [])]
            shape.points += self._placed(self._take(points))
        elif local == "image":
            x, y, width, height = (_number(attributes, side) for side in ("x", "y", "width", "height"))
            shape.image = attributes.get(f"{XLINK}href", "")
            shape.points += self._placed([(x, y), (x + width, y + height)])

    def _placed(self, points: list[Point]) -> list[Point]:
        """Points in shares of the axes, from their lower left corner."""
        axes = self.axes[-1]
        return [(axes.share("x", x), axes.share("y", y)) for x, y in points]

    def _take(self, points: list[Point]) -> list[Point]:
        self._vertices += len(points)
        if self._vertices > MAX_VERTICES or not all(math.isfinite(x + y) for x, y in points):
            self.is_complete = False
            return []
        return points


def read_figure(file: io.BufferedIOBase) -> FigureReader | None:
    """What a figure draws; None if the file is none of matplotlib, is not well-formed, or was not read completely."""
    reader = FigureReader()
    is_known = read_xml(file, reader) and reader.is_figure and reader.is_complete and bool(reader.axes)
    return reader if is_known and all(axes.box for axes in reader.axes) else None


def _vertices(path: str) -> list[Point]:
    numbers = [float(number) for number in _NUMBER.findall(path)]
    return list(zip(numbers[::2], numbers[1::2], strict=False))


def _box(points: list[Point]) -> tuple[float, float, float, float] | None:
    if not points:
        return None
    across, down = zip(*points, strict=True)
    box = min(across), min(down), max(across) - min(across), max(down) - min(down)
    return box if box[2] > 0 and box[3] > 0 else None


def _target(attributes: dict[str, str]) -> str:
    return attributes.get(f"{XLINK}href", "").removeprefix("#")


def _number(attributes: dict[str, str], name: str) -> float:
    found = _NUMBER.match(attributes.get(name, "")[:40])
    return float(found[0]) if found else 0.0
