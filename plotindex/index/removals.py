"""How many plots of the catalogue another grammar leaves out."""

from collections.abc import Iterator
from dataclasses import replace

from plotindex.storage import Catalog
from plotindex.tree import Layout

DEFAULT_LAYOUT = Layout()


def count_excluded(catalog: Catalog, layout: Layout) -> tuple[int, int]:
    """The number of plots that this grammar and its limits leave out, and of all plots.

    Reads every row only if the grammar is another one, or a limit is below its default. An upgrade adopts the default
    `ignore`, so it does not count for a catalogue of a version without that setting.

    Raises:
        CatalogError: the catalogue cannot be read.
    """
    header = catalog.header()
    if header.ignore is None and layout.ignore == DEFAULT_LAYOUT.ignore:
        layout = replace(layout, ignore="")
    is_same = header.matches(layout) and not _has_lower_limits(layout)
    excluded = total = 0
    for row in catalog.latest_sessions():
        left_out = 0 if is_same else sum(_excluded(catalog, layout, row.session))
        excluded += left_out + max(0, row.plots - left_out - layout.max_plots)
        total += row.plots
    return excluded, total


def _has_lower_limits(layout: Layout) -> bool:
    default = DEFAULT_LAYOUT
    return layout.max_depth < default.max_depth or layout.max_filename_bytes < default.max_filename_bytes


def _excluded(catalog: Catalog, layout: Layout, session: str) -> Iterator[bool]:
    for plot in catalog.plots(session):
        is_included = layout.can_hold(plot.project, plot.filename) and layout.parse_key(plot.session, plot.filename)
        yield not is_included or layout.is_beyond_limits(plot.filename)
