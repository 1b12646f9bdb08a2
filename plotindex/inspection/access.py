"""Read the facts of plots, as a caller may see them."""

import time
from collections.abc import Sequence
from itertools import islice
from typing import Any, NamedTuple

from plotindex.storage import DUPLICATE, STALE, Database, FactsReader, StoredFacts, burst_start
from plotindex.tree import Allows, Plot

MAX_SAME = 100
"""Copies with the same bytes that are named."""


class PlotFacts(NamedTuple):
    """What is known about one version of a copy."""

    plot: Plot
    found: StoredFacts | None
    """None if it is not inspected yet."""
    same: list[Plot]
    """Other copies with the same bytes, that the caller may see."""
    flags: list[str]

    def as_json(self) -> dict[str, Any]:
        """The object of the HTTP interface."""
        found = self.found
        return {
            "session": self.plot.session,
            "filename": self.plot.filename,
            "project": self.plot.project,
            "version": self.plot.version,
            "inspected": found is not None,
            "digest": (found.digest if found else "") or None,
            "format": (found.format if found else "") or None,
            "width": found.width if found else None,
            "height": found.height if found else None,
            "frames": (found.frames if found else 0) or None,
            "dpi": found.dpi if found else None,
            "title": (found.title if found else "") or None,
            "text": list(found.text) if found else [],
            "metadata": found.metadata if found else {},
            "flags": self.flags,
            "same": [
                {"session": copy.session, "filename": copy.filename, "project": copy.project} for copy in self.same
            ],
        }


def read_facts(database: Database, plot: Plot, allows: Allows) -> PlotFacts:
    """The facts of this version of a copy. Raises as `read_all_facts`."""
    [found] = read_all_facts(database, [plot], allows)
    return found


def read_all_facts(database: Database, plots: Sequence[Plot], allows: Allows) -> list[PlotFacts]:
    """The facts of these versions of copies.

    Raises:
        CatalogError: they cannot be read.
    """
    now = time.time_ns()
    with database.reading(is_long=len(plots) > 1) as connection:
        reader = FactsReader(connection)
        projects = {(plot.session, plot.project) for plot in plots}
        starts = {project: burst_start(connection, *project, now) for project in projects}
        return [_facts_of(reader, plot, allows, starts[plot.session, plot.project], now) for plot in plots]


def _facts_of(reader: FactsReader, plot: Plot, allows: Allows, start: int | None, now_ns: int) -> PlotFacts:
    """The facts of a plot whose project's last burst began at `start`."""
    found = reader.facts(plot)
    same: list[Plot] = []
    if found is not None:
        others = (copy for copy in reader.with_digest(found.digest, allows) if copy[:3] != plot[:3])
        same = list(islice(others, MAX_SAME))
    flags = {*(found.flags if found else ())}
    flags |= {DUPLICATE} if same else set()
    flags |= {STALE} if start is not None and plot.drawn_ns(now_ns) < start else set()
    return PlotFacts(plot, found, same, sorted(flags))
