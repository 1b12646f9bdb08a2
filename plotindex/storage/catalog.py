"""The catalogue: what is kept of each plot, of its sessions and of its indexer. Lists for callers are in listing.py."""

import socket
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Connection, Select, and_, bindparam, delete, func, insert, select, update

from plotindex.errors import CatalogError, DamagedDatabaseError, SettingsError
from plotindex.storage.database import Database
from plotindex.storage.heartbeat import Heartbeat
from plotindex.storage.statements import Prepared
from plotindex.storage.tables import catalogue, excess, indexer, plot, session
from plotindex.storage.writer import NUMBERS, PLOT, Header, Writer, grammar, read_excess, read_header, read_rows
from plotindex.system import is_alive, is_encodable, printable
from plotindex.tree import INT64_MAX, Layout, Plot, PlotKey, Scope, is_name

FORGET_SECONDS = 60.0
"""After so long an indexer that was not heard is none any more."""
MOST_IN_LIST = 10_000
"""Values that one statement names at most (SQLITE_MAX_VARIABLE_NUMBER is 32,766)."""


class SessionRow(NamedTuple):
    """A session, how many plots it has, and when the newest was drawn."""

    session: str
    plots: int
    mtime_ns: int


class Truncation(NamedTuple):
    """A session of which not everything is indexed."""

    session: str
    cut: str | None
    """The first filename that is left out, or None."""
    plots: int
    """How many plots are left out from there on, at the last count."""
    folders: int
    """How many folders lie too deep, at the last count."""


_OF_KEY = and_(plot.c.session == bindparam("of_session"), plot.c.filename == bindparam("of_filename"))
_COPIES = select(plot.c.project, *NUMBERS).where(_OF_KEY)
_CURRENT = Prepared(_COPIES.order_by(plot.c.mtime_ns.desc(), plot.c.project.desc()).limit(1))
_COPY = Prepared(_COPIES.where(plot.c.project == bindparam("of_project")))
_LATEST_SESSIONS = Prepared(
    select(session.c.session, session.c.plots, session.c.mtime_ns)
    .order_by(session.c.mtime_ns.desc(), session.c.session)
    .limit(bindparam("most", type_=BigInteger))
    .offset(bindparam("skip", type_=BigInteger))
)


_TALLIED = select(session.c.session)


def _sessions_of_plots() -> Select[Any]:
    """The sessions in the table of plots: each is one step in an index, however many plots it has."""
    steps = select(func.min(plot.c.session).label("name")).cte("steps", recursive=True)
    following = select(func.min(plot.c.session)).where(plot.c.session > steps.c.name).scalar_subquery()
    steps = steps.union_all(select(following).where(steps.c.name.is_not(None)))
    return select(steps.c.name).where(steps.c.name.is_not(None))


_SESSIONS_OF_PLOTS = _sessions_of_plots()


class Catalog:
    """The plots of one root, as the last reconcile left them."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def current(self, key: PlotKey) -> Plot | None:
        """The current copy of a key.

        Raises:
            CatalogError: the catalogue cannot be read.
        """
        row = self.database.fetch_one(_CURRENT, {"of_session": key.session, "of_filename": key.filename})
        return Plot(key.session, row[0], key.filename, *row[1:]) if row else None

    def copy(self, key: PlotKey, project: str) -> Plot | None:
        """The copy that one project has of a key. Raises as `current` does."""
        row = self.database.fetch_one(
            _COPY, {"of_session": key.session, "of_filename": key.filename, "of_project": project}
        )
        return Plot(key.session, row[0], key.filename, *row[1:]) if row else None

    def header(self) -> Header:
        """Whose catalogue it is.

        Raises:
            CatalogError: it cannot be read, or no indexer or rebuild has begun it yet.
        """
        with self.database.reading() as connection:
            return require_header(connection, self.database.shown)

    def sessions(self) -> list[str]:
        """Names of the sessions that have plots, in byte order; also of one whose tally was lost."""
        with self.database.reading(is_long=True) as connection:
            names = sorted({*connection.execute(_TALLIED).scalars(), *connection.execute(_SESSIONS_OF_PLOTS).scalars()})
        if not all(isinstance(name, str) and is_name(name) for name in names):
            raise self.database.mark_damaged()
        return names

    def counts(self) -> tuple[int, int]:
        """How many sessions and how many plots there are."""
        with self.database.reading() as connection:
            row = connection.execute(select(func.count(), func.coalesce(func.sum(session.c.plots), 0))).one()
            return int(row[0]), int(row[1])

    def plots(self, name: str) -> list[Plot]:
        """Every plot of a session, by filename and project."""
        with self.database.reading() as connection:
            return list(map(Plot._make, read_rows(connection, Scope(name))))

    def session_row(self, name: str) -> tuple[int, int] | None:
        """What the catalogue says of a session: how many plots, and the newest one's mtime_ns."""
        with self.database.reading() as connection:
            row = connection.execute(
                select(session.c.plots, session.c.mtime_ns).where(session.c.session == name)
            ).first()
            return (row[0], row[1]) if row else None

    def cutoff(self, name: str) -> str | None:
        """The first filename of a session that is left out of the catalogue, or None."""
        with self.database.reading() as connection:
            return read_excess(connection, name)[0]

    def truncations(self, most: int) -> list[Truncation]:
        """Sessions of which not everything is indexed; at most so many."""
        with self.database.reading() as connection:
            query = select(*(excess.c[name] for name in Truncation._fields)).order_by(excess.c.session).limit(most)
            return [Truncation._make(row) for row in connection.execute(query)]

    def plots_by_inode(self, inodes: Collection[int]) -> list[Plot]:
        """The plots that have one of those inodes. Reads every row: an index on it would cost each write."""
        found: list[Plot] = []
        with self.database.reading(is_long=True) as connection:
            for start in range(0, len(inodes), MOST_IN_LIST):
                given = sorted(inodes)[start : start + MOST_IN_LIST]
                rows = connection.execute(select(*PLOT).where(plot.c.inode.in_(given)))
                found.extend(map(Plot._make, rows))
        return found

    def latest_sessions(self, skip: int = 0, most: int = INT64_MAX) -> list[SessionRow]:
        """Sessions that have plots, the one in which something was drawn last first; at most so many."""
        with self.database.reading() as connection:
            return list(map(SessionRow._make, _LATEST_SESSIONS(connection, {"skip": skip, "most": most})))

    def changed_sessions(self, clock: int | None) -> tuple[int | None, list[str]]:
        """The clock, and the sessions in which something has changed since another one; None is now."""
        with self.database.reading() as connection:
            now = connection.execute(select(catalogue.c.clock)).scalar()
            if clock is None or now == clock:
                return now, []
            query = select(session.c.session).where(session.c.clock > clock).order_by(session.c.clock)
            return now, list(connection.execute(query).scalars())

    def latest_plots(self, name: str, most: int) -> list[Plot]:
        """The current copies that were drawn last in a session, the latest first; at most so many."""
        if not is_encodable(name):
            return []
        query = select(*PLOT).where(plot.c.session == name).order_by(plot.c.mtime_ns.desc(), plot.c.project.desc())
        current: dict[str, Plot] = {}
        with (
            self.database.reading() as connection,
            connection.execution_options(yield_per=most).execute(query) as rows,
        ):
            for row in rows:
                current.setdefault(row.filename, Plot._make(row))
                if len(current) == most:
                    break
        return list(current.values())

    def newest_plot(self) -> Plot | None:
        """The current copy that was drawn last, of the session in which something was."""
        with self.database.reading() as connection:
            name = connection.execute(select(session.c.session).order_by(session.c.mtime_ns.desc()).limit(1)).scalar()
            query = select(*PLOT).where(plot.c.session == name).order_by(plot.c.mtime_ns.desc(), plot.c.project.desc())
            row = connection.execute(query.limit(1)).first()
            return Plot._make(row) if row else None

    def heartbeats(self) -> list[Heartbeat]:
        """The heartbeats of all indexers: stopped ones last, then those of this host first, then the latest first."""
        with self.database.reading() as connection:
            query = select(*(indexer.c[name] for name in Heartbeat._fields)).order_by(indexer.c.heartbeat.desc())
            beats = [Heartbeat._make(row) for row in connection.execute(query)]
            ahead = self.database.clock_skew(connection) if beats else 0.0
        host = socket.gethostname()
        beats.sort(key=lambda beat: (beat.state == "stopped", beat.host != host))
        return [beat._replace(heartbeat=beat.heartbeat - ahead) for beat in beats]

    @contextmanager
    def writing(self, timeout: float | None = None, sessions: Collection[str] = ()) -> Iterator[Writer]:
        """One write transaction, alone with the rows of these sessions; `timeout` in seconds is for its turn.

        Raises:
            LockTimeoutError: others held the catalogue for longer.
            CatalogError: it cannot be written.
            UnusableDatabaseError: a newer plotindex has migrated it meanwhile.
        """
        with self.database.writing(timeout, sessions) as connection:
            self.database.check_revision(connection)
            writer = Writer(connection)
            yield writer
            if writer.has_changes:
                self.database.notify(connection)

    def initialise(self, root: str, layout: Layout, *, adopt: bool = False) -> None:
        """Create or migrate the database, and make it the catalogue of `root`; set a damaged one of plotindex's aside.

        Raises as `migrate` and `record_root` do.
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
        """Make this the catalogue of `root`: write its header when it has none.

        Raises:
            SettingsError: it is another root's, and `adopt` is not given.
        """
        # One at a time: the root's scope stands for all sessions.
        with self.writing(sessions=[""]) as writer:
            row = writer.connection.execute(select(catalogue.c.root)).first()
            if row is None:
                pattern, suffixes = grammar(layout)
                values = {"root": root, "pattern": pattern, "suffixes": suffixes}
                clocks = dict.fromkeys(("clock", "born", "trimmed"), now_us)
                writer.connection.execute(insert(catalogue).values(**values, **clocks))
            elif row[0] != root and adopt:
                writer.connection.execute(update(catalogue).values(root=root))
            elif row[0] != root:
                raise _of_another_root(row[0], root)
        self.database.mark_as_own()

    def require_root(self, root: str) -> None:
        """Check, without changing anything, that this is the catalogue of `root`.

        Raises:
            SettingsError: it is another root's.
            CatalogError: it cannot be read, or is none yet.
        """
        self.database.require_schema()
        recorded = self.header().root
        if recorded != root:
            raise _of_another_root(recorded, root)

    def store_heartbeat(self, heartbeat: Heartbeat, timeout: float | None = None) -> None:
        """Store what the indexer says of itself, and forget those that are surely dead when it is a new one."""
        with self.writing(timeout) as writer:
            mine = and_(indexer.c.host == heartbeat.host, indexer.c.pid == heartbeat.pid)
            ahead = self.database.clock_skew(writer.connection)
            values = {**heartbeat._asdict(), "heartbeat": heartbeat.heartbeat + ahead}
            if not writer.connection.execute(update(indexer).where(mine).values(**values)).rowcount:
                self._bury(writer, heartbeat.host, heartbeat.heartbeat + ahead)
                writer.connection.execute(insert(indexer).values(**values))

    def delete_dead_indexers(self, host: str) -> None:
        """Forget indexers of which nothing was heard for long, so that nobody waits for their return."""
        if not self.database.is_shared:
            return
        with self.writing() as writer:
            self._bury(writer, host, time.time() + self.database.clock_skew(writer.connection))

    def _bury(self, writer: Writer, host: str, now: float) -> None:
        if not self.database.is_shared:
            # There is one at a time.
            writer.connection.execute(delete(indexer))
            return
        writer.connection.execute(delete(indexer).where(indexer.c.heartbeat < now - FORGET_SECONDS))
        of_host = select(indexer.c.pid).where(indexer.c.host == host)
        for pid in writer.connection.execute(of_host).scalars().all():
            if not is_alive(pid):
                writer.connection.execute(delete(indexer).where(indexer.c.host == host, indexer.c.pid == pid))


def require_header(connection: Connection, shown: str) -> Header:
    """Whose catalogue it is, in the transaction of `connection`. Raises CatalogError when nobody has begun it yet."""
    header = read_header(connection)
    if header is None:
        raise not_begun(shown)
    return header


def not_begun(shown: str) -> CatalogError:
    return CatalogError(f"The catalogue {shown} is not begun yet: run `plotindex rebuild`.")


def _of_another_root(recorded: str, root: str) -> SettingsError:
    return SettingsError(
        f"The catalogue is that of {printable(recorded)}, not of {printable(root)}: name another "
        "--database or, if the root has moved here, run `plotindex rebuild --adopt`."
    )
