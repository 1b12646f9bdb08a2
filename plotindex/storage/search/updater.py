"""Names are taken in for the search behind the clock: whoever writes plots does not wait for it.

What is in is what plots and removals say up to a position in the order of (clock, session, filename). Whoever searches
reads what lies behind that from the plots. So the search is never wrong for being behind, only slower.
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
from plotindex.storage.search import fulltext as matching
from plotindex.storage.statements import Prepared
from plotindex.storage.tables import name, plot, removal, searched
from plotindex.storage.writer import Header, read_header
from plotindex.tree import PlotKey

MOST_TAKEN = 500
"""Changes that one transaction takes in at most: so long, at most, does anybody wait for a turn."""
RECENT = 100
"""A key that changes again while so few others have changed keeps its place among the latest."""


class Position(NamedTuple):
    """Up to where names are taken in."""

    clock: int
    session: str
    filename: str
    trimmed: int
    """What the catalogue's was when that was begun."""
    outdated: int
    """Names with an id up to this were there before, and go when all are in."""

    def is_behind(self, header: Header) -> bool:
        """Whether there may be changes that are not taken in yet."""
        return self.clock <= header.clock


def read_position(connection: Connection, header: Header) -> Position | None:
    """Up to where names are taken in; None when nothing is, or what is cannot be gone on with."""
    row = connection.execute(select(*(searched.c[field] for field in Position._fields))).first()
    if row is None:
        return None
    position = Position._make(row)
    is_of_another = position.clock > header.clock + 1 or header.trimmed > max(position.clock, position.trimmed)
    return None if is_of_another or _was_emptied(connection, header, position) else position


def _was_emptied(connection: Connection, header: Header, position: Position) -> bool:
    """Whether every name is said to be in, and none is: somebody emptied the table."""
    if position.is_behind(header) or connection.execute(select(name.c.id).limit(1)).first():
        return False
    return connection.execute(select(plot.c.clock).limit(1)).first() is not None


class IndexUpdater:
    """Takes in the names of one catalogue."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def step(self, most: int = MOST_TAKEN) -> bool:
        """One transaction at most, of so many changes; return whether there are more.

        Raises:
            LockTimeoutError: others held the catalogue for longer than a writer waits.
            CatalogError: it cannot be read or written.
        """
        if not self._is_behind():
            return False
        with self._catalog.writing() as writer:
            return _take_in(writer.connection, most)

    def _is_behind(self) -> bool:
        with self._catalog.database.reading() as connection:
            header = read_header(connection)
            position = read_position(connection, header) if header else None
            return header is not None and (position is None or position.is_behind(header) or position.outdated > 0)

    def run(self, seconds: float) -> bool:
        """Take in all there is, for at most so long; return whether that is all. Raises as `step` does."""
        deadline = time.monotonic() + seconds
        while is_more := self.step():
            if time.monotonic() >= deadline:
                break
        return not is_more


def _take_in(connection: Connection, most: int) -> bool:
    # Whoever else takes names in waits here; then the clock, and only then the changes up to it.
    connection.execute(select(searched.c.clock).with_for_update())
    header = read_header(connection)
    if header is None:
        return False
    position = read_position(connection, header)
    top = connection.execute(select(func.max(name.c.id))).scalar() or 0
    if position is None:
        # What is in may be of another time: each name that is still right gets another id on the way.
        position = Position(0, "", "", header.trimmed, outdated=top)
        if top == 0:
            matching.empty(connection)
    values = {"of_clock": position.clock, "of_session": position.session, "of_filename": position.filename}
    rows = _CHANGES(connection, {**values, "upto": header.clock, "most": most})
    drawn = {PlotKey(session, filename) for _, session, filename, is_plot in rows if is_plot}
    named = dict.fromkeys(PlotKey(session, filename) for _, session, filename, _ in rows)
    are_there = {key: key in drawn or bool(_COPY(connection, _values(key))) for key in named}
    _store(connection, are_there, top, max(top - RECENT, position.outdated))
    is_more = len(rows) == most
    clock, session, filename = rows[-1][:3] if is_more else (header.clock + 1, "", "")
    outdated = position.outdated
    if outdated and not is_more:
        is_more = not _forget_outdated(connection, outdated, most)
        outdated = outdated if is_more else 0
    now = Position(clock, session, filename, position.trimmed, outdated)._asdict()
    if not connection.execute(update(searched).values(now)).rowcount:
        connection.execute(insert(searched).values(now))
    return is_more


def _store(connection: Connection, keys: Mapping[PlotKey, bool], top: int, old: int) -> None:
    """Give each key that has a copy the next id, unless it has one beyond `old`; the others go."""
    outdated: list[tuple[int, str]] = []
    latest: list[dict[str, object]] = []
    for key, is_there in keys.items():
        known = _ID(connection, _values(key))
        if known and is_there and known[0][0] > old:
            continue
        if known:
            outdated.append((known[0][0], key.filename))
        if is_there:
            latest.append({"id": top + len(latest) + 1, **key._asdict()})
    _forget(connection, sorted(outdated))
    if latest:
        connection.execute(insert(name), latest)
        matching.add(connection, above=top)


def _forget_outdated(connection: Connection, outdated: int, most: int) -> bool:
    """Let names go that were not found again; return whether that were all."""
    query = select(name.c.id, name.c.filename).where(name.c.id <= outdated).order_by(name.c.id).limit(most)
    rows = [(row.id, row.filename) for row in connection.execute(query)]
    _forget(connection, rows)
    return len(rows) < most


def _forget(connection: Connection, names: Sequence[tuple[int, str]]) -> None:
    if names:
        rows = [{"of_id": number, "filename": filename} for number, filename in names]
        connection.execute(delete(name).where(name.c.id == bindparam("of_id")), rows)
        matching.remove(connection, rows)


def _values(key: PlotKey) -> dict[str, str]:
    return {"of_session": key.session, "of_filename": key.filename}


def _changes() -> Prepared:
    order = ("clock", "session", "filename")
    most = bindparam("most", type_=BigInteger)
    parts = []
    for table in (plot, removal):
        place = tuple_(*(table.c[field] for field in order))
        reached = tuple_(bindparam("of_clock", type_=BigInteger), bindparam("of_session"), bindparam("of_filename"))
        part = select(*(table.c[field] for field in order), literal(int(table is plot)).label("is_plot"))
        part = part.where(place > reached, table.c.clock <= bindparam("upto"))
        # The first of each: PostgreSQL would read and sort both tables for the first of all.
        parts.append(select(part.order_by(*(table.c[field] for field in order)).limit(most).subquery()))
    return Prepared(union_all(*parts).order_by(*order).limit(most))


_CHANGES = _changes()
_OF_KEY = (name.c.session == bindparam("of_session"), name.c.filename == bindparam("of_filename"))
_ID = Prepared(select(name.c.id).where(*_OF_KEY))
_COPY = Prepared(
    select(plot.c.clock)
    .where(plot.c.session == bindparam("of_session"), plot.c.filename == bindparam("of_filename"))
    .limit(1)
)
