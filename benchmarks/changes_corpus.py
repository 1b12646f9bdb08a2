"""Pairs of plots for `benchmarks.changes`: each drawn twice, with another style or with other data."""

import math
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.rcsetup import cycler

SIZE = (8.0, 5.0)
DPI = 110
"""880 x 550 pixels."""
POINTS = 60
STYLES: dict[str, dict[str, Any]] = {
    "font +1": {"font.size": 11},
    "font -1": {"font.size": 9},
    "serif": {"font.family": "serif"},
    "bold title": {"axes.titleweight": "bold"},
    "line width": {"lines.linewidth": 2.2, "patch.linewidth": 2.2},
    "grid": {"axes.grid": True},
    "colours": {"axes.prop_cycle": cycler(color=["#a33", "#393", "#33a"])},
    "legend": {"legend.loc": "lower right"},
}
"""What changes how a plot looks, and nothing that it says."""
SAVING: dict[str, dict[str, Any]] = {"dpi 101": {"dpi": 101}, "tight": {"bbox_inches": "tight"}}
CHANGES = ("curve 1 %", "bar 2 %", "digit", "one point", "curve 3 %", "series missing", "axis limit")


class Drawing(NamedTuple):
    """A plot and how it is drawn. Without style and change it is the first of a pair."""

    kind: str
    seed: int
    style: str = ""
    change: str = ""

    @property
    def name(self) -> str:
        words = f"{self.kind}-{self.seed}-{self.style}-{self.change}"
        return "".join(letter if letter.isalnum() or letter == "-" else "_" for letter in words)


def save(drawing: Drawing, folder: Path) -> None:
    """Draw it as PNG and as SVG."""
    settings: Any = {"figure.figsize": SIZE, "svg.hashsalt": "x", **STYLES.get(drawing.style, {})}
    with mpl.rc_context(settings):
        figure = Figure()
        _KINDS[drawing.kind](figure.add_subplot(), random.Random(drawing.seed), drawing.change)
        for suffix in (".png", ".svg"):
            figure.savefig(folder / f"{drawing.name}{suffix}", **{"dpi": DPI, **SAVING.get(drawing.style, {})})


def restyled_pairs(count: int) -> Iterator[tuple[Drawing, Drawing]]:
    """So many pairs of each style."""
    kinds = list(_KINDS)
    for index in range(count):
        kind = kinds[index % len(kinds)]
        yield from ((Drawing(kind, index), Drawing(kind, index, style=style)) for style in (*STYLES, *SAVING))


def changed_pairs(count: int) -> Iterator[tuple[Drawing, Drawing]]:
    """So many pairs of each change, of the kinds of plots that have what changes."""
    for index in range(count):
        for change in CHANGES:
            able = [kind for kind in _KINDS if change in _CHANGES[kind]]
            kind = able[index % len(able)]
            yield Drawing(kind, index), Drawing(kind, index, change=change)


def _label(axes: Axes, seed: random.Random, change: str, title: str) -> None:
    error = seed.uniform(0.1, 0.8)
    shown = f"RMSE {error + 0.07 * (change == 'digit'):.2f}"
    axes.set_title(title)
    axes.set_xlabel("time [h]")
    axes.set_ylabel("value")
    axes.text(0.03, 0.93, shown, transform=axes.transAxes)


def _lines(axes: Axes, seed: random.Random, change: str) -> None:
    x = [0.2 * number for number in range(POINTS)]
    curves = [[math.sin(value + phase) for value in x] for phase in (seed.random(), 2 + seed.random(), 4.0)]
    moved = {"curve 1 %": 0.01, "curve 3 %": 0.03}.get(change, 0.0) * 3
    curves[0] = [value + moved * (10 < number < 50) for number, value in enumerate(curves[0])]
    for number, curve in enumerate(curves[: 2 if change == "series missing" else 3]):
        axes.plot(x, curve, label=f"series {number}")
    axes.set_ylim(-1.5, 1.5 + 0.3 * (change == "axis limit"))
    axes.legend()
    _label(axes, seed, change, f"Three curves {seed.random():.3f}")


def _log(axes: Axes, seed: random.Random, change: str) -> None:
    moved = {"curve 1 %": 0.01, "curve 3 %": 0.03}.get(change, 0.0) * 4
    rate = seed.uniform(0.5, 0.9)
    axes.plot(
        range(1, POINTS), [10 ** (3 - 3 * rate * n / POINTS + moved * (n > 20)) for n in range(1, POINTS)], label="loss"
    )
    axes.set_yscale("log")
    axes.set_ylim(0.5, 5000 * (2 if change == "axis limit" else 1))
    axes.legend()
    _label(axes, seed, change, f"Training {seed.random():.3f}")


def _bars(axes: Axes, seed: random.Random, change: str) -> None:
    heights = [seed.uniform(20, 80) for _ in range(8)]
    heights[3] += 2.0 * (change == "bar 2 %")
    axes.bar([f"site {number}" for number in range(8)], heights, label="sites")
    axes.set_ylim(0, 100 + 20 * (change == "axis limit"))
    axes.legend()
    _label(axes, seed, change, f"Sites {seed.random():.3f}")


def _scatter(axes: Axes, seed: random.Random, change: str) -> None:
    points = [(seed.gauss(0, 1), seed.gauss(0, 1)) for _ in range(80)]
    points += [(2.5, 2.5)] * (change == "one point")
    across, up = zip(*points, strict=True)
    axes.scatter(across, up, s=20, label="samples")
    axes.set_xlim(-4, 4)
    axes.set_ylim(-4, 4 + (change == "axis limit"))
    axes.legend()
    _label(axes, seed, change, f"Samples {seed.random():.3f}")


def _histogram(axes: Axes, seed: random.Random, change: str) -> None:
    counts = [round(200 * math.exp(-(((number - 12) / 5) ** 2)) + seed.uniform(0, 20)) for number in range(25)]
    counts[8] += 5 * (change == "bar 2 %")
    axes.stairs(counts, range(26), fill=True, label="counts")
    axes.set_ylim(0, 250)
    axes.legend()
    _label(axes, seed, change, f"Counts {seed.random():.3f}")


def _marked(axes: Axes, seed: random.Random, change: str) -> None:
    x = list(range(20))
    y = [seed.uniform(0, 10) + 10 * number for number in x]
    moved = {"curve 1 %": 2.2, "curve 3 %": 6.6}.get(change, 0.0)
    axes.plot(x, [value + moved * (5 < n < 15) for n, value in enumerate(y)], "o-", label="measured")
    if change != "series missing":
        axes.step(x, [150 - 5 * n for n in x], label="planned")
    if change == "one point":
        axes.plot([17], [30], "s", label="_outlier", color="black")
    axes.fill_between(x, [value - 20 for value in y], [value - 10 for value in y], alpha=0.3)
    axes.set_ylim(-20, 200 + 20 * (change == "axis limit"))
    axes.legend()
    _label(axes, seed, change, f"Measured {seed.random():.3f}")


_KINDS: dict[str, Callable[[Axes, random.Random, str], None]] = {
    "lines": _lines,
    "log": _log,
    "bars": _bars,
    "scatter": _scatter,
    "histogram": _histogram,
    "marked": _marked,
}
_CURVES = {"curve 1 %", "curve 3 %", "digit", "axis limit"}
_CHANGES = {
    "lines": {*_CURVES, "series missing"},
    "log": _CURVES,
    "bars": {"bar 2 %", "digit", "axis limit"},
    "scatter": {"one point", "digit", "axis limit"},
    "histogram": {"bar 2 %", "digit"},
    "marked": {*_CURVES, "one point", "series missing"},
}
"""Kind of plot -> what can change in it."""
