"""Texts as an index by trigrams takes them: three characters each that follow each other. No I/O."""

from collections.abc import Iterable

from plotindex.system import is_encodable
from plotindex.tree import fold_case

ESCAPE = "!"
"""What takes its meaning from a sign of LIKE."""
_SIGNS = str.maketrans({sign: ESCAPE + sign for sign in (ESCAPE, "%", "_")})


def can_be_in_name(text: str) -> bool:
    """Whether any name can hold that."""
    return "\0" not in text and is_encodable(text)


def trigrams_of(runs: Iterable[str]) -> set[str]:
    """Every three characters that follow each other in one of these."""
    return {"".join(three) for run in map(fold_case, runs) for three in zip(run, run[1:], run[2:], strict=False)}


def pattern(runs: Iterable[str]) -> str:
    """A pattern of LIKE for names that hold these, one after the other."""
    return "%" + "".join(run.translate(_SIGNS) + "%" for run in runs)


def expression(trigrams: Iterable[str]) -> str:
    """What FTS5 is asked for names that have all of these.

    In its language (https://www.sqlite.org/fts5.html, 3.1) nothing but the quote means anything in a string.
    """
    return " AND ".join('"' + trigram.replace('"', '""') + '"' for trigram in trigrams)
