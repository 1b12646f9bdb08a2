"""Compare what two figures of matplotlib draw, whatever their style."""

import io
from collections.abc import Iterator
from itertools import groupby, pairwise

from plotindex.rendering.comparing.axis_scale import scale_of
from plotindex.rendering.comparing.figure_svg import DrawnAxes, FigureReader, Point, Shape, read_figure
from plotindex.rendering.comparison import UNKNOWN_DRAWING, DrawingChanges, bounded_words

TOLERANCE = 0.001
"""How far a vertex may move, as a share of the axis."""
MAX_CROSSED = 1_000_000
"""Pairs of vertices that are compared where two curves have different numbers of these."""
NAMES = {"line2d": "curve", "patch": "shape"}
POINTS = "PathCollection"


class _UnsureError(Exception):
    """It cannot be told whether they draw the same."""


def compare_figures(before: io.BufferedIOBase, after: io.BufferedIOBase) -> DrawingChanges:
    """What two SVGs draw differently."""
    first, second = read_figure(before), read_figure(after)
    if first is None or second is None:
        return UNKNOWN_DRAWING
    try:
        words = list(_changes(first, second))
    except _UnsureError:
        return UNKNOWN_DRAWING
    return DrawingChanges(True, bool(words), bounded_words(word for word in words if word))


def _changes(before: FigureReader, after: FigureReader) -> Iterator[str]:
    """What differs, in words, or without any where these are not sure."""
    yield from _texts(before.texts, after.texts)
    if len(before.axes) != len(after.axes):
        yield f"axes: {len(before.axes)} → {len(after.axes)}"
        return
    for number, (one, other) in enumerate(zip(before.axes, after.axes, strict=True), 1):
        place = f"axes {number}, " if len(before.axes) > 1 else ""
        for word in _changes_of_axes(one, other):
            yield word and place + word


def _changes_of_axes(before: DrawnAxes, after: DrawnAxes) -> Iterator[str]:
    yield from _texts(before.texts, after.texts)
    has_other_limits = False
    for axis in ("x", "y"):
        for word in _limits(before, after, axis):
            has_other_limits = True
            yield word
    counts = [{kind: len(list(group)) for kind, group in groupby(sorted(_kinds(one)))} for one in (before, after)]
    for kind in dict.fromkeys([*_kinds(before), *_kinds(after)]):
        one, other = (count.get(kind, 0) for count in counts)
        if one != other:
            yield f"{NAMES[kind]}s: {one} → {other}" if kind in NAMES else ""
        elif not has_other_limits:
            yield from _shapes(kind, before, after)


def _texts(before: list[str], after: list[str]) -> Iterator[str]:
    """Texts in letters are among the facts of a plot; here are numbers alone."""
    if before == after:
        return
    if len(before) != len(after):
        yield ""
        return
    for one, other in zip(before, after, strict=True):
        if one != other:
            is_number = not any(letter.isalpha() for letter in one + other)
            yield f"{one} → {other}" if is_number else ""


def _limits(before: DrawnAxes, after: DrawnAxes, axis: str) -> Iterator[str]:
    scales = scale_of(before, axis), scale_of(after, axis)
    one, other = scales
    if one is None or other is None:
        if one is not other:
            raise _UnsureError
        if _has_other_ticks(before, after, axis):
            yield ""
        return
    moved = max(abs(one.start - other.start), abs(one.start + one.length - other.start - other.length))
    if one.is_log != other.is_log:
        yield f"{axis} axis: {'logarithmic → linear' if one.is_log else 'linear → logarithmic'}"
    elif moved > TOLERANCE * max(abs(one.length), abs(other.length)):
        limits = [f"{_shown(scale.value(0.0))} to {_shown(scale.value(1.0))}" for scale in (one, other)]
        yield f"{axis} axis: {limits[0]} → {limits[1]}"


def _has_other_ticks(before: DrawnAxes, after: DrawnAxes, axis: str) -> bool:
    one, other = (
        {(tick.label, axes.share(axis, tick.position)) for tick in axes.ticks[axis]} for axes in (before, after)
    )
    labels = [{label for label, _ in ticks} for ticks in (one, other)]
    if labels[0] == labels[1]:
        return _has_moved([(share, 0.0) for _, share in sorted(one)], [(share, 0.0) for _, share in sorted(other)])
    if labels[0] < labels[1] or labels[1] < labels[0]:
        # A larger font leaves ticks out.
        raise _UnsureError
    return True


def _shapes(kind: str, before: DrawnAxes, after: DrawnAxes) -> Iterator[str]:
    pairs = zip(_of_kind(kind, before), _of_kind(kind, after), strict=True)
    for number, (one, other) in enumerate(pairs, 1):
        if one.image != other.image:
            raise _UnsureError
        if _has_moved(one.points, other.points):
            yield _word(kind, number, one.points, other.points, after)


def _word(kind: str, number: int, before: list[Point], after: list[Point], axes: DrawnAxes) -> str:
    if kind == POINTS and len(before) != len(after):
        return f"points: {len(before)} → {len(after)}"
    scale = scale_of(axes, "y")
    if scale is None or len(before) != len(after) or kind not in NAMES:
        return ""
    if kind == "patch":
        tops = [scale.value(max(y for _, y in points)) for points in (before, after)]
        sides = [[(round(x, 3), round(min(y for _, y in points), 3)) for x, _ in points] for points in (before, after)]
        is_bar = len(before) in (4, 5) and sides[0] == sides[1] and tops[0] != tops[1]
        return f"bar {number}: {_shown(tops[0])} → {_shown(tops[1])}" if is_bar else ""
    one, other = max(zip(before, after, strict=True), key=lambda pair: abs(pair[0][1] - pair[1][1]))
    if abs(one[1] - other[1]) <= TOLERANCE:
        return ""
    where = scale_of(axes, "x")
    at = f" at {_shown(where.value(other[0]))}" if where and one[0] == other[0] else ""
    return f"{NAMES[kind]} {number}: {_shown(scale.value(one[1]))} → {_shown(scale.value(other[1]))}{at}"


def _has_moved(before: list[Point], after: list[Point]) -> bool:
    if len(before) == len(after):
        pairs = zip(before, after, strict=True)
        return any(abs(x - u) > TOLERANCE or abs(y - v) > TOLERANCE for (x, y), (u, v) in pairs)
    if len(before) * len(after) > MAX_CROSSED:
        raise _UnsureError
    return not (_lies_on(before, after) and _lies_on(after, before))


def _lies_on(points: list[Point], line: list[Point]) -> bool:
    """Whether each point lies on a line through the others."""
    segments = list(pairwise(line)) or [(point, point) for point in line]
    return all(any(_is_near(point, *segment) for segment in segments) for point in points)


def _is_near(point: Point, start: Point, end: Point) -> bool:
    across, up = end[0] - start[0], end[1] - start[1]
    square = across * across + up * up
    share = ((point[0] - start[0]) * across + (point[1] - start[1]) * up) / square if square else 0.0
    share = min(1.0, max(0.0, share))
    off = point[0] - start[0] - share * across, point[1] - start[1] - share * up
    return max(abs(off[0]), abs(off[1])) <= TOLERANCE


def _kinds(axes: DrawnAxes) -> list[str]:
    return [shape.kind for shape in axes.shapes]


def _of_kind(kind: str, axes: DrawnAxes) -> list[Shape]:
    return [shape for shape in axes.shapes if shape.kind == kind]


def _shown(value: float) -> str:
    return f"{value:.4g}".replace("-", "\N{MINUS SIGN}") if value else "0"
