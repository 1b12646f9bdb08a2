"""The limits of an axis in the units of its data, by the labels of its ticks."""

import math
import re
from typing import NamedTuple

from plotindex.rendering.comparing.figure_svg import DrawnAxes

MIN_TICKS = 3
"""Two numbers fit a linear and a logarithmic axis."""
MAX_RESIDUAL = 0.002
"""How far a tick may lie from where its label says, as a share of the axis."""
_PLAIN = re.compile(r"-?\d+\.?\d*(?:e[-+]?\d+)?")
_POWER = re.compile(r"\$?(?:\\mathdefault\{)?10\^\{(-?\d+)\}\}?\$?")
_FACTOR = re.compile(r"[-+]?\d*e[-+]?\d+|[-+]\d.*|.*\\times.*|.*\u00d7.*|\$.*10\^.*")


class Scale(NamedTuple):
    """A value of the data is `start + share * length`, or its power of ten."""

    start: float
    length: float
    is_log: bool

    def value(self, share: float) -> float:
        value = self.start + share * self.length
        return 10.0**value if self.is_log else value


def scale_of(axes: DrawnAxes, axis: str) -> Scale | None:
    """The scale of the axis `x` or `y`; None unless the labels of its ticks tell it surely."""
    if any(_FACTOR.fullmatch(text) for text in axes.offsets[axis].split("\n")):
        return None
    shares, values, powers = [], [], []
    for tick in axes.ticks[axis]:
        label = tick.label.replace("\N{MINUS SIGN}", "-")
        if not label:
            continue
        power = _POWER.fullmatch(label)
        if not power and not _PLAIN.fullmatch(label):
            return None
        powers.append(bool(power))
        values.append(float(power[1] if power else label))
        shares.append(axes.share(axis, tick.position))
    if len(values) < MIN_TICKS or len(set(powers)) != 1 or len(set(shares)) != len(shares):
        return None
    return _fit(shares, values, is_log=powers[0])


def _fit(shares: list[float], values: list[float], *, is_log: bool) -> Scale | None:
    length = (values[-1] - values[0]) / (shares[-1] - shares[0])
    if length == 0 or not math.isfinite(length):
        return None
    start = values[0] - shares[0] * length
    off = max(abs((value - start) / length - share) for share, value in zip(shares, values, strict=True))
    return Scale(start, length, is_log) if off <= MAX_RESIDUAL else None
