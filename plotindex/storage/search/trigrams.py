"""Patterns for an index by trigrams: sequences of three characters. No I/O."""

from collections.abc import Iterable

from plotindex.system import is_encodable
from plotindex.tree import fold_case

ESCAPE = "!"
"""The escape character of LIKE."""
_WILDCARDS = str.maketrans({sign: ESCAPE + sign for sign in (ESCAPE, "%", "_")})


def can_be_in_name(text: str) -> bool:
    """Whether a name can contain the text."""
    return "\0" not in text and is_encodable(text)


def trigrams_of(runs: Iterable[str]) -> set[str]:
    """The trigrams in these texts, folded."""
    return {"".join(three) for run in map(fold_case, runs) for three in zip(run, run[1:], run[2:], strict=False)}


def like_pattern(runs: Iterable[str]) -> str:
    """A pattern of LIKE for names that contain these texts, in this order."""
    return "%" + "".join(run.translate(_WILDCARDS) + "%" for run in runs)


def match_expression(trigrams: Iterable[str]) -> str:
    """An expression of FTS5 for names that contain all of these.

    Within a string only the quote has a meaning (https://www.sqlite.org/fts5.html, 3.1).
    """
    return " AND ".join('"' + trigram.replace('"', '""') + '"' for trigram in trigrams)
