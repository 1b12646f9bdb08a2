"""The language of search: several words, each a substring or a glob. No I/O.

`web/static/shared/query.js` implements the same for names that a browser has.
"""

import re
from collections.abc import Callable, Iterable

from plotindex.tree.globs import Matcher, fold_case, glob_matcher, is_glob

QueryMatcher = Callable[[Iterable[str]], bool]

_WORDS = re.compile(r"[^ \t\n\r\f\v]+")


def query_words(query: str) -> list[str]:
    """The words of a query, ASCII letters in lower case."""
    return _WORDS.findall(fold_case(query))


def query_matcher(query: str) -> QueryMatcher:
    """A predicate for the names of one thing, such as a filename and its projects, ignoring ASCII case.

    Each word must match one of the names: be a part of it or, if the word is a glob, match the whole name.
    """
    matchers = [_word_matcher(word) for word in query_words(query)]

    def matches(names: Iterable[str]) -> bool:
        folded = [fold_case(name) for name in names]
        return all(any(map(matches_word, folded)) for matches_word in matchers)

    return matches


def _word_matcher(word: str) -> Matcher:
    return glob_matcher(word) if is_glob(word) else lambda name: word in name
