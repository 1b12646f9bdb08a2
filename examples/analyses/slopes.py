"""Slope, aspect and other attributes of the terrain."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from .charts import grid_map, heat_map, histogram
from .measures import correlation, smooth
from .samples import Array, Grid
from .style import COOL, INK, entitle, new_figure


def gradient(grid: Grid, side: int) -> tuple[Array, Array]:
    """The rise to the east and to the north, in metres per metre."""
    down, east = np.gradient(smooth(grid.heights, side), grid.dy, grid.dx)
    return np.asarray(east), np.asarray(-down)


def steepness(grid: Grid, side: int) -> Array:
    east, north = gradient(grid, side)
    return np.asarray(np.degrees(np.arctan(np.hypot(east, north))))


def correlations(grid: Grid, side: int, colours: str) -> Figure:
    heights = smooth(grid.heights, side)
    east, north = gradient(grid, side)
    steep = np.hypot(east, north) + 1e-9
    # How far a cell stands above its wider surroundings, and how its slope bends.
    position, bend = heights - smooth(heights, 15), heights - smooth(heights, 3)
    attributes = {
        "Elevation": heights,
        "Slope": steepness(grid, side),
        "Faces east": -east / steep,
        "Faces north": -north / steep,
        "Curvature": bend,
        "Position": position,
        "Roughness": np.sqrt(smooth(position**2, 9)),
    }
    matrix = correlation(np.array([values.ravel() for values in attributes.values()]))
    detail = "every cell" if side == 1 else f"mean of {side} by {side} cells"
    title = "Correlation of terrain attributes"
    return heat_map(matrix, list(attributes), title, f"{grid.place}, {detail}", colours)


def distribution(grid: Grid, side: int) -> Figure:
    title = f"Slopes, mean of {side} by {side} cells"
    return histogram(steepness(grid, side).ravel(), title, "Slope (degrees)", fit=False, counted="cells")


def slope_map(grid: Grid, side: int, colours: str) -> Figure:
    title = f"Slope, mean of {side} by {side} cells"
    return grid_map(grid, steepness(grid, side), title, colours, "Slope (degrees)", vmin=0, vmax=35)


def aspect_rose(grid: Grid, steeper: float) -> Figure:
    """The directions that slopes face."""
    east, north = gradient(grid, 3)
    facing = np.degrees(np.arctan2(-east, -north)) % 360
    facing = facing[steepness(grid, 3) > steeper]
    sectors = 36
    counts, _ = np.histogram((facing + 180 / sectors) % 360, bins=sectors, range=(0, 360))
    figure = new_figure(6.6, 6.6)
    axes = figure.add_subplot(projection="polar")
    axes.set_theta_zero_location("N")  # type: ignore[attr-defined]
    axes.set_theta_direction(-1)  # type: ignore[attr-defined]
    angles = np.radians(np.arange(sectors) * 360 / sectors)
    share = 100 * counts / counts.sum()
    axes.bar(angles, share, width=2 * np.pi / sectors, color=COOL, alpha=0.55, edgecolor="white", lw=0.8)
    axes.set_axisbelow(False)
    axes.set_xticks(np.radians(np.arange(0, 360, 45)), ["N", "NE", "E", "SE", "S", "SW", "W", "NW"])
    axes.set_rlabel_position(112)  # type: ignore[attr-defined]
    axes.yaxis.set_major_formatter("{x:g}%")
    axes.spines["polar"].set_visible(False)
    axes.tick_params(axis="y", labelsize=8, labelcolor=INK)
    axes.yaxis.set_major_locator(MaxNLocator(3, prune="lower"))
    entitle(axes, "Which way the slopes face", f"Share of the cells steeper than {steeper:g}°", lift=26)
    return figure
