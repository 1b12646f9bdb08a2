"""Pages of a comparison: from the worst, then what is not compared yet."""

import re
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from plotindex.comparison.difference import ORDER, UNLISTED, ComparedPair, Kind, Pair, PlotDifference, count_kinds

POSITION = re.compile(r"(?P<place>[0-9])-(?P<score>[0-9]{1,3}\.[0-9]{5})-(?P<filename>.+)", re.ASCII | re.DOTALL)

Rank = tuple[int, float, bytes]


class BadPositionError(ValueError):
    """A text is not the `next` of an earlier page."""


class DiffPage(NamedTuple):
    """One page of a comparison."""

    counts: dict[str, int]
    """How many plots there are of each kind, of those that are compared."""
    pending: Sequence[Pair]
    """All that are not compared yet: those of this page first."""
    plots: Sequence[tuple[Pair, PlotDifference | None]]
    next: str | None


def list_pairs(
    pairs: Sequence[Pair],
    known: Callable[[Pair], PlotDifference | None],
    kinds: Collection[Kind] | None,
    limit: int,
    after: str,
    *,
    first: Collection[str] = (),
) -> DiffPage:
    """The page behind the position `after`, of some kinds or of all that differ or are not compared yet.

    `first` names plots that lead `pending`.

    Raises:
        BadPositionError: `after` is none.
    """
    start = _parse_position(after) if after else (-1, 0.0, b"")
    compared: list[ComparedPair] = []
    pending: list[Pair] = []
    for pair in pairs:
        difference = known(pair)
        if difference is None:
            pending.append(pair)
        else:
            compared.append(ComparedPair(pair, difference))
    wanted = set(Kind) - UNLISTED if kinds is None else kinds
    listed: list[tuple[Rank, Pair, PlotDifference | None]] = [
        (plot.rank(), *plot) for plot in compared if plot.difference.kind in wanted
    ]
    listed += [(_last(pair), pair, None) for pair in pending if kinds is None]
    behind = sorted((row for row in listed if row[0] > start), key=lambda row: row[0])
    page = behind[:limit]
    following = _format_position(page[-1][0]) if len(behind) > limit else None
    shown = {pair.filename for _, pair, difference in page if difference is None}
    pending.sort(key=lambda pair: (pair.filename not in first, pair.filename not in shown))
    return DiffPage(count_kinds(compared), pending, [row[1:] for row in page], following)


def _last(pair: Pair) -> Rank:
    return len(ORDER), 0.0, pair.filename.encode(errors="surrogateescape")


def _format_position(rank: Rank) -> str:
    place, score, filename = rank
    return f"{place}-{abs(score):.5f}-{filename.decode(errors='surrogateescape')}"


def _parse_position(text: str) -> Rank:
    found = POSITION.fullmatch(text)
    if found is None:
        raise BadPositionError("after must be the next of an earlier page")
    return int(found["place"]), -float(found["score"]), found["filename"].encode(errors="surrogateescape")
