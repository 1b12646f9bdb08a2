"""How a database selects the sessions that a caller may see: none of the others is read.

Only a `SessionFilter` of one name, or of all, makes a selection exact: the rows of others are to be filtered.
"""

from plotindex.storage.statements import Prepared
from plotindex.system import is_encodable
from plotindex.tree import SessionFilter

FIRST_SURROGATE, AFTER_SURROGATES, LAST_CHARACTER = 0xD800, 0xE000, 0x10FFFF
CONDITIONS = {"name": "{0} = :allowed", "range": "{0} >= :allowed AND {0} < :allowed_end", "all": "true"}
"""The conditions by kind of selection, for a column."""


def selection_of(allows: SessionFilter) -> tuple[str, str, str]:
    """The kind of selection, the name or first name, and the first name behind a range."""
    if allows.name is not None:
        is_comparable = is_encodable(allows.name) and "\0" not in allows.name
        return "name", allows.name if is_comparable else "", ""
    end = after_prefix(allows.prefix)
    return ("range", allows.prefix, end) if end else ("all", "", "")


def after_prefix(prefix: str) -> str | None:
    """The first text in byte order behind all those with this prefix; None if there is none."""
    kept = prefix.rstrip(chr(LAST_CHARACTER))
    if not kept:
        return None
    following = ord(kept[-1]) + 1
    return kept[:-1] + chr(AFTER_SURROGATES if following == FIRST_SURROGATE else following)


def by_selection(query: str, column: str) -> dict[str, Prepared]:
    """A query by kind of selection; its `{0}` is the condition for the column."""
    return {kind: Prepared(query.format(condition.format(column))) for kind, condition in CONDITIONS.items()}


def selected_values(allows: SessionFilter) -> dict[str, object]:
    """The parameters of the conditions."""
    _, first, end = selection_of(allows)
    return {"allowed": first, "allowed_end": end}
