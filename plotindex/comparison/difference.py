"""How one plot differs between two sides, and how plots are put in order by it."""

import json
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any, NamedTuple, Self

from plotindex.comparison.sides import SidePlot
from plotindex.rendering.comparison import MAX_SCORE, Box, Region


class Kind(StrEnum):
    """How a plot differs, of all kinds that fit the first one."""

    NEW = "new"
    GONE = "gone"
    SAME = "same"
    """The bytes are equal."""
    SAME_PICTURE = "same picture"
    """The pixels are equal."""
    ALIKE = "alike"
    """It differs as by anti-aliasing, a shift of a pixel, or cropping."""
    RESTYLED = "restyled"
    """Texts, axes and curves are known and equal, the picture differs."""
    CHANGED = "changed"


ORDER = (Kind.CHANGED, Kind.RESTYLED, Kind.ALIKE, Kind.NEW, Kind.GONE, Kind.SAME_PICTURE, Kind.SAME)
"""From the worst."""
UNLISTED = frozenset({Kind.SAME, Kind.SAME_PICTURE})
"""Kinds that are counted, and listed only where they are asked for."""
FAILING = frozenset({Kind.CHANGED, Kind.NEW, Kind.GONE})
"""Kinds that let `plotindex diff` exit with 1."""


class PlotDifference(NamedTuple):
    """How two versions of a plot differ."""

    kind: Kind
    score: float = 0.0
    """Share of the pixels that differ, in percent."""
    regions: tuple[Region, ...] = ()
    words: tuple[str, ...] = ()
    is_certain: bool = False
    """Whether a text, an axis or a curve is known to differ."""

    def to_bytes(self) -> bytes:
        return json.dumps(self).encode()

    @classmethod
    def parse(cls, content: bytes) -> Self | None:
        """The difference that `to_bytes` has written; None if the content is anything else."""
        try:
            kind, score, regions, words, is_certain = json.loads(content)
            boxes = tuple(Region(*(Box(*box) for box in region)) for region in regions)
            return cls(Kind(kind), score, boxes, tuple(words), is_certain)
        except (ValueError, TypeError):
            return None


NEW, GONE, SAME = PlotDifference(Kind.NEW), PlotDifference(Kind.GONE), PlotDifference(Kind.SAME)


def unreadable(reason: str) -> PlotDifference:
    """The difference of plots that cannot be compared."""
    return PlotDifference(Kind.CHANGED, MAX_SCORE, words=(f"cannot be compared: {reason}",), is_certain=True)


class Pair(NamedTuple):
    """A plot on both sides, or on one."""

    before: SidePlot | None
    after: SidePlot | None

    @property
    def filename(self) -> str:
        side = self.after or self.before
        assert side is not None
        return side.shown.plot.filename


class ComparedPair(NamedTuple):
    """A pair and how it differs."""

    pair: Pair
    difference: PlotDifference

    def rank(self) -> tuple[int, float, bytes]:
        """Its place in the order from the worst."""
        kind, score, *_ = self.difference
        return ORDER.index(kind), -score, self.pair.filename.encode(errors="surrogateescape")


def make_pairs(before: dict[str, SidePlot], after: dict[str, SidePlot]) -> list[Pair]:
    """The plots of both sides by their names."""
    return [Pair(before.get(name), after.get(name)) for name in dict.fromkeys([*before, *after])]


def count_kinds(compared: Iterable[ComparedPair]) -> dict[str, int]:
    """How many plots there are of each kind."""
    counts = dict.fromkeys(map(str, ORDER), 0)
    for plot in compared:
        counts[plot.difference.kind] += 1
    return counts


def select(compared: Iterable[ComparedPair], kinds: Iterable[Kind] | None) -> list[ComparedPair]:
    """The plots of these kinds, by default of all that differ, from the worst."""
    wanted = set(Kind) - UNLISTED if kinds is None else set(kinds)
    return sorted((plot for plot in compared if plot.difference.kind in wanted), key=ComparedPair.rank)


def within_tolerance(compared: ComparedPair, percent: float) -> bool:
    """Whether a changed plot may be disregarded: few pixels differ, and nothing that is known."""
    difference = compared.difference
    return difference.kind is Kind.CHANGED and difference.score <= percent and not difference.is_certain


def difference_to_json(difference: PlotDifference) -> dict[str, Any]:
    """The fields that tell how a plot differs."""
    return {
        "kind": difference.kind,
        "score": difference.score,
        "regions": [_region_to_json(region) for region in difference.regions],
        "words": list(difference.words),
    }


def _region_to_json(region: Region) -> dict[str, Sequence[float]]:
    return {"from": region.before, "to": region.after}
