"""Match names against substrings and globs, in time linear in the name. No I/O."""

import re
from collections.abc import Callable, Iterable
from fnmatch import translate
from functools import lru_cache
from itertools import groupby
from string import ascii_lowercase, ascii_uppercase

MAX_REGEX_WIDTH = 16
"""Wider segments are not searched by regular expression, which takes up to width steps at each character."""
MAX_CACHED_CHARS = 4096

Matcher = Callable[[str], bool]


def is_glob(text: str) -> bool:
    """Whether `text` contains wildcards."""
    return any(c in text for c in "*?[")


@lru_cache(256)
def glob_matcher(pattern: str) -> Matcher:
    """A predicate for names that match a glob, as fnmatch.fnmatchcase does; `*` also matches slashes."""
    first, *others = _segments(pattern)
    if not others:
        return lambda name: len(name) == first.width and first.matches_at(name, 0)
    *middle, last = others
    width = sum(segment.gap + segment.width for segment in (first, *others))

    def matches(name: str) -> bool:
        last_at = len(name) - last.width
        if len(name) < width or not first.matches_at(name, 0) or not last.matches_at(name, last_at):
            return False
        # The leftmost match of each segment leaves the most room for the others: never go back.
        at = first.width
        for segment in middle:
            found = segment.find(name, at + segment.gap)
            if found == -1:
                return False
            at = found + segment.width
        return at + last.gap <= last_at

    return matches


class _Segment:
    """The elements between two stars of a glob, each of which matches one character."""

    def __init__(self, elements: list[str], gap: int) -> None:
        self.gap = gap
        """The least number of characters between the segment before and this one."""
        self.width = len(elements)
        self._literal = None if any(map(_is_wildcard, elements)) else "".join(elements)
        # Fixed width: the star at the end only takes the place of the anchor.
        self._regex = re.compile(translate("".join(elements) + "*"))
        self._masks = _CharMasks(elements) if self.width > MAX_REGEX_WIDTH and self._literal is None else None

    def matches_at(self, name: str, at: int) -> bool:
        if self._literal is not None:
            return name.startswith(self._literal, at)
        return self._regex.match(name, at) is not None

    def find(self, name: str, at: int) -> int:
        """The position of the first match from `at`, or -1."""
        if self._literal is not None:
            return name.find(self._literal, at)
        if self._masks is not None:
            return self._masks.find(name, at)
        found = self._regex.search(name, at)
        return found.start() if found else -1


class _CharMasks(dict[str, int]):
    """For each character a bit for each element of a segment that matches it, the first element lowest.

    With these the segment is searched by the shift-and algorithm (Baeza-Yates, Gonnet: A new approach to text
    searching, 1992).
    """

    def __init__(self, elements: list[str]) -> None:
        self._width = len(elements)
        self._matches = [(1 << number, re.compile(translate(element)).match) for number, element in enumerate(elements)]

    def __missing__(self, char: str) -> int:
        if len(self) >= MAX_CACHED_CHARS:
            self.clear()
        mask = self[char] = sum(bit for bit, matches in self._matches if matches(char))
        return mask

    def find(self, name: str, at: int) -> int:
        matched, whole = 0, 1 << self._width - 1
        for end in range(at, len(name)):
            matched = (matched << 1 | 1) & self[name[end]]
            if matched & whole:
                return end + 1 - self._width
        return -1


def literal_runs(text: str) -> list[str]:
    """The literal substrings that every match of a glob contains, in order; plain text is its own."""
    return ["".join(run) for is_wildcard, run in groupby(_elements(text), _is_wildcard) if not is_wildcard]


def _segments(pattern: str) -> list[_Segment]:
    """The segments of a glob; the first one matches at the start of a name, the last of several at its end."""
    parts: list[list[str]] = [[]]
    for element in _elements(pattern):
        if element == "*":
            parts.append([])
        else:
            parts[-1].append(element)
    first, *middle = parts[:-1] or parts
    segments, gap = [_Segment(first, 0)], 0
    for part in middle:
        # Beside a star a question mark only asks for another character.
        gap += _count_any(part)
        core = part[_count_any(part) :]
        trailing = _count_any(reversed(core))
        if core:
            segments.append(_Segment(core[: len(core) - trailing], gap))
            gap = trailing
    return segments if len(parts) == 1 else [*segments, _Segment(parts[-1], gap)]


def _count_any(elements: Iterable[str]) -> int:
    """The number of question marks at the start."""
    count = 0
    for element in elements:
        if element != "?":
            break
        count += 1
    return count


def _elements(pattern: str) -> list[str]:
    """The elements of a glob: wildcards, classes and single characters."""
    elements, at = [], 0
    while at < len(pattern):
        end = at + 1
        if pattern[at] == "[":
            # As in fnmatch: a class has at least one character; an unclosed "[" is literal.
            first = at + 2 if pattern[at + 1 : at + 2] == "!" else at + 1
            end = pattern.find("]", first + 1) + 1 or end
        elements.append(pattern[at:end])
        at = end
    return elements


def _is_wildcard(element: str) -> bool:
    return element in ("*", "?") or len(element) > 1


def literal_prefix(glob: str) -> str:
    """The literal beginning of every match of a glob, as far as databases can compare with it."""
    return glob[: next((at for at, c in enumerate(glob) if c in "*?[\0" or "\ud800" <= c <= "\udfff"), len(glob))]


_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)


def fold_case(name: str) -> str:
    """Lowercase ASCII letters only, like SQLite's lower()."""
    return name.translate(_LOWER)
