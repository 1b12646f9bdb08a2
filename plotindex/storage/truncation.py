"""Sessions that are not fully indexed, because they exceed max_plots_per_session or max_depth."""

from typing import NamedTuple

from sqlalchemy import Connection, bindparam, delete, insert, select

from plotindex.storage.rows import PLOT
from plotindex.storage.statements import Prepared
from plotindex.storage.tables import excess, plot
from plotindex.tree import Plot


class Truncation(NamedTuple):
    """What of a session is not indexed; by default nothing."""

    session: str
    cut: str | None = None
    """The cutoff: the first filename that is not indexed."""
    plots: int = 0
    """Plots from the cutoff on, at the last count."""
    folders: int = 0
    """Folders that are too deep, at the last count."""


_TRUNCATION = Prepared(
    select(excess.c.cut, excess.c.plots, excess.c.folders).where(excess.c.session == bindparam("of_session"))
)


def read_truncation(connection: Connection, session: str) -> Truncation:
    rows = _TRUNCATION(connection, {"of_session": session})
    return Truncation(session, *rows[0]) if rows else Truncation(session)


class Truncations:
    """The truncations of sessions, read and written within one write transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: dict[str, Truncation] = {}

    def cutoff(self, session: str) -> str | None:
        """The first filename of a session that is not indexed, or None."""
        return self._get(session).cut

    def record(self, truncation: Truncation) -> None:
        """Store the result of a complete count of a session."""
        session = truncation.session
        if truncation == self._get(session):
            return
        self._known[session] = truncation
        self._connection.execute(delete(excess).where(excess.c.session == session))
        if truncation != Truncation(session):
            self._connection.execute(insert(excess).values(**truncation._asdict()))

    def mark_too_deep(self, session: str) -> None:
        """Record that a session has folders that are too deep; the next full scan counts them."""
        known = self._get(session)
        self.record(known._replace(folders=known.folders or 1))

    def truncate_to(self, session: str, limit: int) -> list[Plot]:
        """Set the cutoff behind the first `limit` plots; return the plots beyond it, for removal."""
        order = select(plot.c.filename).where(plot.c.session == session).order_by(plot.c.filename, plot.c.project)
        return self.truncate_from(session, self._connection.execute(order.offset(limit).limit(1)).scalar_one())

    def truncate_from(self, session: str, cut: str, unseen: int = 0) -> list[Plot]:
        """Lower the cutoff to `cut`; return the plots from there on, for removal. `unseen` plots have no rows."""
        known = self._get(session)
        first = cut if known.cut is None else min(cut, known.cut)
        beyond = select(*PLOT).where(plot.c.session == session, plot.c.filename >= first)
        rows = [Plot._make(row) for row in self._connection.execute(beyond)]
        self.record(known._replace(cut=first, plots=known.plots + len(rows) + unseen))
        return rows

    def _get(self, session: str) -> Truncation:
        if session not in self._known:
            self._known[session] = read_truncation(self._connection, session)
        return self._known[session]
