"""Compare the catalogue with the tree. Changes nothing."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from plotindex.errors import RootLostError
from plotindex.storage import Catalog
from plotindex.system import printable
from plotindex.tree import Plot, Scope, Tree, is_within


class Difference(NamedTuple):
    """One path where catalogue and tree do not say the same."""

    path: str
    what: str


def differences(
    tree: Tree, catalog: Catalog, progress: Callable[[int, int], None] | None = None
) -> Iterator[Difference]:
    """Each difference, session by session. What cannot be looked at is one: nobody can say that it is right.

    Raises:
        RootLostError: the root cannot be listed.
        CatalogError: the catalogue cannot be read.
    """
    try:
        names = tree.sessions()
    except OSError as error:
        raise RootLostError(f"The root {printable(str(tree.root))} cannot be listed: {error.strerror}.") from error
    sessions = sorted({*names, *catalog.sessions()})
    for number, session in enumerate(sessions, 1):
        yield from _within_session(tree, catalog, session)
        if progress:
            progress(number, len(sessions))


def _within_session(tree: Tree, catalog: Catalog, session: str) -> Iterator[Difference]:
    walk = tree.walk(Scope(session))
    for path, error in sorted(walk.unreadable.items()):
        yield Difference(path, f"cannot be looked at: {error.strerror}")
    cut = catalog.cutoff(session)
    found = {plot.path: plot for plot in walk.plots if cut is None or plot.filename < cut}
    rows = {row.path: row for row in catalog.plots(session)}
    for path in sorted(found.keys() | rows.keys()):
        if found.get(path) != rows.get(path) and not is_within(path, walk.unreadable):
            yield Difference(path, _name_difference(found.get(path), rows.get(path)))
    tally = (len(rows), max(row.mtime_ns for row in rows.values())) if rows else None
    if catalog.session_row(session) != tally:
        yield Difference(session, "its number of plots or newest time is wrong in the catalogue")


def _name_difference(found: Plot | None, row: Plot | None) -> str:
    if row is None:
        return "is not in the catalogue"
    if found is None:
        return "is in the catalogue, but not in the tree"
    fields = [name for name in Plot._fields if getattr(found, name) != getattr(row, name)]
    return f"differs in {', '.join(fields)}"
