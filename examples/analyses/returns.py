"""Monthly returns: their correlations, distributions, risk and resampled paths."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from .charts import heat_map, histogram, name_points, time_lines
from .measures import changes, correlation, listed
from .samples import Array, monthly_prices
from .style import COOL, INK, PALETTE, QUIET, WARM, entitle, new_axes, new_figure, span

INDICES = ("S&P 500", "Nasdaq")


def recent(months: int) -> tuple[list[str], Array, str]:
    """Names listed throughout the last months, their returns, and the span of time."""
    prices = monthly_prices()
    last = changes(prices.values)[-months:]
    whole = listed(last)
    names = [name for name, kept in zip(prices.names, whole, strict=True) if kept]
    return names, last[:, whole], span(prices.dates[-months:])


def correlations(months: int, colours: str) -> Figure:
    names, values, when = recent(months)
    title = "Correlation of monthly returns"
    return heat_map(correlation(values.T), names, title, f"{when}, {months} months", colours)


def distribution(name: str) -> Figure:
    values = changes(monthly_prices().of(name))
    values = values[~np.isnan(values)]
    return histogram(values, f"Monthly returns of {name}", "Monthly return (%)", counted="months")


def growth(year: int) -> Figure:
    prices = monthly_prices()
    since = prices.dates >= np.datetime64(f"{year}-01-01")
    names = ("Apple", "Microsoft", "Adobe", "IBM", "Xerox", "S&P 500")
    lines = {name: prices.of(name)[since] / prices.of(name)[since][0] for name in names}
    title, subtitle = f"Growth of one dollar since {year}", "Adjusted monthly prices, log scale"
    figure = time_lines(prices.dates[since], lines, title, subtitle, "Value (USD)")
    axes = figure.axes[0]
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    return figure


def scatter_matrix(names: tuple[str, ...]) -> Figure:
    prices = monthly_prices()
    values = changes(np.column_stack([prices.of(name) for name in names]))
    values = values[~np.isnan(values).any(axis=1)]
    figure = new_figure(7.6, 7.6)
    grid = figure.subplots(len(names), len(names), sharex="col")
    for row, column in np.ndindex(grid.shape):
        axes = grid[row, column]
        if row == column:
            axes.hist(values[:, row], bins=24, color=COOL, alpha=0.85, edgecolor="white", lw=0.4)
            axes.set_yticks([])
        else:
            axes.plot(values[:, column], values[:, row], "o", ms=2.6, mew=0, alpha=0.4, color=PALETTE[row])
        axes.label_outer()
        axes.tick_params(labelsize=8)
        if row == len(names) - 1:
            axes.set_xlabel(f"{names[column]} (%)")
        if column == 0:
            axes.set_ylabel(f"{names[row]} (%)")
    figure.align_ylabels(grid[:, 0])
    title = f"Monthly returns, pair by pair ({len(values)} months)"
    figure.suptitle(title, x=0.02, ha="left", fontsize=13, fontweight="bold")
    return figure


def tint(name: str) -> str:
    """Indices stand out from shares."""
    return WARM if name in INDICES else COOL


def risk_and_return(months: int) -> Figure:
    names, values, when = recent(months)
    risk, gain = values.std(axis=0) * np.sqrt(12), values.mean(axis=0) * 12
    figure, axes = new_axes(8.0, 5.2)
    axes.scatter(risk, gain, s=80, c=[tint(name) for name in names], ec="white", zorder=3)
    name_points(axes, names, risk, gain)
    axes.axhline(0, color=QUIET, lw=0.8)
    axes.set(xlabel="Annualised volatility (%)", ylabel="Annualised mean return (%)")
    axes.margins(x=0.14, y=0.12)
    entitle(axes, "Risk and return", f"Monthly returns, {when}; indices in orange")
    return figure


def mean_intervals(rng: np.random.Generator) -> Figure:
    """Bootstrap intervals of the annualised mean return."""
    names, values, when = recent(180)
    picks = rng.integers(len(values), size=(2000, len(values)))
    means = values[picks].mean(axis=1) * 12
    low, high = np.percentile(means, [2.5, 97.5], axis=0)
    figure, axes = new_axes()
    order = np.argsort(values.mean(axis=0))
    for place, index in enumerate(order):
        axes.plot(
            [low[index], high[index]],
            [place] * 2,
            color=tint(names[index]),
            lw=5,
            alpha=0.35,
            solid_capstyle="round",
        )
        axes.plot(values[:, index].mean() * 12, place, "o", ms=8, color=tint(names[index]), mec="white")
    axes.set_yticks(range(len(names)), [names[index] for index in order])
    axes.grid(axis="y", visible=False)
    axes.axvline(0, color=QUIET, lw=0.8)
    axes.set_xlabel("Annualised mean return (%)")
    entitle(axes, "How sure is the mean return?", f"95% intervals of 2,000 bootstrap samples, {when}")
    return figure


def fan(name: str, rng: np.random.Generator) -> Figure:
    """Ten years ahead, by resampling the past returns."""
    values = changes(monthly_prices().of(name))
    values = values[~np.isnan(values)]
    paths = np.cumprod(1 + rng.choice(values, size=(4000, 120)) / 100, axis=1)
    years = np.arange(1, 121) / 12
    low, lower, middle, upper, high = np.percentile(paths, [5, 25, 50, 75, 95], axis=0)
    figure, axes = new_axes()
    axes.fill_between(years, low, high, color=COOL, alpha=0.18, lw=0, label="5 to 95%")
    axes.fill_between(years, lower, upper, color=COOL, alpha=0.35, lw=0, label="25 to 75%")
    axes.plot(years, middle, color=INK, lw=2, label="Median")
    axes.plot(years, paths[:6].T, color=WARM, lw=0.7, alpha=0.6)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set(xlabel="Years ahead", ylabel="Multiple of the value today")
    axes.margins(x=0.01)
    axes.legend(loc="upper left")
    subtitle = f"{len(paths):,} bootstrap paths of monthly returns, six of them in orange"
    entitle(axes, f"Resampled paths of {name}", subtitle)
    return figure
