"""The row that identifies a catalogue: its root, its grammar and its clock."""

from typing import NamedTuple

from plotindex.errors import CatalogError
from plotindex.storage.statements import Connection, Prepared
from plotindex.tree import Layout


class Header(NamedTuple):
    """The row. Its times are clocks."""

    root: str
    identity: str | None
    pattern: str
    suffixes: str
    clock: int
    born: int
    trimmed: int
    ignore: str | None
    """None in a catalogue migrated from a version without this setting, until its next full scan."""

    def matches(self, layout: Layout) -> bool:
        """Whether the catalogue was built with this grammar."""
        return all(getattr(self, name) == value for name, value in grammar_of(layout).items())


_HEADER = Prepared(f"SELECT {', '.join(Header._fields)} FROM catalogue")


def grammar_of(layout: Layout) -> dict[str, str]:
    """The columns that record a grammar."""
    suffixes = " ".join(sorted(layout.suffixes))
    return {"pattern": layout.project_pattern, "suffixes": suffixes, "ignore": layout.ignore}


def read_header(connection: Connection) -> Header | None:
    rows = _HEADER(connection)
    return Header._make(rows[0]) if rows else None


def require_header(connection: Connection, shown: str) -> Header:
    """The header, in the transaction of `connection`. Raises CatalogError if there is none."""
    header = read_header(connection)
    if header is None:
        raise not_initialised(shown)
    return header


def not_initialised(shown: str) -> CatalogError:
    return CatalogError(f"The catalogue {shown} is not initialised: run `plotindex rebuild`.")
