"""The membrane potential of a neuron that fires under a steady current."""

import numpy as np
import numpy.typing as npt
from matplotlib import mlab
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from .charts import heat_map, histogram, minus
from .measures import correlation
from .samples import MEMBRANE_RATE, Array, membrane
from .style import COOL, INK, WARM, entitle, new_axes, new_figure

PARTS = {"whole": (0.0, 6.0), "early": (0.6, 3.5), "late": (3.5, 5.4)}


def spikes(threshold: float) -> npt.NDArray[np.intp]:
    """Samples at which the potential rises through the threshold."""
    above = membrane() > threshold
    return np.flatnonzero(above[1:] & ~above[:-1]) + 1


def times(samples: npt.NDArray[np.intp]) -> Array:
    return samples / MEMBRANE_RATE


def correlations(milliseconds: int, colours: str) -> Figure:
    length = int(milliseconds * MEMBRANE_RATE / 1000)
    rows = membrane()[: membrane().size // length * length].reshape(-1, length)
    steps = np.diff(rows, axis=1)
    crossed = (rows[:, 1:] > -20) & (rows[:, :-1] <= -20)
    features = {
        "Mean": rows.mean(axis=1),
        "Deviation": rows.std(axis=1),
        "Lowest": rows.min(axis=1),
        "Highest": rows.max(axis=1),
        "Fastest rise": steps.max(axis=1),
        "Fastest fall": -steps.min(axis=1),
        "Spikes": crossed.sum(axis=1),
    }
    subtitle = f"Membrane potential, {len(rows)} windows of {milliseconds} ms"
    matrix = correlation(np.array(list(features.values())))
    return heat_map(matrix, list(features), "Correlation of window features", subtitle, colours)


def distribution(part: str) -> Figure:
    start, end = PARTS[part]
    values = membrane()[int(start * MEMBRANE_RATE) : int(end * MEMBRANE_RATE)]
    title = f"Membrane potential, {start:g} to {end:g} s"
    return histogram(values, title, "Potential (mV)", fit=False, counted="samples")


def trace(threshold: float) -> Figure:
    found = spikes(threshold)
    figure, axes = new_axes(8.6, 4.6)
    axes.plot(np.arange(membrane().size) / MEMBRANE_RATE, membrane(), color=COOL, lw=0.8)
    axes.plot(times(found), np.full(found.size, 12.0), "|", color=WARM, ms=10, mew=1.3)
    axes.axhline(threshold, color=WARM, lw=0.8, ls=(0, (4, 3)))
    axes.set(xlabel="Time (s)", ylabel="Potential (mV)")
    axes.margins(x=0.01)
    subtitle = f"{found.size} spikes above {threshold:g} mV, marked in orange"
    entitle(axes, "Membrane potential", minus(subtitle))
    return figure


def firing_rate(threshold: float) -> Figure:
    at = times(spikes(threshold))
    gaps = np.diff(at)
    figure = new_figure(8.6, 5.2)
    left, right = figure.subplots(1, 2, width_ratios=[3, 2])
    left.plot(at[1:], 1 / gaps, "-o", color=COOL, ms=4.5, lw=1, mec="white", mew=0.5)
    left.set(xlabel="Time (s)", ylabel="Instantaneous rate (Hz)")
    left.set_ylim(bottom=0)
    right.plot(1000 * gaps[:-1], 1000 * gaps[1:], "o", color=WARM, ms=5.5, mec="white", mew=0.5, alpha=0.85)
    ends = [float(1000 * gaps.min()) * 0.95, float(1000 * gaps.max()) * 1.05]
    right.plot(ends, ends, color=INK, lw=0.8, ls=(0, (4, 3)))
    right.set(xlabel="Interval (ms)", ylabel="Next interval (ms)")
    entitle(left, "Firing rate", f"From {gaps.size} intervals between spikes")
    entitle(right, "Return map", "Each interval and the next")
    return figure


def spike_shapes(threshold: float, colours: str) -> Figure:
    """All spikes, aligned at the threshold, and their mean."""
    before, after = int(0.012 * MEMBRANE_RATE), int(0.03 * MEMBRANE_RATE)
    found = spikes(threshold)
    shapes = np.array([membrane()[at - before : at + after] for at in found])
    milliseconds = 1000 * np.arange(-before, after) / MEMBRANE_RATE
    curves = [np.column_stack([milliseconds, shape]) for shape in shapes]
    lines = LineCollection(curves, cmap=colours, lw=0.9, alpha=0.7)
    lines.set_array(times(found))
    figure, axes = new_axes(8.0, 5.2)
    axes.add_collection(lines)
    axes.plot(milliseconds, shapes.mean(axis=0), color=INK, lw=2.6, label="Mean")
    axes.set(xlabel=minus(f"Time from {threshold:g} mV (ms)"), ylabel="Potential (mV)")
    axes.margins(x=0.01)
    axes.legend()
    entitle(axes, "Spike shapes", f"{found.size} spikes, aligned where they rise through the threshold")
    figure.colorbar(lines, ax=axes, label="Time of the spike (s)").outline.set_visible(False)
    return figure


def spectrogram(segment: int) -> Figure:
    values = membrane() - membrane().mean()
    overlap = segment * 7 // 8
    power, frequencies, seconds = mlab.specgram(values, NFFT=segment, Fs=MEMBRANE_RATE, noverlap=overlap)
    hertz = np.asarray(frequencies)
    shown = hertz <= 200
    decibels = 10 * np.log10(np.asarray(power)[shown] + 1e-9)
    figure, axes = new_axes(8.0, 5.0)
    mesh = axes.pcolormesh(seconds, hertz[shown], decibels, cmap="magma", vmin=-30, vmax=20)
    axes.grid(visible=False)
    axes.set(xlabel="Time (s)", ylabel="Frequency (Hz)")
    entitle(axes, "Spectrogram", f"Segments of {1000 * segment / MEMBRANE_RATE:.0f} ms, overlapping by 7/8")
    figure.colorbar(mesh, ax=axes, label="Power density (dB, mV²/Hz)").outline.set_visible(False)
    return figure


def zoom(start: float) -> Figure:
    """Half a second."""
    first = int(start * MEMBRANE_RATE)
    chosen = slice(first, first + int(MEMBRANE_RATE / 2))
    figure, axes = new_axes(8.6, 4.4)
    axes.plot(1000 * np.arange(membrane().size)[chosen] / MEMBRANE_RATE, membrane()[chosen], color=COOL)
    axes.set(xlabel="Time (ms)", ylabel="Potential (mV)", ylim=(-72, 12))
    axes.margins(x=0.01)
    entitle(axes, "Half a second of spikes", f"Membrane potential from {1000 * start:.0f} ms")
    return figure
