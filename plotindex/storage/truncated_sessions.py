"""Sessions that are not fully indexed, because they exceed a limit of the index: see `Layout`."""

from typing import NamedTuple

from plotindex.storage.rows import PLOT
from plotindex.storage.statements import POSTGRES, SQLITE, Connection, Prepared
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


_TRUNCATION = Prepared("SELECT cut, plots, folders FROM excess WHERE session = :of_session")
_DELETE = Prepared("DELETE FROM excess WHERE session = :session")
_INSERT = Prepared("INSERT INTO excess (session, cut, plots, folders) VALUES (:session, :cut, :plots, :folders)")
_NAME_AT = Prepared(
    "SELECT filename FROM plot WHERE session = :of_session ORDER BY filename, project LIMIT 1 OFFSET :at"
)
_PLOTS_FROM = Prepared(f"SELECT {PLOT} FROM plot WHERE session = :of_session AND filename >= :first")

# SQLite has octet_length since 3.43 only.
_LENGTHS = {SQLITE: "length(CAST(filename AS BLOB))", POSTGRES: "octet_length(filename)"}
_NAMES_BYTES = {
    kind: Prepared(f"SELECT coalesce(sum({length}), 0) FROM plot WHERE session = :of_session")
    for kind, length in _LENGTHS.items()
}
_NAME_BEYOND = {
    kind: Prepared(
        f"SELECT min(filename) FROM (SELECT filename, sum({length}) OVER (ORDER BY filename, project "
        "ROWS UNBOUNDED PRECEDING) AS running FROM plot WHERE session = :of_session) AS sums WHERE running > :most"
    )
    for kind, length in _LENGTHS.items()
}


def read_names_bytes(connection: Connection, session: str) -> int:
    """Sum of the bytes of a session's indexed filenames, by reading each row."""
    return int(_NAMES_BYTES[connection.kind].value(connection, {"of_session": session}))


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
        _DELETE.count(self._connection, {"session": session})
        if truncation != Truncation(session):
            _INSERT.count(self._connection, truncation._asdict())

    def mark_excluded(self, session: str) -> None:
        """Record that a session has folders or plots beyond a limit; the next full scan counts them."""
        known = self._get(session)
        self.record(known._replace(folders=known.folders or 1))

    def truncate_to(self, session: str, max_plots: int, max_names_bytes: int | None) -> list[Plot]:
        """Set the cutoff behind the first plots within the limits; return the plots beyond it, for removal."""
        values = {"of_session": session, "at": max_plots, "most": max_names_bytes}
        cuts = [_NAME_AT.value(self._connection, values)]
        if max_names_bytes is not None:
            cuts.append(_NAME_BEYOND[self._connection.kind].value(self._connection, values))
        return self.truncate_from(session, min(filter(None, cuts)))

    def truncate_from(self, session: str, cut: str, unseen: int = 0) -> list[Plot]:
        """Lower the cutoff to `cut`; return the plots from there on, for removal. `unseen` plots have no rows."""
        known = self._get(session)
        first = cut if known.cut is None else min(cut, known.cut)
        rows = list(map(Plot._make, _PLOTS_FROM(self._connection, {"of_session": session, "first": first})))
        self.record(known._replace(cut=first, plots=known.plots + len(rows) + unseen))
        return rows

    def _get(self, session: str) -> Truncation:
        if session not in self._known:
            self._known[session] = read_truncation(self._connection, session)
        return self._known[session]
