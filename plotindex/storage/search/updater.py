"""Update the index of names behind the catalogue's clock, so that no writer waits for it.

The index covers plots and removals up to a position in the order of (clock, session, filename). A search reads what
lies behind it from the plots: an index that is behind makes it slower, never wrong.
"""

import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import (
    BigInteger,
    Connection,
    bindparam,
    delete,
    func,
    insert,
    literal,
    select,
    tuple_,
    union_all,
    update,
)

from plotindex.storage.catalog import Catalog
from plotindex.storage.catalog_header import Header, read_header
from plotindex.storage.rows import OF_KEY, key_values
from plotindex.storage.search import fulltext_sql
from plotindex.storage.statements import Prepared
from plotindex.storage.tables import name, plot, removal, searched
from plotindex.tree import PlotKey

BATCH = 500
"""Changes in one transaction, which bounds how long others wait for their turn."""
RECENT = 100
"""A key that changes again keeps its place while so few others have changed since."""


class Position(NamedTuple):
    """How far the index has come."""

    clock: int
    session: str
    filename: str
    trimmed: int
    """The catalogue's `trimmed` when this index was begun."""
    outdated: int
    """Names with an id up to this are of an earlier index, and are deleted once this one is complete."""

    def is_behind(self, header: Header) -> bool:
        """Whether there may be changes that are not in the index."""
        return self.clock <= header.clock


def read_position(connection: Connection, header: Header) -> Position | None:
    """The position of the index; None if there is none, or it cannot be continued."""
    row = connection.execute(select(*(searched.c[field] for field in Position._fields))).first()
    if row is None:
        return None
    position = Position._make(row)
    is_invalid = position.clock > header.clock + 1 or header.trimmed > max(position.clock, position.trimmed)
    return None if is_invalid or _was_emptied(connection, header, position) else position


def _was_emptied(connection: Connection, header: Header, position: Position) -> bool:
    """Whether a complete index has no names although there are plots: its table was emptied."""
    if position.is_behind(header) or connection.execute(select(name.c.id).limit(1)).first():
        return False
    return connection.execute(select(plot.c.clock).limit(1)).first() is not None


class IndexUpdater:
    """Updates the index of names of one catalogue."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def step(self, limit: int = BATCH) -> bool:
        """Index up to `limit` changes in one transaction; return whether there are more.

        Raises:
            LockTimeoutError: others held the catalogue for too long.
            CatalogError: it cannot be read or written.
        """
        if not self._is_behind():
            return False
        with self._catalog.writing() as writer:
            return _index_changes(writer.connection, limit)

    def _is_behind(self) -> bool:
        with self._catalog.database.reading() as connection:
            header = read_header(connection)
            position = read_position(connection, header) if header else None
            return header is not None and (position is None or position.is_behind(header) or position.outdated > 0)

    def run(self, seconds: float) -> bool:
        """Index all changes, for `seconds` at most; return whether all are indexed. Raises as `step` does."""
        deadline = time.monotonic() + seconds
        while is_more := self.step():
            if time.monotonic() >= deadline:
                break
        return not is_more


def _index_changes(connection: Connection, limit: int) -> bool:
    # Another updater waits here. The clock is read after that, and only then the changes up to it.
    connection.execute(select(searched.c.clock).with_for_update())
    header = read_header(connection)
    if header is None:
        return False
    position = read_position(connection, header)
    last_id = connection.execute(select(func.max(name.c.id))).scalar() or 0
    if position is None:
        # The names may be out of date: each that is still valid gets a new id on the way.
        position = Position(0, "", "", header.trimmed, outdated=last_id)
        if last_id == 0:
            fulltext_sql.empty(connection)
    values = {"of_clock": position.clock, "of_session": position.session, "of_filename": position.filename}
    rows = _CHANGES(connection, {**values, "upto": header.clock, "most": limit})
    plots = {PlotKey(session, filename) for _, session, filename, is_plot in rows if is_plot}
    keys = dict.fromkeys(PlotKey(session, filename) for _, session, filename, _ in rows)
    has_copy = {key: key in plots or bool(_COPY(connection, key_values(key))) for key in keys}
    _store(connection, has_copy, last_id, max(last_id - RECENT, position.outdated))
    is_more = len(rows) == limit
    clock, session, filename = rows[-1][:3] if is_more else (header.clock + 1, "", "")
    outdated = position.outdated
    if outdated and not is_more:
        is_more = not _delete_outdated(connection, outdated, limit)
        outdated = outdated if is_more else 0
    reached = Position(clock, session, filename, position.trimmed, outdated)._asdict()
    if not connection.execute(update(searched).values(reached)).rowcount:
        connection.execute(insert(searched).values(reached))
    return is_more


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
        connection.execute(insert(name), latest)
        fulltext_sql.add(connection, above=last_id)


def _delete_outdated(connection: Connection, outdated: int, limit: int) -> bool:
    """Delete names of an earlier index; return whether that were all."""
    query = select(name.c.id, name.c.filename).where(name.c.id <= outdated).order_by(name.c.id).limit(limit)
    rows = [(row.id, row.filename) for row in connection.execute(query)]
    _delete(connection, rows)
    return len(rows) < limit


def _delete(connection: Connection, names: Sequence[tuple[int, str]]) -> None:
    if names:
        rows = [{"of_id": number, "filename": filename} for number, filename in names]
        connection.execute(delete(name).where(name.c.id == bindparam("of_id")), rows)
        fulltext_sql.remove(connection, rows)


def _changes() -> Prepared:
    order = ("clock", "session", "filename")
    most = bindparam("most", type_=BigInteger)
    parts = []
    for table in (plot, removal):
        place = tuple_(*(table.c[field] for field in order))
        reached = tuple_(bindparam("of_clock", type_=BigInteger), bindparam("of_session"), bindparam("of_filename"))
        part = select(*(table.c[field] for field in order), literal(int(table is plot)).label("is_plot"))
        part = part.where(place > reached, table.c.clock <= bindparam("upto"))
        # A limit on each: for one on the union PostgreSQL would read and sort both tables.
        parts.append(select(part.order_by(*(table.c[field] for field in order)).limit(most).subquery()))
    return Prepared(union_all(*parts).order_by(*order).limit(most))


_CHANGES = _changes()
_ID = Prepared(
    select(name.c.id).where(name.c.session == bindparam("of_session"), name.c.filename == bindparam("of_filename"))
)
_COPY = Prepared(select(plot.c.clock).where(OF_KEY).limit(1))
