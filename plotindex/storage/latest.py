"""The latest plots of a session, by the time they were drawn; a time in the future does not put a plot first."""

from collections.abc import Iterable
from contextlib import closing

from plotindex.storage.rows import PLOT
from plotindex.storage.siblings import one_of_each, stem_of
from plotindex.storage.statements import Connection, Prepared
from plotindex.tree import Plot

MAX_AHEAD = 1_000
"""Plots of a session whose time is in the future that are placed by the time they were drawn."""


def by_mtime(condition: str = "") -> str:
    """The query for the plots of the session `of_session`, the newest first, of each key the current copy first."""
    return f"SELECT {PLOT} FROM plot WHERE session = :of_session{condition} ORDER BY mtime_ns DESC, project DESC"


_AHEAD = Prepared(f"{by_mtime(' AND mtime_ns > :now')} LIMIT {MAX_AHEAD}")
_PAST = Prepared(by_mtime(" AND mtime_ns <= :now"))


def latest_plots(connection: Connection, name: str, limit: int, now: int) -> list[Plot]:
    """The current copies that were drawn last, the latest first; of siblings the one to show."""
    current: dict[str, Plot] = {}
    for copy in copies_ahead(connection, name, now):
        current.setdefault(copy.filename, copy)
    groups = {(copy.project, stem_of(copy.filename)) for copy in current.values()}
    # One more: siblings of the last one follow it.
    most = len(groups) + limit + 1
    with closing(_PAST.stream(connection, {"of_session": name, "now": now}, limit)) as rows:
        for copy in map(Plot._make, rows):
            if copy.filename not in current:
                current[copy.filename] = copy
                groups.add((copy.project, stem_of(copy.filename)))
                if len(groups) == most:
                    break
    return latest_first(one_of_each(latest_first(current.values(), now)), now)[:limit]


def copies_ahead(connection: Connection, name: str, now: int) -> list[Plot]:
    """The copies whose mtime is in the future, the newest first."""
    return list(map(Plot._make, _AHEAD(connection, {"of_session": name, "now": now})))


def latest_first(plots: Iterable[Plot], now: int) -> list[Plot]:
    """Sort plots by the time they were drawn; stable."""
    return sorted(plots, key=lambda plot: plot.drawn_ns(now), reverse=True)
