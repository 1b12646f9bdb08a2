"""Write within one transaction: plots, and what must be kept equal to them."""

from collections import defaultdict
from collections.abc import Sequence
from operator import itemgetter
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, case, delete, func, insert, select, update

from plotindex.storage.catalog_header import Header, grammar_of, read_header
from plotindex.storage.rows import OF_KEY, OF_PROJECT, insert_rows, read_rows
from plotindex.storage.statements import Prepared
from plotindex.storage.tables import catalogue, plot, removal, session, trim
from plotindex.storage.truncated_sessions import Truncations, read_names_bytes
from plotindex.tree import Layout, Plot, Row, Scope

KEPT_REMOVALS = 100_000
"""Removals that a cursor of /changes can still read."""


class Change(NamedTuple):
    """One copy in the catalogue and in the tree; None where there is none."""

    before: Plot | None
    after: Plot | None


class Writer:
    """Reads and writes within one write transaction. Made by `Catalog.writing`."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.truncations = Truncations(connection)
        self.plot_counts: dict[str, int] = {}
        """The number of plots of each session changed by this transaction."""
        self.former_clocks: dict[str, int | None] = {}
        """The clock of each of these sessions before it; None for a new session."""
        self.clocks: dict[str, int | None] = {}
        """The clock of each of these sessions now."""
        self.has_changes = False
        """Whether it has advanced the clock."""

    def header(self) -> Header | None:
        return read_header(self.connection)

    def sessions(self) -> list[str]:
        return list(self.connection.execute(select(session.c.session)).scalars())

    def rows(self, scope: Scope, after: tuple[str, str] | None, limit: int) -> Sequence[Row]:
        """The plots within a scope, by filename and project, from behind the position `after`."""
        return read_rows(self.connection, scope, after, limit)

    def names_bytes(self, name: str) -> int:
        """Sum of the bytes of a session's indexed filenames."""
        return read_names_bytes(self.connection, name)

    def apply(self, changes: Sequence[Change], added: Sequence[Sequence[Row]] = ()) -> None:
        """Write changes, with the removals, session rows and clock that belong to them.

        `added` are plots without a row yet, each sequence from one session.
        """
        if not changes and not added:
            return
        clock = self._advance_clock()
        for rows in added:
            insert_rows(self.connection, rows, clock)
            self._count_added(rows, clock)
        removed = [change.before for change in changes if change.before and not change.after]
        new = [change.after for change in changes if change.after and not change.before]
        changed = [change.after for change in changes if change.after and change.before]
        if removed:
            self.connection.execute(_DELETE, [_place(row) for row in removed])
            self.connection.execute(insert(removal), [_removal(row, clock) for row in removed])
        if new:
            insert_rows(self.connection, new, clock)
        if changed:
            self.connection.execute(_UPDATE, [{**_place(row), **_numbers(row), "clock": clock} for row in changed])
        by_session: dict[str, list[Change]] = defaultdict(list)
        for change in changes:
            by_session[(change.after or change.before).session].append(change)  # type: ignore[union-attr]  # one is there
        for name, own in by_session.items():
            self._count_changes(name, own, clock)

    def recount(self, name: str) -> None:
        """Rewrite a session's row from its plots."""
        plots, newest, clock = self.connection.execute(
            select(func.count(), func.max(plot.c.mtime_ns), func.max(plot.c.clock)).where(plot.c.session == name)
        ).one()
        self._store_session(name, plots, newest, clock)

    def record_identity(self, identity: str) -> None:
        """Store the identity of the root."""
        self.connection.execute(update(catalogue).values(identity=identity))

    def record_grammar(self, layout: Layout) -> None:
        """Store the grammar that the catalogue is now complete for."""
        self.connection.execute(update(catalogue).values(**grammar_of(layout)))

    def expire_cursors(self, now_us: int) -> None:
        """Expire every cursor, also one ahead of the clock, which may have seen commits that are lost."""
        self._advance_clock()
        ahead = case((catalogue.c.clock < now_us, now_us), else_=catalogue.c.clock)
        self.connection.execute(update(catalogue).values(clock=ahead))
        self.trim_removals(keep=0)

    def trim_removals(self, keep: int = KEPT_REMOVALS) -> None:
        """Delete all but the latest removals, which expires older cursors in their sessions; with 0 every cursor."""
        if keep == 0:
            self._advance_clock()
            self.connection.execute(delete(removal))
            self.connection.execute(delete(trim))
            self.connection.execute(update(catalogue).values(born=catalogue.c.clock, trimmed=catalogue.c.clock))
            return
        # Concurrent trims lock this row first, as a writer that advances the clock does.
        self.connection.execute(select(catalogue.c.clock).with_for_update())
        newest = select(removal.c.clock).order_by(removal.c.clock.desc()).offset(keep).limit(1)
        bound = self.connection.execute(newest).scalar()
        if bound is not None:
            self._record_trim(bound)
            self.connection.execute(delete(removal).where(removal.c.clock <= bound))
            self.connection.execute(update(catalogue).values(trimmed=bound))

    def _record_trim(self, bound: int) -> None:
        """Store the newest removal up to `bound` of each session."""
        newest = select(removal.c.session, func.max(removal.c.clock)).where(removal.c.clock <= bound)
        newest = newest.group_by(removal.c.session)
        trimmed = select(removal.c.session).where(removal.c.clock <= bound)
        self.connection.execute(delete(trim).where(trim.c.session.in_(trimmed)))
        self.connection.execute(insert(trim).from_select(["session", "clock"], newest))

    def _advance_clock(self) -> int:
        self.has_changes = True
        ((clock,),) = _ADVANCE_CLOCK(self.connection, {})
        return int(clock)

    def _count_changes(self, name: str, changes: Sequence[Change], clock: int) -> None:
        rows = _SESSION(self.connection, {"of_session": name})
        if not rows and any(change.before for change in changes):
            # The session's row was lost.
            self.recount(name)
            return
        plots, newest, former_clock = rows[0] if rows else (0, None, None)
        self.former_clocks.setdefault(name, former_clock)
        plots += sum((change.after is not None) - (change.before is not None) for change in changes)
        latest = max((change.after.mtime_ns for change in changes if change.after), default=None)
        lost = max((change.before.mtime_ns for change in changes if change.before), default=None)
        if newest is None or (latest is not None and latest >= newest):
            newest = latest
        elif lost is not None and lost >= newest:
            newest = self.connection.execute(select(func.max(plot.c.mtime_ns)).where(plot.c.session == name)).scalar()
        self._store_session(name, plots, newest, clock)

    def _count_added(self, rows: Sequence[Row], clock: int) -> None:
        name = rows[0][0]
        newest = max(map(_MTIME_NS, rows))
        known = _SESSION(self.connection, {"of_session": name})
        if known:
            newest = max(newest, known[0][1])
        self.former_clocks.setdefault(name, known[0][2] if known else None)
        self._store_session(name, (known[0][0] if known else 0) + len(rows), newest, clock)

    def _store_session(self, name: str, plots: int, newest: int | None, clock: int | None) -> None:
        self.plot_counts[name], self.clocks[name] = plots, clock
        if not plots:
            self.connection.execute(delete(session).where(session.c.session == name))
            return
        values = {"plots": plots, "mtime_ns": newest, "clock": clock}
        given = {"of_session": name, **{f"new_{column}": value for column, value in values.items()}}
        if not _UPDATE_SESSION.count(self.connection, given):
            _INSERT_SESSION.count(self.connection, {"session": name, **values})


def _place(row: Plot) -> dict[str, object]:
    return {"of_session": row.session, "of_filename": row.filename, "of_project": row.project}


def _numbers(row: Plot) -> dict[str, object]:
    return {"size": row.size, "mtime_ns": row.mtime_ns, "ctime_ns": row.ctime_ns, "inode": row.inode}


def _removal(row: Plot, clock: int) -> dict[str, object]:
    return {"clock": clock, "session": row.session, "filename": row.filename, "project": row.project}


_MTIME_NS = itemgetter(Plot._fields.index("mtime_ns"))
_DELETE = delete(plot).where(OF_KEY, OF_PROJECT)
_UPDATE = update(plot).where(OF_KEY, OF_PROJECT)
_ADVANCE_CLOCK = Prepared(update(catalogue).values(clock=catalogue.c.clock + 1).returning(catalogue.c.clock))
_INSERT_SESSION = Prepared(insert(session))
_SESSION = Prepared(
    select(session.c.plots, session.c.mtime_ns, session.c.clock).where(session.c.session == bindparam("of_session"))
)
_UPDATE_SESSION = Prepared(
    update(session)
    .where(session.c.session == bindparam("of_session"))
    .values({name: bindparam(f"new_{name}") for name in ("plots", "mtime_ns", "clock")})
)
