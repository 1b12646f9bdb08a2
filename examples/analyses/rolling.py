"""Monthly returns over a moving window, against the S&P 500."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.figure import Figure

from .charts import histogram, time_lines
from .measures import changes, compound, rolling_correlation, rolling_slope, windows
from .samples import Array, monthly_prices
from .style import QUIET

MARKET = "S&P 500"


def lines(names: Sequence[str], measure: Callable[[Array], Array]) -> dict[str, Array]:
    """The measure of each name's returns."""
    prices = monthly_prices()
    return {name: measure(changes(prices.of(name))) for name in names}


def market() -> Array:
    return changes(monthly_prices().of(MARKET))


def correlations(names: Sequence[str], months: int) -> Figure:
    series = lines(names, lambda returns: rolling_correlation(returns, market(), months))
    title = f"Correlation with the {MARKET}"
    figure = time_lines(monthly_prices().dates[months:], series, title, said(months), "Pearson correlation")
    figure.axes[0].axhline(0, color=QUIET, lw=0.8)
    figure.axes[0].set_ylim(top=1)
    return figure


def distribution(name: str, months: int) -> Figure:
    values = compound(windows(changes(monthly_prices().of(name)), months))
    values = values[~np.isnan(values)]
    title = f"{months}-month returns of {name}"
    return histogram(values, title, f"Return over {months} months (%)", counted="windows")


def volatility(names: Sequence[str], months: int) -> Figure:
    annual = np.sqrt(12.0)
    series = lines((*names, MARKET), lambda returns: windows(returns, months).std(axis=-1) * annual)
    dates = monthly_prices().dates[months:]
    figure = time_lines(dates, series, "Rolling volatility", said(months), "Annualised volatility (%)")
    figure.axes[0].set_ylim(bottom=0)
    return figure


def beta(names: Sequence[str], months: int) -> Figure:
    series = lines(names, lambda returns: rolling_slope(returns, market(), months))
    dates = monthly_prices().dates[months:]
    figure = time_lines(dates, series, f"Beta to the {MARKET}", said(months), "Regression slope")
    figure.axes[0].axhline(1, color=QUIET, lw=0.8)
    return figure


def said(months: int) -> str:
    return f"Monthly returns, moving window of {months} months"
