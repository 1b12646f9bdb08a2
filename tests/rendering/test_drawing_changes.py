"""What two figures of matplotlib draw differently, whatever their style."""

import json
import os
from collections.abc import Iterator, Sequence

import pytest

from plotindex.rendering.comparison import DrawingChanges
from plotindex.rendering.protocol import Outcome
from plotindex.rendering.renderer_client import RendererClient

SAME = DrawingChanges(True, False, ())
UNKNOWN = DrawingChanges(False, False, ())
CURVE = ((0, 0), (2, 4), (4, 1))


@pytest.fixture(scope="module")
def renderer() -> Iterator[RendererClient]:
    client = RendererClient()
    yield client
    client.close()


def changes(renderer: RendererClient, before: str, after: str) -> DrawingChanges | Outcome:
    first, second = os.memfd_create("before"), os.memfd_create("after")
    try:
        os.write(first, before.encode())
        os.write(second, after.encode())
        return renderer.compare_drawings(first, second)
    finally:
        os.close(first)
        os.close(second)


def figure(
    *curves: Sequence[tuple[float, float]],
    box: tuple[float, float, float, float] = (20, 10, 200, 100),
    top: float = 5,
    labels: Sequence[str] = ("0", "1", "2", "3", "4"),
    text: str = "0.93",
    more: str = "",
    style: str = "stroke: red",
) -> str:
    """A figure as matplotlib writes it: both axes begin at 0, and the upper one ends at `top`."""
    left, up, width, height = box

    def placed(x: float, y: float) -> str:
        return f"{left + width * x / 5} {up + height - height * y / top}"

    ticks = "".join(
        f'<g id="{axis}tick_{number}"><g id="line2d_{number}"><defs><path id="m" d="M 0 0 L 0 3.5"/></defs><g>'
        f'<use href="#m" x="{left + width * number / 5 if axis == "x" else left}" '
        f'y="{up + height if axis == "x" else up + height - height * number / top}"/></g></g>'
        f'<g id="text_{number}"><!-- {label} --><g><use href="#glyph" x="7"/></g></g></g>'
        for axis in "xy"
        for number, label in enumerate(labels)
    )
    lines = "".join(
        f'<g id="line2d_9{number}"><path d="M {" L ".join(placed(x, y) for x, y in curve)}" style="{style}"/></g>'
        for number, curve in enumerate(curves)
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg"><g id="figure_1"><g id="axes_1"><g id="patch_2">'
        f'<path d="M {left} {up + height} L {left + width} {up + height} L {left + width} {up} L {left} {up} z"/></g>'
        f'<g id="matplotlib.axis_1">{ticks}</g>{lines}{more}<g id="text_5"><!-- {text} --></g></g></g></svg>'
    )


def bar(height: float) -> str:
    return f'<g id="patch_7"><path d="M 40 110 L 60 110 L 60 {110 - 20 * height} L 40 {110 - 20 * height} z"/></g>'


def test_another_style_another_size_and_another_place_draw_the_same(renderer: RendererClient) -> None:
    before = figure(CURVE)
    assert changes(renderer, before, figure(CURVE, style="stroke: blue; stroke-width: 3")) == SAME
    assert changes(renderer, before, figure(CURVE, box=(5, 4, 260, 77))) == SAME


def test_fewer_ticks_on_the_same_axis_draw_the_same(renderer: RendererClient) -> None:
    assert changes(renderer, figure(CURVE), figure(CURVE, labels=("0", "1", "2", "3"))) == SAME


def test_a_point_on_the_line_draws_the_same(renderer: RendererClient) -> None:
    assert changes(renderer, figure(CURVE), figure(((0, 0), (1, 2), *CURVE[1:]))) == SAME


def test_a_curve_that_moved_is_told_in_units_of_its_data(renderer: RendererClient) -> None:
    found = changes(renderer, figure(CURVE, CURVE), figure(CURVE, ((0, 0), (2, 4.05), (4, 1))))
    assert found == DrawingChanges(True, True, ("curve 2: 4 → 4.05 at 2",))


def test_a_point_more_differs(renderer: RendererClient) -> None:
    found = changes(renderer, figure(CURVE), figure((*CURVE, (5, 5))))
    assert found == DrawingChanges(True, True, ())


def test_a_curve_more_and_other_limits_are_told(renderer: RendererClient) -> None:
    found = changes(renderer, figure(CURVE), figure(CURVE, CURVE, top=6))
    assert found == DrawingChanges(True, True, ("y axis: 0 to 5 → 0 to 6", "curves: 1 → 2"))


def test_a_bar_that_grew_is_told(renderer: RendererClient) -> None:
    assert changes(renderer, figure(more=bar(2)), figure(more=bar(2))) == SAME
    found = changes(renderer, figure(more=bar(2)), figure(more=bar(2.5)))
    assert found == DrawingChanges(True, True, ("bar 1: 2 → 2.5",))


def test_a_number_in_the_axes_that_changed_is_told(renderer: RendererClient) -> None:
    found = changes(renderer, figure(CURVE), figure(CURVE, text="0.94"))
    assert found == DrawingChanges(True, True, ("0.93 → 0.94",))


def test_a_text_in_letters_differs_and_is_left_to_the_facts(renderer: RendererClient) -> None:
    found = changes(renderer, figure(CURVE, text="RMSE 1"), figure(CURVE, text="RMSE 2"))
    assert found == DrawingChanges(True, True, ())


def test_points_are_where_their_marker_is_used(renderer: RendererClient) -> None:
    points = [
        '<g id="PathCollection_1"><defs><path id="c" d="M 0 {0} C 1 {0} 2 3 3 2 z"/></defs><g>'
        '<use href="#c" x="50" y="50"/><use href="#c" x="{1}" y="60"/></g></g>'
    ] * 3
    before, larger, moved = (
        figure(more=each.format(*given)) for each, given in zip(points, [(3, 70), (9, 70), (3, 74)], strict=True)
    )
    assert changes(renderer, before, larger) == SAME
    assert changes(renderer, before, moved) == DrawingChanges(True, True, ())


def test_categories_and_numbers_with_a_factor_are_no_units(renderer: RendererClient) -> None:
    moved = ((0, 0), (2, 4.05), (4, 1))
    for labels in (("a", "b", "c", "d", "e"), ("0", "1", "2", "3", "4 %"), ("0", "1", "4", "9", "16"), ("0", "1")):
        found = changes(renderer, figure(CURVE, labels=labels), figure(moved, labels=labels))
        assert found == DrawingChanges(True, True, ()), labels


@pytest.mark.parametrize(
    "after",
    [
        "",
        "<svg",
        '<svg xmlns="http://www.w3.org/2000/svg"><path d="M 0 0"/></svg>',
        figure(CURVE, labels=("0", "1")),
        figure(CURVE).replace("100.0 30.0", "100.0 9e999"),
    ],
    ids=["empty", "damaged", "of another program", "without units", "infinite"],
)
def test_what_is_not_sure_is_unknown(renderer: RendererClient, after: str) -> None:
    assert changes(renderer, figure(CURVE), after) == UNKNOWN


def test_changes_are_read_as_they_were_written() -> None:
    whole = DrawingChanges(True, True, ("0.1 → 0.2", "ä"))
    assert DrawingChanges.parse(whole.to_bytes()) == whole


@pytest.mark.parametrize(
    "values",
    [
        [],
        [1, True, []],
        [True, None, []],
        [True, True, "word"],
        [True, True, [""]],
        [True, True, ["a\nb"]],
        [True, True, ["\u202e"]],
        [True, True, ["x" * 201]],
        [True, True, ["x"] * 21],
        [True, False, ["x"]],
    ],
)
def test_anything_else_is_refused(values: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        DrawingChanges.parse(json.dumps(values).encode())
