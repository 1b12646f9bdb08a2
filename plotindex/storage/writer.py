"""Write within one transaction: plots, and what must be kept equal to them."""

from collections import defaultdict
from collections.abc import Sequence
from operator import itemgetter
from typing import NamedTuple

from plotindex.storage.catalog_header import Header, grammar_of, read_header
from plotindex.storage.rows import OF_COPY, ScopeRow, insert_rows, read_rows
from plotindex.storage.statements import SQLITE, Connection, Prepared
from plotindex.storage.truncated_sessions import Truncations, read_names_bytes
from plotindex.tree import Layout, Plot, Row, Scope

KEPT_REMOVALS = 100_000
"""Removals that a cursor of /changes can still read."""
KEPT_TRIMS = 100_000
"""Sessions whose newest trimmed removal is stored; of the others only the newest of all."""


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
        return _SESSIONS.column(self.connection)

    def rows(self, scope: Scope, after: tuple[str, str] | None, limit: int) -> Sequence[ScopeRow]:
        """The plots within a scope, without its session, by filename and project, from behind the position `after`."""
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
            places = [{**_place(row), "clock": clock} for row in removed]
            _DELETE.each(self.connection, places)
            _INSERT_REMOVAL.each(self.connection, places)
        if new:
            insert_rows(self.connection, new, clock)
        if changed:
            _UPDATE.each(self.connection, [{**_place(row), **_numbers(row), "clock": clock} for row in changed])
        by_session: dict[str, list[Change]] = defaultdict(list)
        for change in changes:
            by_session[(change.after or change.before).session].append(change)  # type: ignore[union-attr]  # one is there
        for name, own in by_session.items():
            self._count_changes(name, own, clock)

    def recount(self, name: str) -> None:
        """Rewrite a session's row from its plots."""
        ((plots, newest, clock),) = _COUNTED(self.connection, {"of_session": name})
        self._store_session(name, plots, newest, clock)

    def record_identity(self, identity: str) -> None:
        """Store the identity of the root."""
        _RECORD_IDENTITY.count(self.connection, {"identity": identity})

    def record_grammar(self, layout: Layout) -> None:
        """Store the grammar that the catalogue is now complete for."""
        _RECORD_GRAMMAR.count(self.connection, grammar_of(layout))

    def expire_cursors(self, now_us: int) -> None:
        """Expire every cursor, also one ahead of the clock, which may have seen commits that are lost."""
        self._advance_clock()
        _ADVANCE_TO.count(self.connection, {"now": now_us})
        self.trim_removals(keep=0)

    def trim_removals(self, keep: int = KEPT_REMOVALS) -> None:
        """Delete all but the latest removals, which expires older cursors in their sessions; with 0 every cursor."""
        if keep == 0:
            self._advance_clock()
            for statement in _EXPIRE_ALL:
                statement.count(self.connection)
            return
        # Concurrent trims lock this row first, as a writer that advances the clock does.
        if self.connection.kind != SQLITE:
            _LOCK_CLOCK(self.connection)
        bound = _REMOVAL_BEFORE.value(self.connection, {"keep": keep})
        if bound is not None:
            for statement in _TRIM:
                statement.count(self.connection, {"bound": bound})
            self._merge_trims()

    def _merge_trims(self) -> None:
        """Bound the rows that removed sessions leave behind."""
        bound = _TRIM_BEFORE.value(self.connection, {"keep": KEPT_TRIMS})
        if bound is not None:
            for statement in _MERGE:
                statement.count(self.connection, {"bound": bound})

    def _advance_clock(self) -> int:
        self.has_changes = True
        return int(_ADVANCE_CLOCK.value(self.connection))

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
            newest = _NEWEST.value(self.connection, {"of_session": name})
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
            _DELETE_SESSION.count(self.connection, {"of_session": name})
            return
        values = {"of_session": name, "plots": plots, "mtime_ns": newest, "clock": clock}
        if not _UPDATE_SESSION.count(self.connection, values):
            _INSERT_SESSION.count(self.connection, values)


def _place(row: Plot) -> dict[str, object]:
    return {"of_session": row.session, "of_filename": row.filename, "of_project": row.project}


def _numbers(row: Plot) -> dict[str, object]:
    return {"size": row.size, "mtime_ns": row.mtime_ns, "ctime_ns": row.ctime_ns, "inode": row.inode}


_MTIME_NS = itemgetter(Plot._fields.index("mtime_ns"))
_DELETE = Prepared(f"DELETE FROM plot WHERE {OF_COPY}")
_UPDATE = Prepared(
    "UPDATE plot SET size = :size, mtime_ns = :mtime_ns, ctime_ns = :ctime_ns, inode = :inode, clock = :clock "
    f"WHERE {OF_COPY}"
)
_INSERT_REMOVAL = Prepared(
    "INSERT INTO removal (clock, session, filename, project) VALUES (:clock, :of_session, :of_filename, :of_project)"
)
_NEWEST = Prepared("SELECT max(mtime_ns) FROM plot WHERE session = :of_session")
_COUNTED = Prepared("SELECT count(*), max(mtime_ns), max(clock) FROM plot WHERE session = :of_session")

_SESSIONS = Prepared("SELECT session FROM session")
_SESSION = Prepared("SELECT plots, mtime_ns, clock FROM session WHERE session = :of_session")
_DELETE_SESSION = Prepared("DELETE FROM session WHERE session = :of_session")
_UPDATE_SESSION = Prepared(
    "UPDATE session SET plots = :plots, mtime_ns = :mtime_ns, clock = :clock WHERE session = :of_session"
)
_INSERT_SESSION = Prepared(
    "INSERT INTO session (session, plots, mtime_ns, clock) VALUES (:of_session, :plots, :mtime_ns, :clock)"
)

_ADVANCE_CLOCK = Prepared("UPDATE catalogue SET clock = clock + 1 RETURNING clock")
_ADVANCE_TO = Prepared("UPDATE catalogue SET clock = :now WHERE clock < :now")
_LOCK_CLOCK = Prepared("SELECT clock FROM catalogue FOR UPDATE")
_RECORD_IDENTITY = Prepared("UPDATE catalogue SET identity = :identity")
_RECORD_GRAMMAR = Prepared("UPDATE catalogue SET pattern = :pattern, suffixes = :suffixes, ignore = :ignore")

_REMOVAL_BEFORE = Prepared("SELECT clock FROM removal ORDER BY clock DESC LIMIT 1 OFFSET :keep")
_TRIM = (
    # The newest trimmed removal of each session.
    Prepared("DELETE FROM trim WHERE session IN (SELECT session FROM removal WHERE clock <= :bound)"),
    Prepared(
        "INSERT INTO trim (session, clock) "
        "SELECT session, max(clock) FROM removal WHERE clock <= :bound GROUP BY session"
    ),
    Prepared("DELETE FROM removal WHERE clock <= :bound"),
    Prepared("UPDATE catalogue SET trimmed = :bound"),
)
_TRIM_BEFORE = Prepared("SELECT clock FROM trim WHERE session <> '' ORDER BY clock DESC LIMIT 1 OFFSET :keep")
_MERGE = (
    Prepared("DELETE FROM trim WHERE clock <= :bound"),
    # No session has this name.
    Prepared("DELETE FROM trim WHERE session = ''"),
    Prepared("INSERT INTO trim (session, clock) VALUES ('', :bound)"),
)
_EXPIRE_ALL = (
    Prepared("DELETE FROM removal"),
    Prepared("DELETE FROM trim"),
    Prepared("UPDATE catalogue SET born = clock, trimmed = clock"),
)
