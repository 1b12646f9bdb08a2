"""Daily quotes of Google over a moving window, August 2004 to October 2008."""

import numpy as np
from matplotlib.figure import Figure

from .charts import heat_map, histogram
from .measures import changes, correlation, drawdown, windows
from .samples import Array, google_days
from .style import COOL, INK, PALETTE, WARM, entitle, new_axes, new_figure, place_legend

ESTIMATORS = ("close to close", "high to low")
TRADING_DAYS = 252


def measured(days: int, estimator: str) -> Array:
    """Annualised volatility in per cent; from the daily range, it is Parkinson's estimate."""
    quotes = google_days()
    if estimator == "high to low":
        daily = np.log(quotes.high[1:] / quotes.low[1:]) ** 2 / (4 * np.log(2))
        return np.asarray(100 * np.sqrt(windows(daily, days).mean(axis=-1) * TRADING_DAYS))
    return np.asarray(windows(changes(quotes.close), days).std(axis=-1) * np.sqrt(TRADING_DAYS))


def correlations(days: int, step: int, colours: str) -> Figure:
    quotes = google_days()
    measures = {
        "Mean return": windows(changes(quotes.close), days).mean(axis=-1),
        "Volatility": measured(days, "close to close"),
        "Daily range": windows(100 * (quotes.high / quotes.low - 1)[1:], days).mean(axis=-1),
        "Volume": windows(quotes.volume[1:], days).mean(axis=-1),
        "Price": windows(quotes.close[1:], days).mean(axis=-1),
        "Drawdown": windows(drawdown(quotes.close)[1:], days).mean(axis=-1),
    }
    matrix = correlation(np.array(list(measures.values()))[:, ::step])
    every = "every day" if step == 1 else f"every {step} days"
    subtitle = f"Moving windows of {days} trading days, {every}, 2004 to 2008"
    return heat_map(matrix, list(measures), "Google: correlation of moving measures", subtitle, colours)


def distribution(days: int, estimator: str) -> Figure:
    title = f"Google: volatility over {days} days, {estimator}"
    values = measured(days, estimator)
    return histogram(values, title, "Annualised volatility (%)", fit=False, counted="windows")


def volatility(days: int, estimator: str) -> Figure:
    quotes, values = google_days(), measured(days, estimator)
    figure = new_figure(8.0, 5.6)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    upper.plot(quotes.dates, quotes.close, color=COOL)
    upper.set_ylabel("Close (USD)")
    lower.fill_between(quotes.dates[days:], values, color=WARM, alpha=0.25, lw=0)
    lower.plot(quotes.dates[days:], values, color=WARM)
    lower.set_ylabel("Volatility (% a year)")
    lower.set_ylim(bottom=0)
    lower.margins(x=0.01)
    entitle(upper, "Google: price and volatility", f"Moving window of {days} trading days, {estimator}")
    figure.align_ylabels()
    return figure


def bands(days: int, width: float) -> Figure:
    """Bollinger bands."""
    quotes = google_days()
    held = windows(quotes.close, days)
    middle, spread = held.mean(axis=-1), width * held.std(axis=-1)
    dates, close = quotes.dates[days - 1 :], quotes.close[days - 1 :]
    figure, axes = new_axes()
    axes.fill_between(
        dates, middle - spread, middle + spread, color=PALETTE[2], alpha=0.22, lw=0, label=f"± {width:g} s.d."
    )
    axes.plot(dates, middle, color=PALETTE[2], label=f"{days}-day mean")
    axes.plot(dates, close, color=INK, lw=0.9, label="Close")
    axes.set_ylabel("Price (USD)")
    axes.margins(x=0.01)
    outside = float((np.abs(close - middle) > spread).mean())
    entitle(axes, f"Google: {days}-day bands", f"{outside:.0%} of the closes lie outside ± {width:g} s.d.")
    place_legend(figure, axes)
    return figure
