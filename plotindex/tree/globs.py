"""Match names against substrings and globs. No I/O."""

import re
from collections.abc import Callable
from fnmatch import translate
from functools import lru_cache
from string import ascii_lowercase, ascii_uppercase


def is_glob(text: str) -> bool:
    """Whether `text` contains wildcards."""
    return any(c in text for c in "*?[")


@lru_cache(256)
def glob_matcher(pattern: str) -> Callable[[str], object]:
    """A predicate for names that match a glob; `*` also matches slashes."""
    return re.compile(translate(pattern)).match


def literal_runs(text: str) -> list[str]:
    """The literal substrings that every match of a glob contains, in order; plain text is its own."""
    runs, start, at = [], 0, 0
    while at < len(text):
        end = at + 1
        if text[at] == "[":
            # As in fnmatch: a class has at least one character; an unclosed "[" is literal.
            first = at + 2 if text[at + 1 : at + 2] == "!" else at + 1
            end = text.find("]", first + 1) + 1
        if text[at] in "*?[" and end:
            runs.append(text[start:at])
            start = end
        at = end or at + 1
    return [run for run in (*runs, text[start:]) if run]


def name_matcher(query: str) -> Callable[[str], object]:
    """A predicate for names that contain `query`, ignoring ASCII case, or match it if it is a glob."""
    if is_glob(query):
        return glob_matcher(query)
    folded = fold_case(query)
    return lambda name: folded in fold_case(name)


_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)


def fold_case(name: str) -> str:
    """Lowercase ASCII letters only, like SQLite's lower()."""
    return name.translate(_LOWER)
