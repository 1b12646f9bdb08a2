"""What plots show, as inspection has found it."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from plotindex.errors import CatalogError
from plotindex.storage import Database, FactsReader
from plotindex.tree import Plot


class Description(NamedTuple):
    """What one version of a plot shows, as far as it is known."""

    title: str | None = None
    text: Sequence[str] = ()


Describe = Callable[[Plot], Description]


def description_reader(database: Database) -> Describe:
    """A function that reads the description of a version; an empty one where it cannot be read."""

    def describe(plot: Plot) -> Description:
        try:
            with database.reading() as connection:
                found = FactsReader(connection).facts(plot)
        except CatalogError:
            return Description()
        return Description(found.title or None, found.text) if found else Description()

    return describe
