"""Update the index of names behind the catalogue's clock.

The index covers the changes up to a position. A search reads what lies behind it from the plots: an index that is
behind makes it slower, never wrong.
"""

from collections.abc import Mapping, Sequence

from plotindex.storage.catalog import Catalog
from plotindex.storage.catalog_header import Header
from plotindex.storage.follower import Consumer, CopyChange, Follower, Position
from plotindex.storage.rows import OF_KEY, key_values
from plotindex.storage.search import fulltext_sql
from plotindex.storage.statements import Connection, Prepared
from plotindex.tree import PlotKey

RECENT = 100
"""A key that changes again keeps its place while so few others have changed since."""


class SearchedNames(Consumer):
    """The index of names. Its round is the highest id of an earlier index, whose names are deleted in the end."""

    name = "names"
    positions = "follower"

    def is_lost(self, connection: Connection, source: Connection, position: Position, header: Header) -> bool:
        """Whether a complete index has no names although there are plots: its table was emptied."""
        return not position.is_behind(header) and not _A_NAME(connection) and bool(_A_PLOT(source))

    def begin(self, connection: Connection, source: Connection, header: Header) -> Position:  # noqa: ARG002 - of the interface
        # The names may be out of date: each that is still valid gets a new id on the way.
        last_id = fulltext_sql.LAST_ID.value(connection) or 0
        if last_id == 0:
            fulltext_sql.empty(connection)
        return Position(0, "", "", "", header.trimmed, last_id)

    def take(self, connection: Connection, source: Connection, changes: Sequence[CopyChange], round_: int) -> None:
        plots = {PlotKey(change.session, change.filename) for change in changes if change.is_plot}
        keys = dict.fromkeys(PlotKey(change.session, change.filename) for change in changes)
        has_copy = {key: key in plots or bool(_COPY(source, key_values(key))) for key in keys}
        last_id = fulltext_sql.LAST_ID.value(connection) or 0
        _store(connection, has_copy, last_id, max(last_id - RECENT, round_))

    def sweep(self, connection: Connection, source: Connection, round_: int, limit: int) -> int:  # noqa: ARG002 - of the interface
        rows = _OUTDATED(connection, {"outdated": round_, "most": limit})
        _delete(connection, rows)
        return round_ if len(rows) == limit else 0


class IndexUpdater(Follower):
    """Updates the index of names of one catalogue."""

    def __init__(self, catalog: Catalog) -> None:
        super().__init__(catalog, SearchedNames())


def _store(connection: Connection, keys: Mapping[PlotKey, bool], last_id: int, old: int) -> None:
    """Give each key that has a copy the next id, unless it has one beyond `old`; delete the others."""
    outdated: list[tuple[int, str]] = []
    latest: list[dict[str, object]] = []
    for key, has_copy in keys.items():
        known = _ID(connection, key_values(key))
        if known and has_copy and known[0][0] > old:
            continue
        if known:
            outdated.append((known[0][0], key.filename))
        if has_copy:
            latest.append({"id": last_id + len(latest) + 1, **key._asdict()})
    _delete(connection, sorted(outdated))
    if latest:
        _INSERT.each(connection, latest)
        fulltext_sql.add(connection, above=last_id)


def _delete(connection: Connection, names: Sequence[tuple[int, str]]) -> None:
    if names:
        rows = [{"of_id": number, "filename": filename} for number, filename in names]
        _DELETE.each(connection, rows)
        fulltext_sql.remove(connection, rows)


_A_NAME = Prepared("SELECT id FROM name LIMIT 1")
_A_PLOT = Prepared("SELECT clock FROM plot LIMIT 1")
_ID = Prepared(f"SELECT id FROM name WHERE {OF_KEY}")
_COPY = Prepared(f"SELECT clock FROM plot WHERE {OF_KEY} LIMIT 1")
_INSERT = Prepared("INSERT INTO name (id, session, filename) VALUES (:id, :session, :filename)")
_OUTDATED = Prepared("SELECT id, filename FROM name WHERE id <= :outdated ORDER BY id LIMIT :most")
_DELETE = Prepared("DELETE FROM name WHERE id = :of_id")
