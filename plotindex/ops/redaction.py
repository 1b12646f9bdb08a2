"""Texts as others may read them: of addresses no password, and words in place of paths. Pure, but for symlinks."""

import os
import re
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from plotindex.system import escape, printable


class PathAlias(NamedTuple):
    """A path, and the word that stands for it."""

    path: Path
    word: str
    is_cut: bool = False
    """Whether nothing is told of what lies below it."""


class Redactor:
    """Words in place of paths, wherever these stand as a whole."""

    def __init__(self, places: Iterable[PathAlias]) -> None:
        """Of two words for one path the first counts."""
        spelled: dict[str, PathAlias] = {}
        for place in places:
            for spelling in _spellings(place.path):
                spelled.setdefault(spelling, place)
        # The longest first: one may lie below another.
        self._words = [
            (_pattern(path, is_cut=place.is_cut), place.word)
            for path, place in sorted(spelled.items(), key=lambda item: -len(item[0]))
            if path != "/"
        ]

    def over(self, told: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
        """The same, with these words in each text."""
        if isinstance(told, dict):
            return {name: self.over(value) for name, value in told.items()}
        if isinstance(told, list):
            return [self.over(value) for value in told]
        if not isinstance(told, str):
            return told
        for pattern, word in self._words:
            told = pattern.sub(partial(_word, word), told)
        return told


def _word(word: str, found: "re.Match[str]") -> str:
    return f"{word}/…" if found[1] else word


def _pattern(path: str, *, is_cut: bool) -> "re.Pattern[str]":
    """A path as whole folders; where that `is_cut`, with all that is told behind it: names may hold anything."""
    return re.compile(rf"(?<![\w.-]){re.escape(path)}(?![\w-]|\.\w)({'/.*' if is_cut else '(?!)'})?", re.DOTALL)


def _spellings(path: Path) -> Iterator[str]:
    for spelling in (str(path), os.path.realpath(path)):
        yield from (spelling, escape(spelling))
        yield printable(spelling)
