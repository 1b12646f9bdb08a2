"""The plots of one session that an export contains."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from plotindex.errors import PlotIndexError
from plotindex.storage import Database, PlotFilter, find_plots, stem_of
from plotindex.tree import Plot, glob_matcher

MAX_PLOTS = 100_000
"""An archive's table of contents is in memory until it is written, at the end."""
PLOT_BYTES, NAME_FACTOR = 500, 4
"""What an archive contains for each plot beside its bytes: headers, and its names several times."""
MEGABYTE = 1_000_000


class ExportTooLargeError(PlotIndexError):
    """The selected plots exceed the bound of an export."""


class Selection(NamedTuple):
    """Conditions, which must all hold; None: any."""

    name: str | None = None
    """A glob that the filename, or its last part, matches."""
    project: str | None = None
    """A glob."""
    since: int | None = None
    """Nanoseconds since the epoch."""
    paths: frozenset[str] | None = None
    """SESSION/PROJECT/FILENAME of each plot."""
    with_formats: bool = False
    """Whether the siblings of `paths` are selected, too."""


def select_plots(database: Database, session: str, selection: Selection) -> Iterator[Plot]:
    """The copies of a session that match, by filename, as the catalogue has them.

    Raises:
        CatalogError: it cannot be read.
    """
    is_chosen = _matcher_of_paths(selection)
    matches_name = glob_matcher(selection.name) if selection.name is not None else None
    wanted = PlotFilter(session=session, project=selection.project, since=selection.since)
    for plot, _ in find_plots(database, wanted):
        if matches_name and not (matches_name(plot.filename) or matches_name(plot.filename.rpartition("/")[2])):
            continue
        if is_chosen is None or is_chosen(plot):
            yield plot


def select_at_most(database: Database, session: str, selection: Selection, megabytes: int) -> list[Plot]:
    """The selected plots, unless their archive would be larger.

    Raises:
        ExportTooLargeError: it would be.
        CatalogError: the catalogue cannot be read.
    """
    plots: list[Plot] = []
    total = 0
    for plot in select_plots(database, session, selection):
        plots.append(plot)
        total += archived_bytes(plot)
        if total > megabytes * MEGABYTE:
            raise ExportTooLargeError(f"The export would be larger than {megabytes} MB; select fewer plots")
        if len(plots) > MAX_PLOTS:
            raise ExportTooLargeError(f"The export would have more than {MAX_PLOTS} plots; select fewer")
    return plots


def archived_bytes(plot: Plot) -> int:
    """About what a plot adds to an archive."""
    return plot.size + PLOT_BYTES + NAME_FACTOR * len(plot.path.encode())


def _matcher_of_paths(selection: Selection) -> Callable[[Plot], bool] | None:
    paths = selection.paths
    if paths is None:
        return None
    if not selection.with_formats:
        return lambda plot: plot.path in paths
    stems = {stem_of(path) for path in paths if "." in path}
    return lambda plot: stem_of(plot.path) in stems
