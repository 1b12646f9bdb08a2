"""How hard an SVG is to draw, without drawing it: an estimate that rather errs against the SVG.

What it does not know counts as slow: it knows what plots are made of.
"""

import operator
import re
from dataclasses import dataclass, field
from typing import NoReturn
from xml.parsers import expat

from plotindex.rendering.protocol import MAX_SVG_BYTES, Outcome
from plotindex.rendering.svg_elements import (
    canvas_of,
    dashes_of,
    effort_of_outline,
    enlarges,
    is_thick,
    leading_matches,
    pixels_of,
)

MOST_EFFORT = 20_000
"""In elements, each as often as it is drawn."""
DEEPEST = 100
"""Elements in each other, also through references."""
GLYPHS_PER_ELEMENT = 5
"""So many characters of text are about as much work as one element."""
PAINTED_EFFORT = 5
"""Of a shape that is filled or stroked with a gradient or a pattern."""
DASHES_PER_ELEMENT = 10
PIXELS_PER_ELEMENT = 1_000
LAYER_EFFORT = 50
"""Of a group that is drawn by itself first, since it is translucent."""
SMALLEST_TILE = 8.0
"""Of a pattern, in its own units: a smaller one is drawn very often."""

LONGEST_SHEET = 2_000

NAMESPACE = "http://www.w3.org/2000/svg "
HARMLESS = (
    "http://www.w3.org/1999/02/22-rdf-syntax-ns# ",
    "http://creativecommons.org/ns# ",
    "http://web.resource.org/cc/ ",
    "http://purl.org/dc/elements/1.1/ ",
)
"""Of metadata."""
SHAPES = frozenset({"path", "rect", "circle", "ellipse", "line", "polyline", "polygon"})
CONTAINERS = frozenset({"svg", "g", "a", "defs", "clipPath", "use", "pattern", "metadata"})
PAINTS = frozenset({"linearGradient", "radialGradient", "stop", "image", "style"})
KNOWN = SHAPES | CONTAINERS | PAINTS | {"text", "tspan", "title", "desc"}
UNKNOWN_ATTRIBUTES = frozenset({"filter", "mask", "marker", "patternTransform", "mix-blend-mode", "backdrop-filter"})
UNKNOWN_ATTRIBUTES |= {"marker-start", "marker-mid", "marker-end", "mask-image", "pathLength"}
PROPERTY = re.compile(
    "fill(-rule|-opacity)?|stroke(-(width|linecap|linejoin|opacity|dasharray|dashoffset|miterlimit))?|opacity|"
    "font(-(family|size|style|weight|variant|stretch))?|text-(anchor|align|rendering)|dominant-baseline|"
    "(letter|word)-spacing|(shape|image|color)-rendering|stop-(color|opacity)|color|display|visibility|"
    "clip-(path|rule)|overflow|transform|white-space|line-height|enable-background|paint-order"
)
RULE = re.compile(r"\s*+[-\w.#*]++(?:\s*+,\s*+[-\w.#*]++)*+\s*+\{([^{}]*+)\}\s*+")
"""A rule of a style sheet whose selectors are simple."""
COSTLY = frozenset({"opacity", "stroke-dasharray", "stroke-width", "font-size"})
"""Properties that a style sheet may not give: of whom they are is not looked for."""
LISTS = ("x", "y", "dx", "dy", "rotate")
REFERENCE = re.compile(r"""url\(\s*+['"]?+#([^()'"\s]*+)\s*+['"]?+\s*+\)""")
COMMENT = re.compile(r"/\*.*?(\*/|\Z)", re.DOTALL)
MAX_NAMESPACE = 200
"""Characters: expat copies a namespace's address for each name in it."""


class _SlowError(Exception):
    """That is enough: it is slow."""


@dataclass
class _Element:
    name: str
    effort: float = 1.0
    children: "list[_Element]" = field(default_factory=list)
    references: list[str] = field(default_factory=list)
    total: float | None = None
    """Effort with all that is drawn with it, once that is known."""
    is_open: bool = False
    """While its total is being computed: a reference that leads here again is a cycle."""


def judge(content: bytes) -> Outcome:
    """Whether an SVG is quick to draw, or slow."""
    if len(content) > MAX_SVG_BYTES:
        return Outcome.EXPENSIVE
    try:
        root, named = _Reading().read(content)
        return Outcome.CHEAP if _total(root, named, 0) <= MOST_EFFORT else Outcome.EXPENSIVE
    except (_SlowError, expat.ExpatError, ValueError):
        return Outcome.EXPENSIVE


def _total(element: _Element, named: dict[str, _Element], depth: int) -> float:
    if element.total is not None:
        return element.total
    if element.is_open or depth > DEEPEST:
        raise _SlowError
    element.is_open = True
    if not named.keys() >= set(element.references):
        # What is nowhere by this name may be somewhere by another way to write it.
        raise _SlowError
    referred = [named[name] for name in element.references]
    element.total = element.effort + sum(_total(other, named, depth + 1) for other in (*element.children, *referred))
    return element.total


class _Reading:
    """One SVG as it is parsed."""

    def __init__(self) -> None:
        self._root = _Element("")
        self._stack = [self._root]
        self._named: dict[str, _Element] = {}
        self._count = 0
        self._style: list[str] = []
        self._canvas = 0.0

    def read(self, content: bytes) -> tuple[_Element, dict[str, _Element]]:
        """The elements, and those that have names.

        Raises:
            _SlowError: there is something of which it is not known what it costs.
            ExpatError: it is not XML.
        """
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        # Entities multiply; a style sheet may be anywhere.
        parser.EntityDeclHandler = _refuse
        parser.StartNamespaceDeclHandler = _check_namespace
        parser.ProcessingInstructionHandler = _refuse
        parser.Parse(content, True)
        return self._root, self._named

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > MOST_EFFORT or len(self._stack) > DEEPEST:
            raise _SlowError
        own = name.removeprefix(NAMESPACE) if name.startswith(NAMESPACE) else ""
        if own not in KNOWN and not name.startswith(HARMLESS):
            raise _SlowError
        if (self._count == 1) is not (own == "svg"):
            raise _SlowError
        if own == "svg":
            self._canvas = canvas_of(attributes)
        element = _Element(own)
        self._stack[-1].children.append(element)
        self._stack.append(element)
        if own in KNOWN:
            self._weigh(element, attributes)

    def _end(self, _name: str) -> None:
        if self._stack.pop().name == "style":
            self._check_sheet("".join(self._style))
            self._style = []

    def _text(self, text: str) -> None:
        if self._stack[-1].name == "style":
            self._style.append(text)
        elif self._stack[-1].name in ("text", "tspan"):
            self._stack[-1].effort += len(text.strip()) / GLYPHS_PER_ELEMENT

    def _weigh(self, element: _Element, attributes: dict[str, str]) -> None:
        if not UNKNOWN_ATTRIBUTES.isdisjoint(attributes):
            raise _SlowError
        if "id" in attributes and self._named.setdefault(attributes["id"], element) is not element:
            # Which of two is meant, each browser decides.
            raise _SlowError
        given = {**attributes, **_properties(attributes.get("style", ""))}
        for name, value in given.items():
            self._refer(element, name, value)
        element.effort += effort_of_outline(given, self._canvas)
        if element.name not in SHAPES and is_thick(given, self._canvas):
            # Those within it have it, too.
            raise _SlowError
        if element.name in ("text", "tspan"):
            element.effort += sum(len(given.get(name, "")) for name in LISTS) / GLYPHS_PER_ELEMENT
        if enlarges(given.get("transform", "")):
            raise _SlowError
        if given.get("stroke-dasharray", "none") != "none":
            if element.name not in SHAPES:
                raise _SlowError
            element.effort += dashes_of(element.name, given) / DASHES_PER_ELEMENT
        if element.name not in SHAPES and given.get("opacity", "1") != "1":
            element.effort += LAYER_EFFORT
        if element.name == "image":
            element.effort += pixels_of(_link(attributes)) / PIXELS_PER_ELEMENT
        elif element.name == "pattern":
            self._check_pattern(attributes)
        elif element.name in ("use", "linearGradient", "radialGradient") and _link(attributes):
            self._follow(element, _link(attributes))

    def _follow(self, element: _Element, link: str) -> None:
        if not link.startswith("#") or "%" in link:
            raise _SlowError
        element.references.append(link.removeprefix("#"))

    def _refer(self, element: _Element, name: str, value: str) -> None:
        if "(" not in value or "url" not in value.lower():
            return
        if name in ("fill", "stroke"):
            if element.name not in SHAPES:
                # All those within it would be painted so.
                raise _SlowError
            element.effort += PAINTED_EFFORT
        # As scripts write it, and no other way: no space, no escape, nothing outside of this file.
        found = REFERENCE.findall(value)
        if len(found) != value.lower().count("url"):
            raise _SlowError
        for link in found:
            self._follow(element, f"#{link}")

    def _check_pattern(self, attributes: dict[str, str]) -> None:
        if _link(attributes) or any(outer.name == "pattern" for outer in self._stack[:-1]):
            raise _SlowError
        sizes = [float(attributes.get(side, "0")) for side in ("width", "height")]
        if attributes.get("patternUnits") != "userSpaceOnUse" or not all(size >= SMALLEST_TILE for size in sizes):
            raise _SlowError

    def _check_sheet(self, sheet: str) -> None:
        if len(sheet) > LONGEST_SHEET:
            raise _SlowError
        if not all(map(operator.itemgetter(1), COMMENT.finditer(sheet))):
            raise _SlowError
        rules, rest = leading_matches(RULE, COMMENT.sub(" ", sheet))
        for rule in rules:
            properties = _properties(rule[1])
            if not COSTLY.isdisjoint(properties) or "url" in rule[1].lower():
                raise _SlowError
        if rest.strip():
            raise _SlowError


def _properties(style: str) -> dict[str, str]:
    """The properties that a style gives, all of which are known."""
    if "\\" in style or "/*" in style or "!" in style:
        raise _SlowError
    given: dict[str, str] = {}
    for declaration in filter(str.strip, style.split(";")):
        name, _, value = declaration.partition(":")
        if given.setdefault(name.strip().lower(), value.strip()) != value.strip():
            raise _SlowError
    if not all(map(PROPERTY.fullmatch, given)):
        raise _SlowError
    return given


def _link(attributes: dict[str, str]) -> str:
    links = [attributes[name] for name in ("href", "http://www.w3.org/1999/xlink href") if name in attributes]
    if len(links) > 1:
        raise _SlowError
    return links[0] if links else ""


def _check_namespace(_prefix: str | None, address: str | None) -> None:
    if len(address or "") > MAX_NAMESPACE:
        raise _SlowError


def _refuse(*_: object) -> NoReturn:
    raise _SlowError
