"""The catalogue of one root: its plots, sessions and indexers. Lists for callers are in listing.py."""

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Select, bindparam, func, insert, or_, select, update

from plotindex.errors import DamagedDatabaseError, SettingsError
from plotindex.storage.catalog_header import Header, grammar_of, require_header
from plotindex.storage.database import Database
from plotindex.storage.heartbeat import Heartbeat, delete_dead, read_heartbeats, write_heartbeat
from plotindex.storage.rows import CURRENT_COPY, NUMBERS, OF_KEY, OF_PROJECT, PLOT, key_values, read_rows
from plotindex.storage.statements import Prepared
from plotindex.storage.tables import catalogue, excess, plot, session
from plotindex.storage.truncated_sessions import Truncation, read_names_bytes, read_truncation
from plotindex.storage.visibility import is_visible
from plotindex.storage.writer import Writer
from plotindex.system import is_encodable, printable
from plotindex.tree import INT64_MAX, Layout, Plot, PlotKey, Scope, SessionFilter, is_name

MAX_VALUES = 10_000
"""Values in one statement (SQLITE_MAX_VARIABLE_NUMBER is 32,766)."""


class SessionRow(NamedTuple):
    """A session with its number of plots and the newest mtime."""

    session: str
    plots: int
    mtime_ns: int


_COPY = Prepared(select(plot.c.project, *NUMBERS).where(OF_KEY, OF_PROJECT))
_BY_MTIME = (
    select(*(session.c[name] for name in SessionRow._fields))
    .where(
        session.c.mtime_ns <= bindparam("of_mtime", type_=BigInteger),
        or_(session.c.mtime_ns < bindparam("of_mtime", type_=BigInteger), session.c.session > bindparam("of_name")),
    )
    .order_by(session.c.mtime_ns.desc(), session.c.session)
)
_LATEST_SESSIONS = Prepared(
    _BY_MTIME.limit(bindparam("most", type_=BigInteger)).offset(bindparam("skip", type_=BigInteger))
)


def _sessions_of_plots() -> Select[Any]:
    """The sessions in the table of plots, by one index seek for each."""
    steps = select(func.min(plot.c.session).label("name")).cte("steps", recursive=True)
    following = select(func.min(plot.c.session)).where(plot.c.session > steps.c.name).scalar_subquery()
    steps = steps.union_all(select(following).where(steps.c.name.is_not(None)))
    return select(steps.c.name).where(steps.c.name.is_not(None))


_SESSIONS_OF_PLOTS = _sessions_of_plots()


def _position_values(after: SessionRow | None) -> dict[str, object]:
    name, _, mtime_ns = after or SessionRow("", 0, INT64_MAX)
    return {"of_mtime": mtime_ns, "of_name": name}


def _latest_plots(name: str | None) -> Select[Any]:
    return select(*PLOT).where(plot.c.session == name).order_by(plot.c.mtime_ns.desc(), plot.c.project.desc())


class Catalog:
    """The plots of one root, as of the last reconcile. Every method raises CatalogError if the database fails."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.space_problem = ""
        """Why plots were not added, with the fix; set by a reconcile, and reset by the next or by the indexer."""
        self.known_names_bytes: dict[str, tuple[int | None, int]] = {}
        """Session -> clock of its last change, and the sum of the bytes of its filenames then; large sessions only."""

    def current(self, key: PlotKey) -> Plot | None:
        """The current copy of a key."""
        row = self.database.fetch_one(CURRENT_COPY, {"of_session": key.session, "of_filename": key.filename})
        return Plot(key.session, row[0], key.filename, *row[1:]) if row else None

    def copy(self, key: PlotKey, project: str) -> Plot | None:
        """The copy of a key in one project."""
        row = self.database.fetch_one(_COPY, {**key_values(key), "of_project": project})
        return Plot(key.session, row[0], key.filename, *row[1:]) if row else None

    def header(self) -> Header:
        """The identity and grammar of the catalogue. Raises CatalogError if it was not initialised."""
        with self.database.reading() as connection:
            return require_header(connection, self.database.shown)

    def sessions(self) -> list[str]:
        """The sessions that have plots, in byte order; also those whose row in `session` was lost."""
        with self.database.reading(is_long=True) as connection:
            stored = connection.execute(select(session.c.session)).scalars()
            names = sorted({*stored, *connection.execute(_SESSIONS_OF_PLOTS).scalars()})
        if not all(isinstance(name, str) and is_name(name) for name in names):
            raise self.database.mark_damaged()
        return names

    def counts(self) -> tuple[int, int]:
        """The number of sessions and of plots."""
        with self.database.reading() as connection:
            row = connection.execute(select(func.count(), func.coalesce(func.sum(session.c.plots), 0))).one()
            return int(row[0]), int(row[1])

    def plots(self, name: str) -> list[Plot]:
        """Every plot of a session, by filename and project."""
        with self.database.reading() as connection:
            return list(map(Plot._make, read_rows(connection, Scope(name))))

    def session_row(self, name: str) -> SessionRow | None:
        """The row of a session; None if it has no plots."""
        with self.database.reading() as connection:
            query = select(session.c.plots, session.c.mtime_ns).where(session.c.session == name)
            row = connection.execute(query).first()
            return SessionRow(name, *row) if row else None

    def cutoff(self, name: str) -> str | None:
        """A session's first filename that is not indexed, or None."""
        with self.database.reading() as connection:
            return read_truncation(connection, name).cut

    def names_bytes(self, name: str) -> int:
        """Sum of the bytes of a session's indexed filenames."""
        with self.database.reading(is_long=True) as connection:
            return read_names_bytes(connection, name)

    def truncations(self, limit: int) -> list[Truncation]:
        """The sessions that are not fully indexed."""
        with self.database.reading() as connection:
            query = select(*(excess.c[name] for name in Truncation._fields)).order_by(excess.c.session).limit(limit)
            return [Truncation._make(row) for row in connection.execute(query)]

    def plots_by_inode(self, inodes: Collection[int]) -> list[Plot]:
        """The plots with one of these inodes. Reads every row: an index on inodes would slow down each write."""
        found: list[Plot] = []
        with self.database.reading(is_long=True) as connection:
            for start in range(0, len(inodes), MAX_VALUES):
                given = sorted(inodes)[start : start + MAX_VALUES]
                rows = connection.execute(select(*PLOT).where(plot.c.inode.in_(given)))
                found.extend(map(Plot._make, rows))
        return found

    def latest_sessions(
        self, skip: int = 0, limit: int = INT64_MAX, after: SessionRow | None = None
    ) -> list[SessionRow]:
        """The sessions that have plots, by the mtime of their newest plot, the latest first, following `after`."""
        values = {"skip": skip, "most": limit, **_position_values(after)}
        with self.database.reading() as connection:
            return list(map(SessionRow._make, _LATEST_SESSIONS(connection, values)))

    def selected_sessions(self, allows: SessionFilter, after: SessionRow | None = None) -> list[SessionRow]:
        """`latest_sessions` minus the sessions that SQL can exclude; check `allows` for each result."""
        query = _BY_MTIME.where(is_visible(session.c.session, allows))
        with self.database.reading() as connection:
            return list(map(SessionRow._make, connection.execute(query, _position_values(after))))

    def changed_sessions(self, since: int | None) -> tuple[int | None, list[str]]:
        """The clock now, and the sessions changed since the clock was `since`; none if `since` is None."""
        with self.database.reading() as connection:
            clock = connection.execute(select(catalogue.c.clock)).scalar()
            if since is None or clock == since:
                return clock, []
            query = select(session.c.session).where(session.c.clock > since).order_by(session.c.clock)
            return clock, list(connection.execute(query).scalars())

    def latest_plots(self, name: str, limit: int) -> list[Plot]:
        """The current copies in a session, by mtime, the latest first."""
        if not is_encodable(name):
            return []
        current: dict[str, Plot] = {}
        with (
            self.database.reading() as connection,
            connection.execution_options(yield_per=limit).execute(_latest_plots(name)) as rows,
        ):
            for row in rows:
                current.setdefault(row.filename, Plot._make(row))
                if len(current) == limit:
                    break
        return list(current.values())

    def newest_plot(self) -> Plot | None:
        """The plot with the newest mtime."""
        with self.database.reading() as connection:
            name = connection.execute(select(session.c.session).order_by(session.c.mtime_ns.desc()).limit(1)).scalar()
            row = connection.execute(_latest_plots(name).limit(1)).first()
            return Plot._make(row) if row else None

    def heartbeats(self) -> list[Heartbeat]:
        """All heartbeats: running indexers before stopped ones, then this host's first, then the latest first."""
        return read_heartbeats(self.database)

    @contextmanager
    def writing(self, timeout: float | None = None, sessions: Collection[str] = ()) -> Iterator[Writer]:
        """One write transaction that locks the rows of these sessions; `timeout` in seconds is for the lock.

        Raises:
            LockTimeoutError: other writers held the lock for longer than `timeout`.
            UnusableDatabaseError: a newer plotindex has migrated the database meanwhile.
        """
        with self.database.writing(timeout, sessions) as connection:
            self.database.check_revision(connection)
            writer = Writer(connection)
            yield writer
            if writer.has_changes:
                self.database.notify(connection)

    def initialise(self, root: str, layout: Layout, *, adopt: bool = False) -> None:
        """Create or migrate the database, and bind it to `root`.

        A damaged file that plotindex made is quarantined, and a new one is created.

        Raises as `Database.migrate` and `record_root` do.
        """
        try:
            self._initialise(root, layout, adopt=adopt)
        except DamagedDatabaseError:
            if not self.database.quarantine():
                raise
            self._initialise(root, layout, adopt=adopt)

    def _initialise(self, root: str, layout: Layout, *, adopt: bool) -> None:
        self.database.migrate()
        self.record_root(root, layout, time.time_ns() // 1000, adopt=adopt)

    def record_root(self, root: str, layout: Layout, now_us: int, *, adopt: bool = False) -> None:
        """Bind the catalogue to `root`: write the header if there is none; with `adopt`, replace another root.

        Raises:
            SettingsError: it belongs to another root, and `adopt` is not given.
        """
        # One process at a time: "" (not a session) locks the row of the root.
        with self.writing(sessions=[""]) as writer:
            row = writer.connection.execute(select(catalogue.c.root)).first()
            if row is None:
                values = {"root": root, **grammar_of(layout)}
                clocks = dict.fromkeys(("clock", "born", "trimmed"), now_us)
                writer.connection.execute(insert(catalogue).values(**values, **clocks))
            elif row[0] != root and adopt:
                writer.connection.execute(update(catalogue).values(root=root))
            elif row[0] != root:
                raise _of_another_root(row[0], root)
        self.database.mark_as_own()

    def require_root(self, root: str) -> None:
        """Check, without changing anything, that the catalogue belongs to `root`.

        Raises:
            SettingsError: it belongs to another root.
        """
        self.database.require_schema()
        recorded = self.header().root
        if recorded != root:
            raise _of_another_root(recorded, root)

    def store_heartbeat(self, heartbeat: Heartbeat, timeout: float | None = None) -> None:
        """Store the heartbeat of an indexer; the first one of an indexer deletes those of dead indexers."""
        with self.writing(timeout) as writer:
            write_heartbeat(self.database, writer.connection, heartbeat)

    def delete_dead_indexers(self, host: str) -> None:
        """In a shared database, delete dead indexers' heartbeats, so that hits are not `unwatched`."""
        if self.database.is_shared:
            with self.writing() as writer:
                delete_dead(self.database, writer.connection, host)


def _of_another_root(recorded: str, root: str) -> SettingsError:
    return SettingsError(
        f"The catalogue belongs to the root {printable(recorded)}, not to {printable(root)}: name another --database "
        "or, if the root has moved here, run `plotindex rebuild --adopt`."
    )
