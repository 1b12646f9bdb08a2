"""Select in SQL the sessions that a caller may see; the clock and the changes of these alone."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from itertools import islice
from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    CompoundSelect,
    Table,
    and_,
    bindparam,
    func,
    select,
    true,
    union_all,
)

from plotindex.storage.catalog_header import Header
from plotindex.storage.session_selection import selection_of
from plotindex.storage.statements import Connection, Prepared
from plotindex.storage.tables import plot, removal, session, trim
from plotindex.tree import SessionFilter

ChangeRow = Sequence[Any]
"""Clock, session and filename."""
ReadChanges = Callable[[int, int, int], Sequence[ChangeRow]]
"""Reads the changes behind a clock, up to a clock, and at most so many, by clock."""


def is_visible(column: ColumnElement[str], allows: SessionFilter) -> ColumnElement[bool]:
    """A condition for names that the caller may see. Only a `SessionFilter` of one name makes it exact."""
    kind, values = _selection(allows)
    return _conditions(column, values)[kind]


def _selection(allows: SessionFilter) -> tuple[str, dict[str, object]]:
    """The condition that selects the sessions, and its parameters."""
    kind, first, end = selection_of(allows)
    values: dict[str, dict[str, object]] = {"name": {"of_session": first}, "range": {"start": first, "end": end}}
    return kind, values.get(kind, {})


def _conditions(column: ColumnElement[str], values: Mapping[str, object]) -> dict[str, ColumnElement[bool]]:
    """The conditions by kind of selection; parameters that are not in `values` are given later."""
    names = ("of_session", "start", "end")
    name, start, end = [_parameter(name, values) for name in names]
    return {"name": column == name, "range": and_(column >= start, column < end), "all": true()}


def _parameter(name: str, values: Mapping[str, object]) -> BindParameter[Any]:
    return bindparam(name, values[name], unique=True) if name in values else bindparam(name)


def newest_clock(connection: Connection, header: Header, allows: SessionFilter) -> int:
    """The clock of the last commit that changed the sessions that the caller may see."""
    if allows.is_all:
        return header.clock
    is_allowed = cache(allows.allows)
    newest = header.born
    kind, values = _selection(allows)
    for queries in _CLOCKS:
        rows = queries[kind](connection, {**values, "since": newest})
        newest = next((clock for name, clock in rows if name and is_allowed(name)), newest)
    return int(newest)


def has_trimmed(connection: Connection, allows: SessionFilter, since: int) -> bool:
    """Whether removals after a clock, in the sessions that the caller may see, have been trimmed."""
    kind, values = _selection(allows)
    trimmed = _TRIMMED[kind](connection, {**values, "since": since})
    # A clock that is older than what was merged may miss removals of any session.
    return any(name and allows(name) for name, _ in trimmed) or bool(_MERGED(connection, {"since": since}))


def changes_reader(connection: Connection, allows: SessionFilter, *, by_clock: bool) -> ReadChanges:
    """A function that reads changes in the sessions that the caller may see.

    `by_clock`: the caller may see every session, so that changes of one may be read among those of all.
    """
    name = allows.name

    def read(since: int, upto: int, most: int) -> Sequence[ChangeRow]:
        values: dict[str, object] = {"since": since, "upto": upto}
        if name is not None:
            statement = _CHANGES_BY_CLOCK if by_clock else _CHANGES_BY_SESSION
            return statement(connection, {**values, "most": most, "of_session": name})
        if allows.is_all:
            return _CHANGES(connection, {**values, "most": most})
        return list(islice(_allowed_changes(connection, allows, values), most))

    return read


def _allowed_changes(connection: Connection, allows: SessionFilter, values: dict[str, object]) -> Iterator[ChangeRow]:
    is_allowed = cache(allows.allows)
    query = _changes(lambda column: is_visible(column, allows))
    with connection.execution_options(yield_per=1000).execute(query, values) as rows:
        yield from (row for row in rows if is_allowed(row[1]))


def _changes(
    condition: Callable[[ColumnElement[str]], ColumnElement[bool]], *, by_session: bool = False
) -> CompoundSelect[Any]:
    parts = []
    for table in (plot, removal):
        # With an expression, no index of the clock is used: it would lead through the changes of other sessions.
        clock = table.c.clock + 0 if by_session else table.c.clock
        parts.append(
            select(table.c.clock, table.c.session, table.c.filename).where(
                clock > bindparam("since", type_=BigInteger),
                clock <= bindparam("upto", type_=BigInteger),
                condition(table.c.session),
            )
        )
    return union_all(*parts).order_by("clock")


def _prepared(condition: Callable[[ColumnElement[str]], ColumnElement[bool]], *, by_session: bool = False) -> Prepared:
    return Prepared(_changes(condition, by_session=by_session).limit(bindparam("most", type_=BigInteger)))


def _clocks(table: Table) -> dict[str, Prepared]:
    """Sessions with their newest clock behind another one, the newest first; by kind of selection."""
    clock = func.max(table.c.clock) if table is removal else table.c.clock
    query = select(table.c.session, clock).where(table.c.clock > bindparam("since", type_=BigInteger))
    query = query.group_by(table.c.session) if table is removal else query
    conditions = _conditions(table.c.session, {})
    return {kind: Prepared(query.where(condition).order_by(clock.desc())) for kind, condition in conditions.items()}


_TRIMMED = _clocks(trim)
_MERGED = Prepared("SELECT 1 FROM trim WHERE session = '' AND clock > :since")
_CLOCKS = (_clocks(session), _clocks(removal), _TRIMMED)
_CHANGES = _prepared(lambda _column: true())
_CHANGES_BY_CLOCK = _prepared(lambda column: column == bindparam("of_session"))
_CHANGES_BY_SESSION = _prepared(lambda column: column == bindparam("of_session"), by_session=True)
