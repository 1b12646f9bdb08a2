"""Elevations: maps, contours and hypsometry."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LightSource, LinearSegmentedColormap, ListedColormap, TwoSlopeNorm
from matplotlib.figure import Figure

from .charts import Colours, frame_map, grid_map, histogram, minus
from .measures import smooth
from .samples import Grid
from .style import COOL, INK, PALETTE, QUIET, entitle, new_axes

LAND, SEA = PALETTE[2], COOL
SEA_TINTS = ("#16395c", "#2f6c99", "#6fa8c7", "#b5d6e2")
LAND_TINTS = ("#5d8a66", "#9bb37c", "#ded6a3", "#c39b6d", "#8d6752", "#f1ece6")
SEA_COLOURS = LinearSegmentedColormap.from_list("sea", SEA_TINTS)
LAND_COLOURS = LinearSegmentedColormap.from_list("land", LAND_TINTS)
RELIEF_COLOURS: tuple[Colours, ...] = (LAND_COLOURS, "cividis", "copper")
HALF = np.linspace(0, 1, 128)
COAST_COLOURS = ListedColormap(np.vstack([SEA_COLOURS(HALF), LAND_COLOURS(HALF)]), "coast")


def distribution(grid: Grid, side: int) -> Figure:
    values = smooth(grid.heights, side).ravel()
    detail = "" if side == 1 else f", mean of {side} by {side} cells"
    return histogram(values, f"Elevations{detail}", "Elevation (m)", fit=False, counted="cells")


def hillshade(grid: Grid, azimuth: int, colours: Colours) -> Figure:
    figure = grid_map(grid, grid.heights, f"Hill shade, light from {azimuth}°", colours, "Elevation (m)")
    image = figure.axes[0].images[0]
    light = LightSource(azdeg=azimuth, altdeg=45)
    shaded = light.shade(grid.heights, image.get_cmap(), blend_mode="soft", vert_exag=2, dx=grid.dx, dy=grid.dy)
    figure.axes[0].imshow(shaded, extent=grid.extent)
    return figure


def contours(grid: Grid, interval: int) -> Figure:
    """Tinted by elevation, every second line bold and labelled."""
    heights = smooth(grid.heights, 9)[::-1]
    levels = np.arange(heights.min() // interval, heights.max() // interval + 2) * interval
    figure, axes = new_axes(7.8, 6.8)
    tints = axes.contourf(heights, levels, cmap=LAND_COLOURS, alpha=0.8, extent=grid.extent)
    axes.contour(heights, levels, colors=INK, linewidths=0.4, alpha=0.7, extent=grid.extent)
    bold = axes.contour(heights, levels[levels % (2 * interval) == 0], colors=INK, linewidths=0.9, extent=grid.extent)
    axes.clabel(bold, fontsize=7)
    axes.set(aspect="equal", xlim=grid.extent[:2], ylim=grid.extent[2:])
    frame_map(axes)
    entitle(axes, f"Contours every {interval} m", grid.place)
    figure.colorbar(tints, ax=axes, shrink=0.85, label="Elevation (m)").outline.set_visible(False)
    return figure


def coast(grid: Grid, azimuth: int) -> Figure:
    norm = TwoSlopeNorm(0, vmin=-500, vmax=2200)
    title = "Land and sea floor"
    figure = grid_map(grid, grid.heights, title, COAST_COLOURS, "Elevation (m)", norm=norm)
    axes = figure.axes[0]
    light = LightSource(azdeg=azimuth, altdeg=45)
    colours = axes.images[0].cmap(norm(grid.heights))[..., :3]
    shaded = light.shade_rgb(colours, grid.heights, blend_mode="soft", vert_exag=12, dx=grid.dx, dy=grid.dy)
    axes.imshow(shaded, extent=grid.extent, interpolation="bilinear")
    return figure


def hypsometry(grid: Grid, side: int) -> Figure:
    """The share of the area that lies above each elevation."""
    heights = np.sort(smooth(grid.heights, side).ravel())[::-1]
    share = 100 * np.arange(1, heights.size + 1) / heights.size
    figure, axes = new_axes()
    axes.fill_between(share, heights, 0, where=heights > 0, color=LAND, alpha=0.25, lw=0)
    if heights[-1] < 0:
        axes.fill_between(share, heights, 0, where=heights <= 0, color=SEA, alpha=0.25, lw=0)
        axes.axhline(0, color=QUIET, lw=0.8)
    else:
        axes.set_ylim(bottom=0)
    axes.plot(share, heights, color=INK, lw=1.8)
    mark(axes, float(np.median(heights)))
    axes.set(xlabel="Share of the area above (%)", ylabel="Elevation (m)", xlim=(0, 100))
    detail = "" if side == 1 else f", mean of {side} by {side} cells"
    entitle(axes, "Hypsometric curve", grid.place + detail)
    return figure


def mark(axes: Axes, median: float) -> None:
    axes.plot(50, median, "o", ms=8, color=PALETTE[1], mec="white")
    axes.annotate(minus(f"median {median:.0f} m"), (50, median), (10, 10), textcoords="offset points")
