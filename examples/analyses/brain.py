"""An electroencephalogram: four channels, ten seconds."""

from itertools import pairwise

import numpy as np
from matplotlib import mlab
from matplotlib.figure import Figure

from .charts import heat_map, histogram
from .measures import autocorrelation, correlation
from .samples import EEG_CHANNELS, EEG_RATE, Array, eeg
from .style import PALETTE, QUIET, entitle, new_axes, place_legend

BANDS = {"Delta": (0.5, 4.0), "Theta": (4.0, 8.0), "Alpha": (8.0, 13.0), "Beta": (13.0, 30.0)}


def density(channel: int, segment: int) -> tuple[Array, Array]:
    """Welch's estimate of the power spectral density, without the constant part."""
    values = eeg()[:, channel]
    values = values - values.mean()
    power, frequencies = mlab.psd(values, NFFT=segment, Fs=EEG_RATE, noverlap=segment // 2)
    return np.asarray(frequencies)[1:], np.asarray(power)[1:]


def correlations(start: float, end: float, colours: str) -> Figure:
    part = eeg()[int(start * EEG_RATE) : int(end * EEG_RATE)]
    subtitle = f"Electroencephalogram, {start:g} to {end:g} s, {len(part)} samples"
    return heat_map(correlation(part.T), EEG_CHANNELS, "Correlation of channels", subtitle, colours)


def distribution(channel: int) -> Figure:
    title = f"Amplitudes of channel {EEG_CHANNELS[channel]}"
    return histogram(eeg()[:, channel], title, "Amplitude (arbitrary units)", counted="samples")


def traces(start: float, end: float) -> Figure:
    chosen = slice(int(start * EEG_RATE), int(end * EEG_RATE))
    seconds = np.arange(len(eeg()))[chosen] / EEG_RATE
    step = 6.0
    figure, axes = new_axes(8.6, 5.4)
    for place, values in enumerate(eeg().T):
        axes.plot(seconds, values[chosen] - step * place, color=PALETTE[place], lw=1.1)
    axes.set_yticks([-step * place for place in range(len(EEG_CHANNELS))], EEG_CHANNELS)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("Time (s)")
    axes.margins(x=0.01)
    subtitle = f"Sampled at {EEG_RATE:g} Hz; each channel {step:g} units below the one above"
    entitle(axes, "Electroencephalogram", subtitle)
    return figure


def spectrum(segment: int) -> Figure:
    figure, axes = new_axes()
    for channel, name in enumerate(EEG_CHANNELS):
        axes.semilogy(*density(channel, segment), label=name, color=PALETTE[channel])
    edges = [low for low, _ in BANDS.values()] + [30.0]
    for band, (low, high) in zip(BANDS, pairwise(edges), strict=True):
        axes.axvline(high, color=QUIET, lw=0.7, ls=(0, (2, 3)))
        top = axes.get_xaxis_transform()
        axes.text((low + high) / 2, 0.985, band, transform=top, ha="center", va="top", color=QUIET, fontsize=9)
    axes.set(xlabel="Frequency (Hz)", ylabel="Power density (units²/Hz)", xlim=(0, EEG_RATE / 2))
    axes.margins(y=0.12)
    subtitle = f"Welch's method, segments of {segment / EEG_RATE:.1f} s, half overlapping"
    entitle(axes, "Power spectrum", subtitle)
    place_legend(figure, axes)
    return figure


def autocorrelations(longest: float) -> Figure:
    lags = int(longest * EEG_RATE)
    figure, axes = new_axes()
    for channel, name in enumerate(EEG_CHANNELS):
        values = autocorrelation(eeg()[:, channel], lags)
        axes.plot(np.arange(lags + 1) / EEG_RATE, values, label=name, color=PALETTE[channel])
    bound = 1.96 / np.sqrt(len(eeg()))
    axes.axhspan(-bound, bound, color=QUIET, alpha=0.15, lw=0)
    axes.axhline(0, color=QUIET, lw=0.8)
    axes.set(xlabel="Lag (s)", ylabel="Autocorrelation", xlim=(0, longest))
    entitle(axes, "Autocorrelation of the channels", "The band holds 95% of the values of white noise")
    place_legend(figure, axes)
    return figure


def band_power(segment: int) -> Figure:
    figure, axes = new_axes()
    places, width = np.arange(len(BANDS)), 0.2
    for channel, name in enumerate(EEG_CHANNELS):
        frequencies, power = density(channel, segment)
        inside = [power[(frequencies >= low) & (frequencies < high)].sum() for low, high in BANDS.values()]
        share = 100 * np.array(inside) / power.sum()
        axes.bar(places + (channel - 1.5) * width, share, width * 0.9, label=name, color=PALETTE[channel])
    axes.set_xticks(places, [f"{band}\n{low:g} to {high:g} Hz" for band, (low, high) in BANDS.items()])
    axes.tick_params(axis="x", length=0)
    axes.grid(axis="x", visible=False)
    axes.set_ylabel("Share of the power (%)")
    entitle(axes, "Power by band", f"Welch's method, segments of {segment / EEG_RATE:.1f} s")
    place_legend(figure, axes)
    return figure
