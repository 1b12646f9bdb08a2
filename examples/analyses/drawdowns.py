"""Falls from the highest price so far."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from .charts import heat_map, histogram
from .measures import correlation, drawdown, listed
from .samples import Array, Dates, monthly_prices
from .style import COOL, INK, QUIET, WARM, entitle, month, new_axes, new_figure


def since(year: int) -> tuple[Dates, list[str], Array]:
    """Dates, names listed throughout, and their drawdowns from that year on."""
    prices = monthly_prices()
    rows = prices.dates >= np.datetime64(f"{year}-01-01")
    values = prices.values[rows]
    whole = listed(values)
    falls = np.column_stack([drawdown(column) for column in values[:, whole].T])
    return prices.dates[rows], [name for name, kept in zip(prices.names, whole, strict=True) if kept], falls


def correlations(year: int, colours: str) -> Figure:
    _, names, falls = since(year)
    subtitle = f"Monthly depth below the previous peak, since {year}"
    return heat_map(correlation(falls.T), names, "Correlation of drawdowns", subtitle, colours)


def distribution(name: str) -> Figure:
    falls = drawdown(monthly_prices().of(name))
    falls = falls[~np.isnan(falls)]
    title = f"Drawdowns of {name}"
    return histogram(falls, title, "Below the previous peak (%)", fit=False, counted="months")


def underwater(names: Sequence[str]) -> Figure:
    prices = monthly_prices()
    figure = new_figure(8.0, 5.6)
    panels = figure.subplots(len(names), 1, sharex=True, sharey=True)
    for axes, name, colour in zip(panels, names, (COOL, WARM), strict=True):
        falls = drawdown(prices.of(name))
        axes.fill_between(prices.dates, falls, 0, color=colour, alpha=0.3, lw=0)
        axes.plot(prices.dates, falls, color=colour, lw=1.1)
        axes.set_ylabel("Below peak (%)")
        axes.margins(x=0.01)
        lowest = int(np.nanargmin(falls))
        depth = f"{abs(falls[lowest]):.0f}% below the peak"
        entitle(axes, name, f"Deepest in {month(prices.dates[lowest])}, {depth}")
    panels[0].set_ylim(top=0)
    return figure


def deepest(year: int) -> Figure:
    _, names, falls = since(year)
    depth = falls.min(axis=0)
    order = np.argsort(depth)[::-1]
    figure, axes = new_axes()
    bars = axes.barh([names[index] for index in order], depth[order], color=COOL, height=0.66)
    axes.bar_label(bars, [f"{abs(depth[index]):.0f}%" for index in order], padding=5, color=INK)
    axes.axvline(0, color=QUIET, lw=0.8)
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("Deepest monthly fall from a peak (%)")
    axes.margins(x=0.1)
    entitle(axes, "Deepest drawdowns", f"Names listed throughout, monthly prices since {year}")
    return figure
