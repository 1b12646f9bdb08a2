"""Tell by the times of a project's plots which of them its last burst of drawing left out: these are stale."""

from plotindex.storage.facts import sql
from plotindex.storage.siblings import TOGETHER_NS, stem_of
from plotindex.storage.statements import Connection
from plotindex.tree import Plot

MIN_PLOTS = 2
"""Plots of a burst, at least: a single one says nothing about the others."""


def burst_start(connection: Connection, session: str, project: str, now_ns: int) -> int | None:
    """When the last burst of a project began, in nanoseconds; None unless it drew most of the project's plots.

    Plots drawn within a minute of another belong to one burst. Siblings are one plot.
    """
    rows = sql.TIMES(connection, {"of_session": session, "of_project": project})
    plots = (Plot(session, project, name, 0, mtime_ns, ctime_ns, 0) for name, mtime_ns, ctime_ns in rows)
    drawn = [(plot.drawn_ns(now_ns), stem_of(plot.filename)) for plot in plots]
    drawn.sort(reverse=True)
    start = drawn[0][0] if drawn else 0
    redrawn = set()
    for time_ns, stem in drawn:
        if start - time_ns > TOGETHER_NS:
            break
        start = time_ns
        redrawn.add(stem)
    is_most = 2 * len(redrawn) >= len({stem for _, stem in drawn})
    return start if is_most and len(redrawn) >= MIN_PLOTS else None
