"""Reading and writing within one transaction: rows, changes, and what must be kept beside them."""

from collections import defaultdict
from collections.abc import Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    not_,
    select,
    tuple_,
    update,
)

from plotindex.storage.statements import Insertion, Prepared
from plotindex.storage.tables import catalogue, excess, plot, removal, session
from plotindex.tree import INT64_MAX, Layout, Plot, Row, Scope

KEPT_REMOVALS = 100_000
"""How many removals a cursor of /changes can still be told of."""

NUMBERS = (plot.c.size, plot.c.mtime_ns, plot.c.ctime_ns, plot.c.inode)
PLOT = (plot.c.session, plot.c.project, plot.c.filename, *NUMBERS)


LeftOut = tuple[str | None, int, int]
"""Of a session: the first filename that is left out, how many plots from there on, how many folders are too deep."""
NOTHING_LEFT_OUT: LeftOut = (None, 0, 0)


class Header(NamedTuple):
    """The one row that says whose catalogue this is."""

    root: str
    identity: str | None
    pattern: str
    suffixes: str
    clock: int
    born: int
    trimmed: int

    def is_of(self, layout: Layout) -> bool:
        """Whether the catalogue was built with that grammar."""
        return (self.pattern, self.suffixes) == grammar(layout)


class Change(NamedTuple):
    """One copy in the catalogue and in the tree; None where there is none."""

    before: Plot | None
    after: Plot | None


class Writer:
    """What can be read and written within one write transaction. Made by `Catalog.writing`."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._known_excess: dict[str, LeftOut] = {}
        self.plot_counts: dict[str, int] = {}
        """How many plots each session has that this transaction changed."""
        self.has_changes = False
        """Whether it has moved the clock."""

    def header(self) -> Header | None:
        return read_header(self.connection)

    def sessions(self) -> list[str]:
        return list(self.connection.execute(select(session.c.session)).scalars())

    def rows(self, scope: Scope, after: tuple[str, str] | None, limit: int) -> Sequence[Row]:
        """The plots within a scope, by filename and project, from behind the position `after`."""
        return read_rows(self.connection, scope, after, limit)

    def apply(self, changes: Sequence[Change], added: Sequence[Sequence[Row]] = ()) -> None:
        """Write changes, with the removals, session rows and clock that belong to them.

        `added` are plots where there is no row, each part of one session.
        """
        if not changes and not added:
            return
        clock = self._tick()
        for rows in added:
            _ADDITION(self.connection, rows, clock)
            self._tally_rows(rows, clock)
        removed = [change.before for change in changes if change.before and not change.after]
        new = [change.after for change in changes if change.after and not change.before]
        changed = [change.after for change in changes if change.after and change.before]
        if removed:
            self.connection.execute(_DELETE, [_key_parameters(row) for row in removed])
            self.connection.execute(insert(removal), [_removal(row, clock) for row in removed])
        if new:
            _ADDITION(self.connection, new, clock)
        if changed:
            self.connection.execute(
                _UPDATE, [{**_key_parameters(row), **_numbers(row), "clock": clock} for row in changed]
            )
        by_session: dict[str, list[Change]] = defaultdict(list)
        for change in changes:
            by_session[(change.after or change.before).session].append(change)  # type: ignore[union-attr]  # one is there
        for name, own in by_session.items():
            self._tally(name, own, clock)

    def cutoff(self, name: str) -> str | None:
        """The first filename of a session that is left out, or None."""
        return self._excess(name)[0]

    def record_truncation(self, name: str, cut: str | None, plots: int, folders: int) -> None:
        """Record what of a session is left out, as a look at all of it found."""
        known, found = self._excess(name), (cut, plots, folders)
        if known == found:
            return
        self._known_excess[name] = found
        self.connection.execute(delete(excess).where(excess.c.session == name))
        if found != NOTHING_LEFT_OUT:
            self.connection.execute(insert(excess).values(session=name, cut=cut, plots=plots, folders=folders))

    def mark_too_deep(self, name: str) -> None:
        """Record that something of a session lies too deep; how much, the next look at all of it counts."""
        cut, plots, folders = self._excess(name)
        self.record_truncation(name, cut, plots, folders or 1)

    def truncate_to(self, name: str, most: int) -> list[Plot]:
        """Leave out the filenames beyond `most` plots, each with all its copies; as `truncate_from`."""
        order = select(plot.c.filename).where(plot.c.session == name).order_by(plot.c.filename, plot.c.project)
        return self.truncate_from(name, self.connection.execute(order.offset(most).limit(1)).scalar_one())

    def truncate_from(self, name: str, cut: str, unseen: int = 0) -> list[Plot]:
        """Record that filenames from `cut` on are left out, so many of them never seen; return those to be removed."""
        known, plots, folders = self._excess(name)
        first = cut if known is None else min(cut, known)
        beyond = select(*PLOT).where(plot.c.session == name, plot.c.filename >= first)
        rows = [Plot._make(row) for row in self.connection.execute(beyond)]
        self.record_truncation(name, first, plots + len(rows) + unseen, folders)
        return rows

    def recount(self, name: str) -> None:
        """Write a session's row anew from its plots."""
        plots, newest, clock = self.connection.execute(
            select(func.count(), func.max(plot.c.mtime_ns), func.max(plot.c.clock)).where(plot.c.session == name)
        ).one()
        self._store_session(name, plots, newest, clock)

    def record_header(self, *, identity: str | None = None, layout: Layout | None = None) -> None:
        """Record the root's identity, or the grammar that the catalogue now answers for."""
        if identity is not None:
            self.connection.execute(update(catalogue).values(identity=identity))
        if layout is not None:
            pattern, suffixes = grammar(layout)
            self.connection.execute(update(catalogue).values(pattern=pattern, suffixes=suffixes))

    def expire_cursors(self, now_us: int) -> None:
        """Let every cursor start afresh, also one from behind the clock: commits that it has seen may be lost."""
        self._tick()
        ahead = case((catalogue.c.clock < now_us, now_us), else_=catalogue.c.clock)
        self.connection.execute(update(catalogue).values(clock=ahead))
        self.trim_removals(keep=0)

    def trim_removals(self, keep: int = KEPT_REMOVALS) -> None:
        """Forget all but the latest removals: a cursor from before them starts afresh, with none kept every one."""
        if keep == 0:
            self._tick()
            self.connection.execute(delete(removal))
            self.connection.execute(update(catalogue).values(trimmed=catalogue.c.clock))
            return
        # Two that trim take this row in the same order as those who tick and remove.
        self.connection.execute(select(catalogue.c.clock).with_for_update())
        newest = select(removal.c.clock).order_by(removal.c.clock.desc()).offset(keep).limit(1)
        bound = self.connection.execute(newest).scalar()
        if bound is not None:
            self.connection.execute(delete(removal).where(removal.c.clock <= bound))
            self.connection.execute(update(catalogue).values(trimmed=bound))

    def _excess(self, name: str) -> LeftOut:
        if name not in self._known_excess:
            self._known_excess[name] = read_excess(self.connection, name)
        return self._known_excess[name]

    def _tick(self) -> int:
        self.has_changes = True
        ((clock,),) = _TICK(self.connection, {})
        return int(clock)

    def _tally(self, name: str, changes: Sequence[Change], clock: int) -> None:
        rows = _SESSION(self.connection, {"of_session": name})
        if not rows and any(change.before for change in changes):
            # Somebody has emptied that table.
            self.recount(name)
            return
        plots, newest = rows[0] if rows else (0, None)
        plots += sum((change.after is not None) - (change.before is not None) for change in changes)
        latest = max((change.after.mtime_ns for change in changes if change.after), default=None)
        lost = max((change.before.mtime_ns for change in changes if change.before), default=None)
        if newest is None or (latest is not None and latest >= newest):
            newest = latest
        elif lost is not None and lost >= newest:
            newest = self.connection.execute(select(func.max(plot.c.mtime_ns)).where(plot.c.session == name)).scalar()
        self._store_session(name, plots, newest, clock)

    def _tally_rows(self, rows: Sequence[Row], clock: int) -> None:
        name = rows[0][0]
        newest = max(map(_MTIME_NS, rows))
        known = _SESSION(self.connection, {"of_session": name})
        if known:
            newest = max(newest, known[0][1])
        self._store_session(name, (known[0][0] if known else 0) + len(rows), newest, clock)

    def _store_session(self, name: str, plots: int, newest: int | None, clock: int | None) -> None:
        self.plot_counts[name] = plots
        if not plots:
            self.connection.execute(delete(session).where(session.c.session == name))
            return
        values = {"plots": plots, "mtime_ns": newest, "clock": clock}
        given = {"of_session": name, **{f"new_{column}": value for column, value in values.items()}}
        if not _UPDATE_SESSION.count(self.connection, given):
            _INSERT_SESSION.count(self.connection, {"session": name, **values})


_OWN_KEY = and_(
    plot.c.session == bindparam("of_session"),
    plot.c.filename == bindparam("of_filename"),
    plot.c.project == bindparam("of_project"),
)
_DELETE = delete(plot).where(_OWN_KEY)
_ADDITION = Insertion(plot, [column.name for column in PLOT], "clock")
_MTIME_NS = itemgetter(Plot._fields.index("mtime_ns"))
_UPDATE = update(plot).where(_OWN_KEY)


def _key_parameters(row: Plot) -> dict[str, Any]:
    return {"of_session": row.session, "of_filename": row.filename, "of_project": row.project}


def _numbers(row: Plot) -> dict[str, Any]:
    return {"size": row.size, "mtime_ns": row.mtime_ns, "ctime_ns": row.ctime_ns, "inode": row.inode}


def _removal(row: Plot, clock: int) -> dict[str, Any]:
    return {"clock": clock, "session": row.session, "filename": row.filename, "project": row.project}


def grammar(layout: Layout) -> tuple[str, str]:
    return layout.project_pattern, " ".join(sorted(layout.suffixes))


def read_header(connection: Connection) -> Header | None:
    rows = _HEADER(connection, {})
    return Header._make(rows[0]) if rows else None


_HEADER = Prepared(select(*(catalogue.c[name] for name in Header._fields)))
_TICK = Prepared(update(catalogue).values(clock=catalogue.c.clock + 1).returning(catalogue.c.clock))
_INSERT_SESSION = Prepared(insert(session))
_SESSION = Prepared(select(session.c.plots, session.c.mtime_ns).where(session.c.session == bindparam("of_session")))
_UPDATE_SESSION = Prepared(
    update(session)
    .where(session.c.session == bindparam("of_session"))
    .values({name: bindparam(f"new_{name}") for name in ("plots", "mtime_ns", "clock")})
)
_EXCESS = Prepared(
    select(excess.c.cut, excess.c.plots, excess.c.folders).where(excess.c.session == bindparam("of_session"))
)


def read_excess(connection: Connection, name: str) -> LeftOut:
    """What of a session is left out."""
    rows = _EXCESS(connection, {"of_session": name})
    return tuple(rows[0]) if rows else NOTHING_LEFT_OUT


def _rows_within(*conditions: ColumnElement[bool]) -> tuple[Prepared, Prepared]:
    """The queries for the first rows there are, and for those behind a position."""
    beyond = tuple_(plot.c.filename, plot.c.project) > tuple_(bindparam("after_filename"), bindparam("after_project"))
    first = select(*PLOT).where(plot.c.session == bindparam("of_session"), *conditions)
    first = first.order_by(plot.c.filename, plot.c.project).limit(bindparam("most", type_=BigInteger))
    return Prepared(first), Prepared(first.where(beyond))


_OF_PROJECT = plot.c.project == bindparam("of_project")


# "0" is the character behind "/": what lies below a folder is a range, and the folder's own name begins it.
# What else is in that range (x.png and x.png-old) is left out by a condition that tempts no planner away from it.
_AT_OR_BELOW = and_(
    plot.c.filename >= bindparam("at"),
    plot.c.filename < bindparam("end"),
    not_(and_(plot.c.filename > bindparam("at"), plot.c.filename < bindparam("below"))),
)
_ROWS_OF_SESSION = _rows_within()
_ROWS_OF_PROJECT = _rows_within(_OF_PROJECT)
_ROWS_OF_PATH = _rows_within(_OF_PROJECT, _AT_OR_BELOW)


def read_rows(
    connection: Connection, scope: Scope, after: tuple[str, str] | None = None, limit: int = INT64_MAX
) -> Sequence[Row]:
    """The plots within a scope that lies in one session, by filename and project, from behind a position."""
    values = {"of_session": scope.session, "most": limit}
    queries = _ROWS_OF_SESSION
    if scope.project is not None:
        queries = _ROWS_OF_PROJECT
        values["of_project"] = scope.project
    if scope.path is not None:
        queries = _ROWS_OF_PATH
        values |= {"at": scope.path, "below": scope.path + "/", "end": scope.path + "0"}
    first, beyond = queries
    if after is None:
        return first(connection, values)
    return beyond(connection, {**values, "after_filename": after[0], "after_project": after[1]})
