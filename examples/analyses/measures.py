"""The statistics that the analyses share."""

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from .samples import Array


def changes(prices: Array) -> Array:
    """Returns from one row to the next, in per cent."""
    return 100.0 * (prices[1:] / prices[:-1] - 1.0)


def windows(values: Array, length: int) -> Array:
    """A row for each run of `length` values."""
    return np.asarray(sliding_window_view(values, length))


def compound(returns: Array) -> Array:
    """The return over each whole row of returns, all in per cent."""
    return np.asarray(100.0 * (np.prod(1.0 + returns / 100.0, axis=-1) - 1.0))


def correlation(rows: Array) -> Array:
    """Of each row with each other row."""
    return np.asarray(np.corrcoef(rows))


def listed(values: Array) -> npt.NDArray[np.bool_]:
    """Which columns have a value in every row."""
    return np.asarray(~np.isnan(values).any(axis=0))


def rolling_correlation(first: Array, second: Array, length: int) -> Array:
    a, b = windows(first, length), windows(second, length)
    return np.asarray(covariance(a, b) / (a.std(axis=-1) * b.std(axis=-1)))


def rolling_slope(values: Array, base: Array, length: int) -> Array:
    """The slope of the regression of `values` on `base` in each window."""
    a, b = windows(values, length), windows(base, length)
    return np.asarray(covariance(a, b) / b.var(axis=-1))


def covariance(a: Array, b: Array) -> Array:
    """Row by row."""
    return np.asarray((a * b).mean(axis=-1) - a.mean(axis=-1) * b.mean(axis=-1))


def drawdown(prices: Array) -> Array:
    """The fall from the highest price so far, in per cent, at most 0."""
    return 100.0 * (prices / np.fmax.accumulate(prices) - 1.0)


def moments(values: Array) -> tuple[float, float, float, float]:
    """Mean, standard deviation, skewness and excess kurtosis."""
    mean, deviation = float(values.mean()), float(values.std())
    scores = (values - mean) / deviation
    return mean, deviation, float((scores**3).mean()), float((scores**4).mean()) - 3.0


def autocorrelation(values: Array, lags: int) -> Array:
    """At lag 0 to `lags`."""
    centred = values - values.mean()
    full = np.correlate(centred, centred, mode="full")[centred.size - 1 :]
    return np.asarray(full[: lags + 1] / full[0])


def smooth(values: Array, length: int) -> Array:
    """The moving average over a square of odd side `length`, edges repeated."""
    if length == 1:
        return values
    padded = np.pad(values, length // 2, mode="edge")
    return np.asarray(sliding_window_view(padded, (length, length)).mean(axis=(-2, -1)))
