"""Match names against substrings and globs. No I/O."""

import re
from collections.abc import Callable
from fnmatch import translate
from functools import lru_cache
from string import ascii_lowercase, ascii_uppercase


def is_glob(text: str) -> bool:
    """Whether somebody who looks for `text` means a pattern."""
    return any(c in text for c in "*?[")


@lru_cache(256)
def glob_matcher(pattern: str) -> Callable[[str], object]:
    """A function that says whether a name matches a glob; `*` matches slashes too."""
    return re.compile(translate(pattern)).match


def literal_runs(text: str) -> list[str]:
    """What every name that matches a glob holds, one after the other; of what is no glob, the text itself."""
    runs, start, at = [], 0, 0
    while at < len(text):
        end = at + 1
        if text[at] == "[":
            # As fnmatch has it: a class holds at least one character, and without its end it is none.
            first = at + 2 if text[at + 1 : at + 2] == "!" else at + 1
            end = text.find("]", first + 1) + 1
        if text[at] in "*?[" and end:
            runs.append(text[start:at])
            start = end
        at = end or at + 1
    return [run for run in (*runs, text[start:]) if run]


def matcher(query: str) -> Callable[[str], object]:
    """A function that says whether a name holds `query` in any case of ASCII or, when that is a glob, matches it."""
    if is_glob(query):
        return glob_matcher(query)
    wanted = fold(query)
    return lambda name: wanted in fold(name)


_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)


def fold(name: str) -> str:
    """A name without difference of case, in ASCII: as SQLite's lower() has it."""
    return name.translate(_LOWER)
