"""Charts that several analyses draw."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.figure import Figure

from .measures import moments
from .samples import Array, Dates, Grid
from .style import COOL, INK, QUIET, WARM, entitle, new_axes, place_legend

Colours = str | Colormap


def heat_map(matrix: Array, labels: Sequence[str], title: str, subtitle: str, colours: str) -> Figure:
    """The lower triangle of a correlation matrix, each cell with its value."""
    count = len(labels)
    figure, axes = new_axes(7.6, 6.4)
    shown = np.ma.masked_where(np.triu(np.ones_like(matrix, dtype=bool), k=1), matrix)
    image = axes.imshow(shown, cmap=colours, vmin=-1, vmax=1)
    size = 10.5 if count <= 6 else 9 if count <= 8 else 8 if count <= 10 else 6.5
    for row in range(count):
        for column in range(row + 1):
            value = float(matrix[row, column])
            colour = "white" if luminance(image.get_cmap()((value + 1) / 2)) < 0.5 else INK
            axes.text(column, row, signed(value), ha="center", va="center", color=colour, fontsize=size)
    axes.set_xticks(range(count), labels, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(count), labels)
    bare(axes)
    entitle(axes, title, subtitle)
    bar = figure.colorbar(image, ax=axes, shrink=0.8, label="Pearson correlation")
    bar.set_ticks([-1, -0.5, 0, 0.5, 1])
    bar.outline.set_visible(False)
    return figure


def histogram(values: Array, title: str, what: str, *, fit: bool = True, counted: str = "") -> Figure:
    """A histogram with its moments and, if asked for, the normal density of the same moments."""
    figure, axes = new_axes(8.0, 4.8)
    mean, deviation, skewness, kurtosis = moments(values)
    _, edges, _ = axes.hist(values, bin_edges(values).tolist(), color=COOL, alpha=0.85, edgecolor="white", lw=0.5)
    if fit:
        at = np.linspace(edges[0], edges[-1], 300)
        density = np.exp(-0.5 * ((at - mean) / deviation) ** 2) / (deviation * np.sqrt(2 * np.pi))
        axes.plot(at, density * values.size * (edges[1] - edges[0]), color=WARM, lw=2, label="Normal fit")
    axes.axvline(mean, color=INK, lw=1, ls=(0, (4, 3)), label="Mean")
    axes.grid(axis="x", visible=False)
    axes.set(xlabel=what, ylabel=f"Number of {counted or 'observations'}")
    axes.legend()
    places = max(0, 1 - int(np.floor(np.log10(deviation))))
    centre = f"mean {round(mean, places) + 0.0:.{places}f}, s.d. {deviation:.{places}f}"
    shape = f"skewness {skewness:.2f}, excess kurtosis {kurtosis:.2f}"
    entitle(axes, title, minus(f"{centre}, {shape}, n = {values.size:,}"))
    return figure


def bin_edges(values: Array) -> Array:
    """Even bins; for whole numbers, each bin holds as many of them as any other."""
    count = min(60, max(18, int(values.size**0.5)))
    low, high = values.min(), values.max()
    if np.all(values == np.rint(values)):
        step = np.ceil((high - low) / count)
        return np.arange(low, high + step + 1, step) - 0.5
    return np.linspace(low, high, count + 1)


def time_lines(dates: Dates, series: Mapping[str, Array], title: str, subtitle: str, what: str) -> Figure:
    """A line for each series, its legend below."""
    figure, axes = new_axes()
    for name, values in series.items():
        axes.plot(dates, values, label=name)
    axes.set_ylabel(what)
    axes.margins(x=0.01)
    entitle(axes, title, subtitle)
    place_legend(figure, axes)
    return figure


def grid_map(grid: Grid, values: Array, title: str, colours: Colours, what: str, **norm: object) -> Figure:
    """A map with a colour bar, in kilometres."""
    _, east, _, north = grid.extent
    figure, axes = new_axes(7.8, 5.2 * north / east + 1.2)
    image = axes.imshow(values, extent=grid.extent, cmap=colours, **norm)  # type: ignore[arg-type]
    frame_map(axes)
    entitle(axes, title, grid.place)
    bar = figure.colorbar(image, ax=axes, shrink=0.85, label=what)
    bar.outline.set_visible(False)
    return figure


def frame_map(axes: Axes) -> None:
    axes.grid(visible=False)
    axes.set(xlabel="Distance east (km)", ylabel="Distance north (km)")


def bare(axes: Axes) -> None:
    """No grid, frame or tick marks: for matrices and pictures."""
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, color=QUIET)


def luminance(colour: Sequence[float]) -> float:
    red, green, blue = colour[:3]
    return 0.299 * red + 0.587 * green + 0.114 * blue


def signed(value: float) -> str:
    return minus(f"{value:.2f}") if abs(value) >= 0.005 else "0.00"


def minus(text: str) -> str:
    """The text with true minus signs."""
    return text.replace("-", "\N{MINUS SIGN}")


def name_points(axes: Axes, names: Sequence[str], x: Array, y: Array) -> None:
    """A label beside each point, on the side farthest from other points and labels."""
    at = np.column_stack([(x - x.min()) / np.ptp(x), (y - y.min()) / np.ptp(y)])
    sides = {(8, 0): (0.07, 0.0), (-8, 0): (-0.07, 0.0), (0, 9): (0.0, 0.06), (0, -9): (0.0, -0.06)}
    taken = list(at)
    for index, name in enumerate(names):
        others = np.array([*taken[:index], *taken[index + 1 :]])
        room = {side: np.abs(others - (at[index] + step)).max(axis=1).min() for side, step in sides.items()}
        right, up = max(room, key=lambda side: float(room[side]))
        taken.append(at[index] + sides[right, up])
        axes.annotate(
            name, (x[index], y[index]), (right, up), textcoords="offset points",
            ha="left" if right > 0 else "right" if right else "center",
            va="bottom" if up > 0 else "top" if up else "center",
        )  # fmt: skip
