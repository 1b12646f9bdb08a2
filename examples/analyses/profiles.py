"""Profiles across the terrain from west to east."""

import numpy as np
from matplotlib.figure import Figure
from numpy.lib.stride_tricks import sliding_window_view

from .charts import heat_map, histogram
from .measures import correlation, smooth
from .samples import Array, Grid
from .style import INK, PALE, QUIET, WARM, entitle, new_axes

NEAR = "#a9c8da"


def rows(grid: Grid, count: int) -> Array:
    """Indices of rows at even distances, from the north to the south."""
    return np.linspace(0, len(grid.heights) - 1, count)


def north(grid: Grid, row: float) -> float:
    """The distance of a row from the south edge, in kilometres."""
    return (len(grid.heights) - 1 - row) * grid.dy / 1000


def correlations(grid: Grid, count: int, colours: str) -> Figure:
    chosen = rows(grid, count).astype(int)
    labels = [f"{north(grid, row):.0f} km" for row in chosen]
    subtitle = f"{grid.place}, by distance from the south edge"
    matrix = correlation(grid.heights[chosen])
    return heat_map(matrix, labels, "Correlation of elevation profiles", subtitle, colours)


def distribution(grid: Grid, side: int) -> Figure:
    """Local relief: the highest minus the lowest cell of a square."""
    squares = sliding_window_view(grid.heights, (side, side))[::3, ::3]
    relief = squares.max(axis=(-2, -1)) - squares.min(axis=(-2, -1))
    title = f"Local relief within {side} by {side} cells"
    what = "Highest minus lowest elevation (m)"
    return histogram(relief.ravel(), title, what, fit=False, counted="squares")


def ridge_lines(grid: Grid, count: int) -> Figure:
    """One profile behind the other, the southernmost in front."""
    figure, axes = new_axes(8.0, 6.6)
    east = np.arange(grid.heights.shape[1]) * grid.dx / 1000
    heights = smooth(grid.heights, 3)
    low = heights.min()
    for order, row in enumerate(rows(grid, count)):
        at = north(grid, row)
        line = at + (heights[int(row)] - low) / 160
        axes.fill_between(east, at - 1, line, color="white", lw=0, zorder=order + 2)
        axes.plot(east, line, color=INK, lw=0.9, zorder=order + 2.5)
    axes.grid(visible=False)
    axes.set(xlabel="Distance east (km)", ylabel="Distance north (km)", xlim=(0, east[-1]), ylim=(-0.3, None))
    entitle(axes, "Ridge lines", f"{grid.place}; {count} profiles, 160 m of height drawn as 1 km")
    return figure


def profile(grid: Grid, south: float) -> Figure:
    row = round(len(grid.heights) - 1 - south * 1000 / grid.dy)
    line = grid.heights[max(0, row)]
    reach = round(1000 / grid.dy)
    nearby = grid.heights[max(0, row - reach) : row + reach + 1]
    east = np.arange(line.size) * grid.dx / 1000
    floor = float(np.floor(grid.heights.min() / 50) * 50)
    figure, axes = new_axes(8.6, 4.4)
    axes.fill_between(east, floor, nearby.max(axis=0), color=PALE, lw=0)
    axes.fill_between(east, floor, line, color=NEAR, lw=0)
    axes.plot(east, line, color=INK, lw=1.4)
    peak = int(line.argmax())
    axes.plot(east[peak], line[peak], "o", color=WARM, ms=7, mec="white")
    top = (east[peak], nearby[:, peak].max())
    axes.annotate(f"{line[peak]:.0f} m", top, (0, 7), textcoords="offset points", ha="center")
    axes.axhline(line.mean(), color=QUIET, lw=0.9, ls=(0, (4, 3)))
    axes.set(xlabel="Distance east (km)", ylabel="Elevation (m)", xlim=(0, east[-1]), ylim=(floor, 1150))
    subtitle = "Behind it, the highest ground within a kilometre; the dashes mark the mean"
    entitle(axes, f"Elevation profile, {south:g} km north of the south edge", subtitle)
    return figure
