"""The common style of all plots."""

import matplotlib
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .samples import Dates

INK = "#1f2d3a"
QUIET = "#63717d"
PALE = "#dfe4e8"
PALETTE = ("#1f6f9c", "#d9673e", "#3a8f6b", "#8a63b0", "#c99a1e", "#4a5a68")
WARM, COOL = PALETTE[1], PALETTE[0]

matplotlib.rcParams.update(
    {
        "font.size": 10,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": QUIET,
        "axes.linewidth": 0.8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 13,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.prop_cycle": cycler(color=PALETTE),
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": PALE,
        "grid.linewidth": 0.7,
        "xtick.color": QUIET,
        "ytick.color": QUIET,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "lines.linewidth": 1.4,
        "legend.frameon": False,
        "figure.constrained_layout.h_pad": 0.12,
        "figure.constrained_layout.w_pad": 0.12,
        "date.converter": "concise",
    }
)


def new_figure(width: float = 8.0, height: float = 5.0) -> Figure:
    return Figure(figsize=(width, height), dpi=110, layout="constrained")


def new_axes(width: float = 8.0, height: float = 5.0) -> tuple[Figure, Axes]:
    figure = new_figure(width, height)
    return figure, figure.add_subplot()


def entitle(axes: Axes, title: str, subtitle: str, lift: float = 9.0) -> None:
    """A title with a quieter line below it, both flush left, `lift` points above the axes."""
    axes.set_title(title, pad=lift + 16)
    corner, points = "axes fraction", "offset points"
    axes.annotate(subtitle, (0, 1), (0, lift), corner, points, color=QUIET, fontsize=9)


def place_legend(figure: Figure, axes: Axes) -> None:
    """Below the axes, in one line, where it hides no data."""
    handles, labels = axes.get_legend_handles_labels()
    legend = figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), columnspacing=1.6)
    for line in legend.get_lines():
        line.set_linewidth(2.6)


def month(date: np.datetime64) -> str:
    return f"{date.item():%b %Y}"


def span(dates: Dates) -> str:
    return f"{month(dates[0])} to {month(dates[-1])}"
