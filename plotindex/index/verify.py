"""Compare the catalogue with the tree. Changes nothing."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from plotindex.errors import RootLostError
from plotindex.storage import Catalog, SessionRow
from plotindex.system import printable
from plotindex.tree import Plot, Scope, Tree, is_within


class Difference(NamedTuple):
    """A path at which catalogue and tree differ. The field names are keys of `plotindex verify --json`."""

    path: str
    what: str


def differences(
    tree: Tree, catalog: Catalog, progress: Callable[[int, int], None] | None = None
) -> Iterator[Difference]:
    """The differences, session by session; an unreadable path is one.

    `progress` is called with the number of compared sessions and of all sessions.

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
        yield from _compare_session(session, tree, catalog)
        if progress:
            progress(number, len(sessions))


def _compare_session(session: str, tree: Tree, catalog: Catalog) -> Iterator[Difference]:
    walk = tree.walk(Scope(session))
    for path, error in sorted(walk.unreadable.items()):
        yield Difference(path, f"cannot be read: {error.strerror}")
    cutoff = catalog.cutoff(session)
    plots = {plot.path: plot for plot in walk.plots if cutoff is None or plot.filename < cutoff}
    rows = {row.path: row for row in catalog.plots(session)}
    for path in sorted(plots.keys() | rows.keys()):
        if plots.get(path) != rows.get(path) and not is_within(path, walk.unreadable):
            yield Difference(path, _describe(plots.get(path), rows.get(path)))
    totals = SessionRow(session, len(rows), max(row.mtime_ns for row in rows.values())) if rows else None
    if catalog.session_row(session) != totals:
        yield Difference(session, "the catalogue has a wrong number of plots or newest mtime")


def _describe(plot: Plot | None, row: Plot | None) -> str:
    if row is None:
        return "is not in the catalogue"
    if plot is None:
        return "is in the catalogue, but not in the tree"
    fields = [name for name in Plot._fields if getattr(plot, name) != getattr(row, name)]
    return f"differs in {', '.join(fields)}"
