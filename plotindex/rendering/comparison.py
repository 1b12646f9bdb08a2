"""How the pictures of two plots differ, and what they draw differently, and the bytes in which the renderer sends it.

A plot can take the renderer over. The methods `parse` accept nothing but bounded numbers, and bounded printable text.
"""

import json
import math
from collections.abc import Iterable
from enum import StrEnum
from itertools import islice
from typing import NamedTuple, TypeVar

from plotindex.rendering.facts import MAX_NUMBER, clean, shorten

MAX_REGIONS = 20
MAX_COMPARISON_BYTES = 1 << 13
"""Limit of what `to_bytes` writes."""
MAX_WORDS = 20
MAX_WORD_BYTES = 200
MAX_SCORE = 100.0
DIGITS = 5
"""Decimals of a score and of a box."""
T = TypeVar("T")


class Likeness(StrEnum):
    """How much two pictures are alike."""

    SAME = "same picture"
    ALIKE = "alike"
    """They differ as by anti-aliasing, by a shift of a pixel, or by cropping."""
    CHANGED = "changed"


class Box(NamedTuple):
    """A part of a picture, in shares of its width and height."""

    left: float
    top: float
    width: float
    height: float


class Region(NamedTuple):
    """Where two pictures differ: the place in each of them."""

    before: Box
    after: Box


class Extent(NamedTuple):
    """The size of a plot, for a vector in pixels of CSS or in points, and how many frames or pages it has."""

    width: int
    height: int
    frames: int


class Comparison(NamedTuple):
    """How two pictures differ."""

    likeness: Likeness
    score: float
    """The share of the pixels that differ beyond anti-aliasing, in percent."""
    places: int
    """Connected places in which they differ."""
    is_local: bool
    """Whether they have the same size and differ in a few places."""
    regions: tuple[Region, ...]
    """The places with the most pixels that differ, at most MAX_REGIONS."""
    before: Extent
    after: Extent

    def to_bytes(self) -> bytes:
        return json.dumps(self).encode()

    @classmethod
    def parse(cls, content: bytes) -> "Comparison":
        """The comparison that `to_bytes` has written.

        Raises:
            ValueError: the content is anything else, or out of bounds.
        """
        likeness, score, places, is_local, regions, before, after = _list_of(7, _loaded(content))
        found = cls(
            likeness=Likeness(_typed(str, likeness)),
            score=_share(score, MAX_SCORE),
            places=_count(places),
            is_local=_typed(bool, is_local),
            regions=tuple(Region(*map(_box, _list_of(2, region))) for region in _typed(list, regions)),
            before=Extent(*map(_count, _list_of(3, before))),
            after=Extent(*map(_count, _list_of(3, after))),
        )
        if len(found.regions) > min(MAX_REGIONS, found.places):
            raise ValueError("too many")
        return found


class DrawingChanges(NamedTuple):
    """What two plots draw differently, whatever their style."""

    is_known: bool
    """Whether all texts, axes and curves of both could be read."""
    differs: bool
    words: tuple[str, ...]
    """What is sure of it, at most MAX_WORDS, each as `clean` leaves it."""

    def to_bytes(self) -> bytes:
        return json.dumps(self, ensure_ascii=False).encode()

    @classmethod
    def parse(cls, content: bytes) -> "DrawingChanges":
        """The changes that `to_bytes` has written.

        Raises:
            ValueError: the content is anything else, or out of bounds.
        """
        is_known, differs, words = _list_of(3, _loaded(content))
        found = cls(_typed(bool, is_known), _typed(bool, differs), tuple(map(_word, _typed(list, words))))
        if len(found.words) > MAX_WORDS or (found.words and not found.differs):
            raise ValueError("too many")
        return found


UNKNOWN_DRAWING = DrawingChanges(False, False, ())


def bounded_words(words: Iterable[str]) -> tuple[str, ...]:
    """The first words, cleaned and shortened."""
    return tuple(islice((shorten(clean(word), MAX_WORD_BYTES) for word in words), MAX_WORDS))


def _word(value: object) -> str:
    word = _typed(str, value)
    if not word or clean(word) != word or len(word.encode()) > MAX_WORD_BYTES:
        raise ValueError("text with other characters, or too long")
    return word


def _loaded(content: bytes) -> object:
    if len(content) > MAX_COMPARISON_BYTES:
        raise ValueError("too long")
    try:
        return json.loads(content)
    except RecursionError:
        raise ValueError("nested") from None


def _box(value: object) -> Box:
    return Box(*(_share(number, 1.0) for number in _list_of(4, value)))


def _list_of(length: int, value: object) -> list[object]:
    found = _typed(list, value)
    if len(found) != length:
        raise ValueError("another length")
    return found


def _typed(kind: type[T], value: object) -> T:
    if type(value) is not kind:
        raise ValueError("another type")
    return value


def _count(value: object) -> int:
    number = _typed(int, value)
    if not 0 <= number <= MAX_NUMBER:
        raise ValueError("number out of bounds")
    return number


def _share(value: object, most: float) -> float:
    number = _typed(float, value)
    if not (math.isfinite(number) and 0 <= number <= most):
        raise ValueError("number out of bounds")
    return number
