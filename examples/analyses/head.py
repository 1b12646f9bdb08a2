"""A sagittal magnetic resonance slice of a head, as a picture and as a signal."""

import numpy as np
from matplotlib.figure import Figure

from .charts import bare, histogram, minus
from .measures import correlation, smooth
from .samples import Array, head_slice
from .style import COOL, QUIET, WARM, entitle, new_axes, place_legend


def square(values: Array, title: str, subtitle: str, colours: str, what: str, **options: object) -> Figure:
    figure, axes = new_axes(7.4, 6.4)
    image = axes.imshow(values, cmap=colours, **options)  # type: ignore[arg-type]
    bare(axes)
    axes.set(xlabel="Column (pixel)", ylabel="Row (pixel)")
    entitle(axes, title, subtitle)
    figure.colorbar(image, ax=axes, shrink=0.8, label=what).outline.set_visible(False)
    return figure


def correlations(along: str) -> Figure:
    """Every row, or column, of the picture with every other one that is not flat."""
    lines = head_slice() if along == "rows" else head_slice().T
    kept = np.flatnonzero(lines.std(axis=1) > 8)
    first, last = int(kept[0]), int(kept[-1]) + 1
    matrix = correlation(lines[first:last])
    title, what = f"Correlation of image {along}", "Pearson correlation"
    subtitle = f"{len(matrix)} {along} that cross the head"
    extent = (first, last, last, first)
    figure = square(matrix, title, subtitle, "RdBu_r", what, vmin=-1, vmax=1, extent=extent, interpolation="nearest")
    axis = along[:-1].capitalize()
    figure.axes[0].set(xlabel=f"{axis} (pixel)", ylabel=f"{axis} (pixel)")
    return figure


def distribution(least: int) -> Figure:
    values = head_slice()
    title = f"Intensities above {least}"
    return histogram(values[values > least], title, "Intensity (8-bit units)", fit=False, counted="pixels")


def picture(side: int, colours: str) -> Figure:
    detail = "Sagittal slice" if side == 1 else f"Sagittal slice, mean of {side} by {side} pixels"
    return square(smooth(head_slice(), side), "Magnetic resonance slice", detail, colours, "Intensity")


def edges(side: int, colours: str) -> Figure:
    down, right = np.gradient(smooth(head_slice(), side))
    subtitle = "Gradient of the intensity" + ("" if side == 1 else f", mean of {side} by {side} pixels")
    return square(np.hypot(down, right), "Edges", subtitle, colours, "Gradient (per pixel)")


def radial(values: Array) -> tuple[Array, Array]:
    """Mean power by spatial frequency, in cycles per pixel."""
    taper = np.outer(np.hanning(len(values)), np.hanning(len(values)))
    power = np.abs(np.fft.fft2((values - values.mean()) * taper)) ** 2
    axis = np.fft.fftfreq(len(values))
    ring = np.rint(np.hypot(axis[:, None], axis) * len(values)).astype(int)
    total = np.bincount(ring.ravel(), power.ravel()) / np.bincount(ring.ravel())
    kept = np.arange(1, len(values) // 2)
    return kept / len(values), total[kept]


def radial_spectrum(noise: int, rng: np.random.Generator) -> Figure:
    """The spectrum of the slice, and of the slice with white noise added."""
    values = head_slice()
    figure, axes = new_axes()
    noisy = values + rng.normal(0, noise, values.shape)
    axes.loglog(*radial(noisy), color=WARM, label=f"With noise, s.d. {noise}")
    frequencies, power = radial(values)
    axes.loglog(frequencies, power, color=COOL, lw=2, label="Slice")
    slope, level = np.polyfit(np.log(frequencies[8:80]), np.log(power[8:80]), 1)
    fitted = np.exp(level) * frequencies**slope
    label = minus(f"Power law, exponent {slope:.1f}")
    axes.loglog(frequencies, fitted, color=QUIET, ls=(0, (4, 3)), label=label)
    axes.set(xlabel="Spatial frequency (cycles per pixel)", ylabel="Mean power")
    entitle(axes, "Radial power spectrum", "Averaged over directions, with a Hann taper")
    place_legend(figure, axes)
    return figure
