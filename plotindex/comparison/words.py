"""What changed, in words."""

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

from plotindex.rendering.comparison import Comparison, Extent
from plotindex.rendering.facts import MAX_TEXT_BYTES, shorten

ARROW = " → "
ALIKE = 0.6
"""Texts that are so similar are one that changed."""
MAX_PAIRS = 2500
"""Pairs of texts whose likeness is looked at."""
NEARLY_ALL = MAX_TEXT_BYTES - 256
"""Of more text not all may be known."""
SHOWN_BYTES = 80
_NUMBER = re.compile(r"[-\N{MINUS SIGN}]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")


class Texts(NamedTuple):
    """The texts of a plot."""

    title: str
    text: Sequence[str]


NO_TEXTS = Texts("", ())


def words_of_texts(before: Texts, after: Texts) -> Iterator[str]:
    """Texts that came, went or changed."""
    sides = [list(dict.fromkeys((side.title, *side.text))) for side in (before, after)]
    if any(sum(len(text.encode()) for text in side) > NEARLY_ALL for side in sides):
        return
    if before.title and after.title and before.title != after.title:
        yield f"title: {_change(before.title, after.title)}"
        sides = [[text for text in side.text if text not in (before.title, after.title)] for side in (before, after)]
    gone = [text for text in sides[0] if text and text not in sides[1]]
    new = [text for text in sides[1] if text and text not in sides[0]]
    for one in list(gone):
        other = _partner(one, new) if len(gone) * len(new) <= MAX_PAIRS else None
        if other is not None:
            gone.remove(one)
            new.remove(other)
            yield _change(one, other)
    yield from (f"gone: {shorten(text, SHOWN_BYTES)}" for text in gone)
    yield from (f"new: {shorten(text, SHOWN_BYTES)}" for text in new)


def words_of_sizes(before: Extent, after: Extent) -> Iterator[str]:
    """Another size, or another number of frames or pages."""
    if before[:2] != after[:2]:
        sizes = (f"{extent.width} × {extent.height}" for extent in (before, after))  # noqa: RUF001 - as readers write it
        yield f"size: {ARROW.join(sizes)}"
    if before.frames != after.frames:
        yield f"frames: {before.frames}{ARROW}{after.frames}"


def words_of_places(found: Comparison) -> str:
    """Where the pictures differ, if nothing else is known."""
    if not found.is_local:
        return "differs everywhere, cause unknown"
    return f"differs in {found.places} place{'' if found.places == 1 else 's'}"


def _partner(text: str, others: Sequence[str]) -> str | None:
    """The one of the texts that this one has become."""
    skeleton = _NUMBER.sub("#", text)
    same = [other for other in others if _NUMBER.sub("#", other) == skeleton]
    if same:
        return same[0]
    best = max(others, key=lambda other: SequenceMatcher(None, text, other).ratio(), default="")
    return best if best and SequenceMatcher(None, text, best).ratio() >= ALIKE else None


def _change(before: str, after: str) -> str:
    """Both texts; of a text in which one number changed also how much."""
    pairs = list(zip(_NUMBER.finditer(before), _NUMBER.finditer(after), strict=False))
    differ = [(one, other) for one, other in pairs if one[0] != other[0]]
    if _NUMBER.sub("#", before) != _NUMBER.sub("#", after) or len(differ) != 1:
        return f"{shorten(before, SHOWN_BYTES)}{ARROW}{shorten(after, SHOWN_BYTES)}"
    [(one, other)] = differ
    start, end = shorten(before[: one.end()], SHOWN_BYTES), shorten(before[one.end() :], SHOWN_BYTES)
    return f"{start}{ARROW}{other[0]}{end}{_amount(one[0], other[0])}"


def _amount(one: str, other: str) -> str:
    """By how much a number changed."""
    before, after = (float(text.replace("\N{MINUS SIGN}", "-")) for text in (one, other))
    change = after - before
    share = f", {100 * change / abs(before):+.3g} %" if before else ""
    return f" ({change:+.6g}{share})".replace("-", "\N{MINUS SIGN}")
