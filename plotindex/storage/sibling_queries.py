"""Read siblings from the catalogue, and count plots: siblings are one plot."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import NamedTuple

from sqlalchemy import select

from plotindex.storage.siblings import Name, possible_siblings, stem_of
from plotindex.storage.statements import Connection, Prepared
from plotindex.storage.tables import plot
from plotindex.tree import Plot, PlotKey

MAX_VALUES = 10_000
"""Values in one statement (SQLITE_MAX_VARIABLE_NUMBER is 32,766)."""
_PLOT = [plot.c[name] for name in Plot._fields]


def read_siblings(
    connection: Connection, session: str, filenames: Iterable[str], suffixes: Collection[str]
) -> list[Name]:
    """The plots in the catalogue that can be siblings of these."""
    wanted = sorted({name for filename in filenames for name in possible_siblings(filename, suffixes)})
    found: list[Name] = []
    for start in range(0, len(wanted), MAX_VALUES):
        chosen = plot.c.filename.in_(wanted[start : start + MAX_VALUES])
        rows = connection.execute(select(plot.c.filename, plot.c.project).where(plot.c.session == session, chosen))
        found += [(filename, project) for filename, project in rows]
    return found


class PlotCount(NamedTuple):
    """The plots of a session, and their copies in projects: siblings are one plot, and one copy of it."""

    plots: int
    copies: int


def count_plots(connection: Connection, session: str) -> PlotCount:
    """The number of plots of a session, and of their copies."""
    stems, copies, several = _COUNT(connection, {"of_session": session})[0]
    if not several:
        return PlotCount(int(stems), int(copies or 0))
    projects: defaultdict[str, defaultdict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for filename, project in _SEVERAL(connection, {"of_session": session}):
        projects[stem_of(filename)][filename].add(project)
    linked = sum(_count_linked(own.values()) for own in projects.values())
    return PlotCount(int(stems) - len(projects) + linked, int(copies))


def read_formats(connection: Connection, key: PlotKey, suffixes: Iterable[str]) -> list[Plot]:
    """All copies of the plot that a key belongs to: of its siblings, and of theirs in other projects."""
    chosen = plot.c.filename.in_([key.filename, *possible_siblings(key.filename, suffixes)])
    order = (plot.c.mtime_ns.desc(), plot.c.project.desc(), plot.c.filename)
    rows = connection.execute(select(*_PLOT).where(plot.c.session == key.session, chosen).order_by(*order))
    copies = list(map(Plot._make, rows))
    names, before = {key.filename}, 0
    while len(names) > before:
        before = len(names)
        projects = {copy.project for copy in copies if copy.filename in names}
        names |= {copy.filename for copy in copies if copy.project in projects}
    return [copy for copy in copies if copy.filename in names]


def _count_linked(files: Iterable[set[str]]) -> int:
    """The number of plots of filenames that differ in their suffix, by their projects: one project links two."""
    plots: list[set[str]] = []
    for projects in files:
        linked = [own for own in plots if not own.isdisjoint(projects)]
        plots = [own for own in plots if own not in linked] + [projects.union(*linked)]
    return len(plots)


# Cuts what follows the last dot.
_STEM = "rtrim(filename, replace(filename, '.', ''))"
_COUNT = Prepared(
    "SELECT count(*), sum(copies), count(*) FILTER (WHERE files > 1) FROM (SELECT count(DISTINCT project) AS copies, "
    f"count(DISTINCT filename) AS files FROM plot WHERE session = :of_session GROUP BY {_STEM}) AS stems"
)
_SEVERAL = Prepared(
    f"SELECT filename, project FROM plot WHERE session = :of_session AND {_STEM} IN (SELECT {_STEM} FROM plot "
    f"WHERE session = :of_session GROUP BY {_STEM} HAVING count(DISTINCT filename) > 1)"
)
