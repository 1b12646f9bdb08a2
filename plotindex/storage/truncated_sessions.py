"""Sessions that are not fully indexed, because they exceed a limit of the index: see `Layout`."""

from typing import NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Connection, bindparam, delete, func, insert, literal_column, select

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
    """Folders and plots beyond max_depth or max_filename_bytes, at the last count."""


_TRUNCATION = Prepared(
    select(excess.c.cut, excess.c.plots, excess.c.folders).where(excess.c.session == bindparam("of_session"))
)


def read_names_bytes(connection: Connection, session: str) -> int:
    """Sum of the bytes of a session's indexed filenames, by reading each row."""
    query = select(func.coalesce(func.sum(_filename_length(connection)), 0)).where(plot.c.session == session)
    return int(connection.execute(query).scalar_one())


def _filename_length(connection: Connection) -> ColumnElement[int]:
    # SQLite has octet_length since 3.43 only.
    is_server = connection.dialect.name == "postgresql"
    return literal_column("octet_length(filename)" if is_server else "length(CAST(filename AS BLOB))", BigInteger)


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

    def mark_excluded(self, session: str) -> None:
        """Record that a session has folders or plots beyond a limit; the next full scan counts them."""
        known = self._get(session)
        self.record(known._replace(folders=known.folders or 1))

    def truncate_to(self, session: str, max_plots: int, max_names_bytes: int | None) -> list[Plot]:
        """Set the cutoff behind the first plots within the limits; return the plots beyond it, for removal."""
        order = select(plot.c.filename).where(plot.c.session == session).order_by(plot.c.filename, plot.c.project)
        cuts = [self._connection.execute(order.offset(max_plots).limit(1)).scalar()]
        if max_names_bytes is not None:
            length = _filename_length(self._connection)
            running = func.sum(length).over(order_by=(plot.c.filename, plot.c.project), rows=(None, 0)).label("running")
            sums = select(plot.c.filename, running).where(plot.c.session == session).subquery()
            beyond = select(func.min(sums.c.filename)).where(sums.c.running > max_names_bytes)
            cuts.append(self._connection.execute(beyond).scalar())
        return self.truncate_from(session, min(filter(None, cuts)))

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
