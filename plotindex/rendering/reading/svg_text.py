"""Texts of an SVG, and which of them is the title, by the marks of plotting tools."""

import io
import re
from dataclasses import dataclass, field
from enum import IntEnum
from xml.sax.saxutils import unescape

from plotindex.rendering.facts import MAX_TEXT_BYTES, clean
from plotindex.rendering.reading.metadata import is_default
from plotindex.rendering.reading.rdf import RDF, Properties
from plotindex.rendering.reading.xml import read_xml

SVG = "http://www.w3.org/2000/svg"
MAX_TEXTS = 1000
"""Texts of each role that are kept."""
TOP = 0.2
"""The title of a figure lies in this part of its height."""


class Role(IntEnum):
    """What a text is in a plot, the most telling first."""

    TITLE = 0
    LABEL = 1
    LEGEND = 2
    FIGURE = 3
    """In the figure, outside its axes."""
    AXES = 4
    """In axes or above them."""
    DOCUMENT = 5
    """The title of the document, which is not visible."""
    OTHER = 6
    TICK = 7
    IGNORED = 8


ROLES = {
    # matplotlib and gnuplot: identifiers, without their numbers.
    "matplotlib.axis": Role.LABEL,
    "xtick": Role.TICK,
    "ytick": Role.TICK,
    "legend": Role.LEGEND,
    "axes": Role.AXES,
    "figure": Role.FIGURE,
    "gnuplot_plot": Role.LEGEND,
    "gnuplot_canvas": Role.FIGURE,
    # Plotly: classes.
    "gtitle": Role.TITLE,
    "xtitle": Role.LABEL,
    "ytitle": Role.LABEL,
    "legendtext": Role.LEGEND,
    "legendtitletext": Role.LEGEND,
    # Vega
    "role-title-text": Role.TITLE,
    "role-axis-title": Role.LABEL,
    "role-axis-label": Role.TICK,
    "role-legend-title": Role.LEGEND,
    "role-legend-label": Role.LEGEND,
    # pygal
    "plot_title": Role.TITLE,
    "titles": Role.LABEL,
    "legends": Role.LEGEND,
    "guides": Role.TICK,
}
"""Class or identifier of a text, or of an element around it: the innermost decides."""
CONTAINERS = ("text", "title", "desc", "foreignObject")
"""Elements with text to read."""
TITLE_ROLES = (Role.TITLE, Role.FIGURE, Role.AXES, Role.DOCUMENT, Role.OTHER)
"""Where the title is looked for, in this order."""
NUMBERS_TELL = (Role.TITLE, Role.LABEL, Role.LEGEND)
"""Roles in which a number is kept; elsewhere it is one of many."""
_NUMBER_AT_END = re.compile(r"_?\d+$")
_PLOTLY_AXIS = re.compile(r"([xyz])\d+title")
_NUMBER = re.compile(r"-?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?")
_TRANSLATION = re.compile(r"translate\(\s*-?[\d.e+-]+[\s,]+(-?[\d.e+-]+)")
_SCALE = re.compile(r"scale\(\s*([\d.e+-]+)")
_FONT_SIZE = re.compile(r"font(?:-size)?:[^;]*?([\d.]+)p[xt]")


@dataclass
class _Element:
    name: str
    attributes: dict[str, str]
    names: list[str]
    """Its identifier without number, and its classes."""
    top: float | None = None
    """Where axes of matplotlib begin: the top of their background."""


@dataclass
class _Text:
    role: Role
    depth: int = 0
    y: float = 0.0
    size: float = 0.0
    top: float | None = None
    """Of the axes that it is in."""
    comments: list[str] = field(default_factory=list)
    data: list[str] = field(default_factory=list)
    room: int = MAX_TEXT_BYTES
    is_placed: bool = False
    words: str = ""

    def place(self, attributes: dict[str, str]) -> None:
        """Take the place and the size of the letters from the first element that tells them."""
        if not self.is_placed:
            y = _offset(attributes) + _number(attributes.get("y", ""))
            self.is_placed = y != 0
            self.y += y
        self.size = self.size or _font_size(attributes)

    def add(self, parts: list[str], text: str) -> None:
        if self.room > 0:
            parts.append(text[: self.room])
            self.room -= len(text)


class SvgTexts:
    """The texts and properties of one SVG, as a listener of its elements."""

    def __init__(self) -> None:
        self.is_svg = False
        self.properties = Properties()
        self._texts: list[_Text] = []
        self._counts = dict.fromkeys(Role, 0)
        self._open: list[_Element] = []
        self._current: _Text | None = None
        self._height = 0.0
        self._rdf_depth = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        namespace, _, local = name.rpartition(" ")
        if not self._open:
            self.is_svg = name == f"{SVG} svg"
            box = _NUMBER.findall(attributes.get("viewBox", "")[:200])
            self._height = float(box[3]) if len(box) == 4 else _number(attributes.get("height", ""))
        element = _Element(local, attributes, _names_of(attributes))
        self._open.append(element)
        if self._rdf_depth or name == f"{RDF} RDF":
            self._rdf_depth = self._rdf_depth or len(self._open)
            self.properties.start(name, attributes)
        elif self._current is not None:
            self._current.place(attributes)
        elif namespace == SVG and (local in CONTAINERS or element.names[:1] == ["text"]):
            self._current = self._begin(local)
        elif local == "path":
            self._find_top(attributes)
        if "aria-label" in attributes and "aria-roledescription" not in attributes:
            # Vega describes each mark so; its own texts say the same.
            self._keep(_Text(Role.OTHER, data=[attributes["aria-label"][:MAX_TEXT_BYTES]]))

    def end(self, name: str) -> None:
        if self._rdf_depth:
            self.properties.end(name)
            if len(self._open) == self._rdf_depth:
                self._rdf_depth = 0
        if self._current is not None and len(self._open) == self._current.depth:
            self._keep(self._current)
            self._current = None
        self._open.pop()

    def text(self, text: str) -> None:
        if self._rdf_depth:
            self.properties.text(text)
        elif self._current is not None and self._open[-1].name not in ("style", "script"):
            self._current.add(self._current.data, text)

    def comment(self, text: str) -> None:
        if self._current is not None:
            # matplotlib escapes comments as if they were text, and separates hyphens, two of which would end one.
            self._current.add(self._current.comments, unescape(text.replace("- -", "--")))

    def title_and_texts(self) -> tuple[str, list[str]]:
        """The title, empty if it cannot be told, and all texts, the most telling first."""
        for role in TITLE_ROLES:
            if titles := self._titles_among([text for text in self._texts if text.role is role], role):
                break
        ordered = sorted(self._texts, key=lambda text: text.role)
        return "; ".join(dict.fromkeys(text.words for text in titles)), [text.words for text in ordered]

    def _begin(self, local: str) -> _Text:
        *ancestors, element = self._open
        role = next((ROLES[name] for one in self._open[::-1] for name in one.names if name in ROLES), Role.OTHER)
        if local == "title" and len(ancestors) == 1:
            role = Role.DOCUMENT
        elif local in ("title", "desc") and ancestors and "edge" in ancestors[-1].names:
            role = Role.IGNORED
        elif local == "text" and ancestors and ancestors[-1].attributes.get("class") == "graph":
            # The label of a graph of Graphviz.
            role = Role.TITLE
        text = _Text(role, len(self._open), top=next((one.top for one in ancestors[::-1] if one.top is not None), None))
        text.place(element.attributes)
        for ancestor in ancestors[::-1]:
            text.y += _offset(ancestor.attributes)
            text.size = text.size or _font_size(ancestor.attributes)
        return text

    def _keep(self, text: _Text) -> None:
        # Where matplotlib draws letters as paths, only the comments tell them.
        text.words = clean(" ".join(text.comments) or "".join(text.data))
        tells = text.role in NUMBERS_TELL or any(letter.isalpha() for letter in text.words)
        if text.words and tells and not is_default(text.words) and text.role is not Role.IGNORED:
            self._counts[text.role] += 1
            if self._counts[text.role] <= MAX_TEXTS:
                self._texts.append(text)

    def _find_top(self, attributes: dict[str, str]) -> None:
        """Take the top of axes from their background, the first patch that matplotlib draws in them."""
        axes, patch = [None, None, *self._open][-3:-1]
        if axes and patch and axes.top is None and axes.names[:1] == ["axes"] and patch.names[:1] == ["patch"]:
            axes.top = min(map(float, _NUMBER.findall(attributes.get("d", "")[:400])[1::2]), default=0.0)

    def _titles_among(self, texts: list[_Text], role: Role) -> list[_Text]:
        """The texts of this role that are titles, by their size and place."""
        if role in (Role.TITLE, Role.DOCUMENT):
            return texts
        if role is Role.AXES:
            texts = [text for text in texts if text.top is not None and text.y < text.top]
        largest = max((text.size for text in texts), default=0.0)
        if role is Role.AXES:
            return [text for text in texts if text.size == largest]
        found = [text for text in texts if text.size == largest and text.y <= TOP * self._height]
        is_alone = role is Role.FIGURE or sum(text.size == largest for text in texts) == 1
        return [min(found, key=lambda text: text.y)] if found and is_alone else []


def read_svg(file: io.BufferedIOBase) -> tuple[SvgTexts, bool]:
    """The texts of an SVG, and whether it is well-formed, as far as it was read."""
    texts = SvgTexts()
    is_well_formed = read_xml(file, texts)
    return texts, is_well_formed


def _names_of(attributes: dict[str, str]) -> list[str]:
    names = [_NUMBER_AT_END.sub("", attributes["id"][:200])] if "id" in attributes else []
    if "class" in attributes:
        names += [_PLOTLY_AXIS.sub(r"\1title", name) for name in attributes["class"][:200].split()]
    return names


def _offset(attributes: dict[str, str]) -> float:
    found = _TRANSLATION.search(attributes.get("transform", "")[:200])
    return _number(found[1]) if found else 0.0


def _font_size(attributes: dict[str, str]) -> float:
    if "font-size" in attributes:
        return _number(attributes["font-size"])
    if found := _FONT_SIZE.search(attributes.get("style", "")[:400]):
        return _number(found[1])
    # matplotlib draws letters 100 units high, scaled.
    scale = _SCALE.search(attributes.get("transform", "")[:200])
    return 100 * _number(scale[1]) if scale else 0.0


def _number(text: str) -> float:
    found = _NUMBER.match(text[:40].strip())
    return float(found[0]) if found else 0.0
