"""The session `stocks`: monthly prices of eight shares and two indices, daily quotes of Google."""

from functools import partial

from . import daily, drawdowns, returns, rolling
from .plan import Plot, Turn

SHARES = ("Apple", "Microsoft", "IBM", "Xerox", "Adobe", "Amazon", "Alphabet")


def plots(turn: Turn) -> list[Plot]:
    return [
        *of_returns(turn),
        *of_rolling(turn, 12),
        *of_google(turn, 30),
        *of_drawdowns(turn),
        *of_rolling(turn, 36),
        *of_google(turn, 90),
    ]


def of_returns(turn: Turn) -> list[Plot]:
    share = turn.pick(SHARES)
    months, colours = turn.pick([(60, "RdBu_r"), (120, "PuOr_r"), (180, "BrBG_r"), (210, "RdBu_r")])
    trio = turn.pick([("IBM", "Microsoft", "Apple"), ("Adobe", "Xerox", "Amazon"), ("IBM", "Xerox", "Adobe")])
    draws = {
        "correlation_plot.png": partial(returns.correlations, months, colours),
        "subfolder/histogram.svg": partial(returns.distribution, turn.pick(("S&P 500", "Nasdaq", *SHARES))),
        "growth.png": partial(returns.growth, turn.pick((1990, 2000, 2010))),
        "scatter_matrix.jpg": partial(returns.scatter_matrix, (*trio, "S&P 500")),
        "subfolder/risk_and_return.png": partial(returns.risk_and_return, turn.pick((120, 60, 180))),
        "bootstrap/mean_return.png": partial(returns.mean_intervals, turn.rng),
        f"bootstrap/paths_{share.lower()}.png": partial(returns.fan, share, turn.rng),
    }
    return [Plot("project_returns", name, draw) for name, draw in draws.items()]


def of_rolling(turn: Turn, months: int) -> list[Plot]:
    names = turn.pick([SHARES[:3], ("Xerox", "Adobe", "Amazon"), ("IBM", "Apple", "Alphabet")])
    draws = {
        "correlation_plot.png": partial(rolling.correlations, names, months),
        "subfolder/histogram.svg": partial(rolling.distribution, turn.pick(("S&P 500", *SHARES)), months),
        "volatility.png": partial(rolling.volatility, names, months),
        "subfolder/beta.jpg": partial(rolling.beta, names, months),
    }
    return [Plot(f"project_rolling_{months}m", name, draw) for name, draw in draws.items()]


def of_google(turn: Turn, days: int) -> list[Plot]:
    colours = turn.pick(("RdBu_r", "PuOr_r", "BrBG_r"))
    draws = {
        "correlation_plot.png": partial(daily.correlations, days, turn.pick((1, 5, 21)), colours),
        "subfolder/histogram.svg": partial(daily.distribution, days, turn.pick(daily.ESTIMATORS)),
        "volatility.jpg": partial(daily.volatility, days, turn.pick(daily.ESTIMATORS)),
        "bands.png": partial(daily.bands, days, turn.pick((2.0, 1.5, 2.5))),
    }
    return [Plot(f"project_google_{days}d", name, draw) for name, draw in draws.items()]


def of_drawdowns(turn: Turn) -> list[Plot]:
    names = turn.pick([("S&P 500", "Nasdaq"), ("Apple", "Microsoft"), ("IBM", "Xerox"), ("Amazon", "Adobe")])
    colours = turn.pick(("RdBu_r", "PuOr_r", "BrBG_r"))
    draws = {
        "correlation_plot.png": partial(drawdowns.correlations, turn.pick((2005, 2010, 2015)), colours),
        "subfolder/histogram.svg": partial(drawdowns.distribution, turn.pick(("S&P 500", "Nasdaq", *SHARES))),
        "underwater.png": partial(drawdowns.underwater, names),
        "deepest.png": partial(drawdowns.deepest, turn.pick((1990, 2003, 2010))),
    }
    return [Plot("project_drawdowns", name, draw) for name, draw in draws.items()]
