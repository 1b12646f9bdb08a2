"""The catalogue of one root: its plots, sessions and indexers. Lists for callers are in listing.py."""

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from plotindex.errors import DamagedDatabaseError, SettingsError
from plotindex.storage.catalog_header import Header, grammar_of, require_header
from plotindex.storage.database import Database
from plotindex.storage.heartbeat import Heartbeat, delete_dead, read_heartbeats, write_heartbeat
from plotindex.storage.latest import by_mtime, latest_plots
from plotindex.storage.rows import COPY, CURRENT_COPY, PLOT, key_values, read_copies, read_rows
from plotindex.storage.statements import Prepared
from plotindex.storage.truncated_sessions import Truncation, read_names_bytes, read_truncation
from plotindex.storage.writer import Writer
from plotindex.system import printable
from plotindex.tree import INT64_MAX, Layout, Plot, PlotKey, Scope, is_name

MAX_VALUES = 10_000
"""Values in one statement."""


class SessionRow(NamedTuple):
    """A session with its number of plots and the newest mtime."""

    session: str
    plots: int
    mtime_ns: int


SESSION_ROW = ", ".join(SessionRow._fields)
_LATEST_SESSIONS = Prepared(
    f"SELECT {SESSION_ROW} FROM session WHERE mtime_ns <= :of_mtime AND (mtime_ns < :of_mtime OR session > :of_name) "
    "ORDER BY mtime_ns DESC, session LIMIT :most OFFSET :skip"
)
_SESSIONS = Prepared("SELECT session FROM session")

# By one index seek for each.
_SESSIONS_OF_PLOTS = Prepared(
    "WITH RECURSIVE steps(name) AS (SELECT min(session) FROM plot UNION ALL "
    "SELECT (SELECT min(session) FROM plot WHERE session > steps.name) FROM steps WHERE steps.name IS NOT NULL) "
    "SELECT name FROM steps WHERE name IS NOT NULL"
)
_COUNTS = Prepared("SELECT count(*), coalesce(sum(plots), 0) FROM session")
_SESSION_ROW = Prepared(f"SELECT {SESSION_ROW} FROM session WHERE session = :of_session")
_TRUNCATIONS = Prepared(f"SELECT {', '.join(Truncation._fields)} FROM excess ORDER BY session LIMIT :most")
_CLOCK = Prepared("SELECT clock FROM catalogue")
_CHANGED_SESSIONS = Prepared("SELECT session FROM session WHERE clock > :since ORDER BY clock")
_LATEST_SESSION = Prepared("SELECT session FROM session ORDER BY mtime_ns DESC LIMIT 1")
_LATEST_PLOT = Prepared(f"{by_mtime()} LIMIT 1")
_CHANGED_PLOTS = Prepared(f"SELECT {PLOT} FROM plot WHERE clock > :since ORDER BY clock DESC LIMIT :most")
_ROOT = Prepared("SELECT root FROM catalogue")
_ADOPT = Prepared("UPDATE catalogue SET root = :root")
_CREATE = Prepared(
    "INSERT INTO catalogue (root, pattern, suffixes, ignore, clock, born, trimmed) "
    "VALUES (:root, :pattern, :suffixes, :ignore, :now, :now, :now)"
)


def position_values(after: SessionRow | None) -> dict[str, object]:
    """Parameters for the sessions behind one, the latest first."""
    name, _, mtime_ns = after or SessionRow("", 0, INT64_MAX)
    return {"of_mtime": mtime_ns, "of_name": name}


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
        row = self.database.fetch_one(COPY, {**key_values(key), "of_project": project})
        return Plot._make(row) if row else None

    def copies(self, key: PlotKey, limit: int = INT64_MAX) -> list[Plot]:
        """The newest copies of a key, the current one first."""
        with self.database.reading() as connection:
            return read_copies(connection, key, limit)

    def header(self) -> Header:
        """The identity and grammar of the catalogue. Raises CatalogError if it was not initialised."""
        with self.database.reading() as connection:
            return require_header(connection, self.database.shown)

    def sessions(self) -> list[str]:
        """The sessions that have plots, in byte order; also those whose row in `session` was lost."""
        with self.database.reading(is_long=True) as connection:
            names = sorted({*_SESSIONS.column(connection), *_SESSIONS_OF_PLOTS.column(connection)})
        if not all(isinstance(name, str) and is_name(name) for name in names):
            raise self.database.mark_damaged()
        return names

    def counts(self) -> tuple[int, int]:
        """The number of sessions and of plots."""
        with self.database.reading() as connection:
            ((sessions, plots),) = _COUNTS(connection)
            return int(sessions), int(plots)

    def plots(self, name: str) -> list[Plot]:
        """Every plot of a session, by filename and project."""
        with self.database.reading() as connection:
            return [Plot(name, *row) for row in read_rows(connection, Scope(name))]

    def session_row(self, name: str) -> SessionRow | None:
        """The row of a session; None if it has no plots."""
        with self.database.reading() as connection:
            rows = _SESSION_ROW(connection, {"of_session": name})
            return SessionRow._make(rows[0]) if rows else None

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
            return list(map(Truncation._make, _TRUNCATIONS(connection, {"most": limit})))

    def plots_by_inode(self, inodes: Collection[int]) -> list[Plot]:
        """The plots with one of these inodes. Reads every row: an index on inodes would slow down each write."""
        found: list[Plot] = []
        with self.database.reading(is_long=True) as connection:
            for start in range(0, len(inodes), MAX_VALUES):
                given = ", ".join(map(str, sorted(inodes)[start : start + MAX_VALUES]))
                rows = connection.driver.execute(f"SELECT {PLOT} FROM plot WHERE inode IN ({given})")
                found.extend(map(Plot._make, rows))
        return found

    def latest_sessions(
        self, skip: int = 0, limit: int = INT64_MAX, after: SessionRow | None = None
    ) -> list[SessionRow]:
        """The sessions that have plots, by the mtime of their newest plot, the latest first, following `after`."""
        values = {"skip": skip, "most": limit, **position_values(after)}
        with self.database.reading() as connection:
            return list(map(SessionRow._make, _LATEST_SESSIONS(connection, values)))

    def changed_sessions(self, since: int | None) -> tuple[int | None, list[str]]:
        """The clock now, and the sessions changed since the clock was `since`; none if `since` is None."""
        with self.database.reading() as connection:
            clock: int | None = _CLOCK.value(connection)
            if since is None or clock == since:
                return clock, []
            return clock, _CHANGED_SESSIONS.column(connection, {"since": since})

    def changed_plots(self, since: int, limit: int) -> tuple[int, list[Plot]]:
        """The clock now, and the plots written since the clock was `since`, those of the latest commits first."""
        with self.database.reading() as connection:
            clock = require_header(connection, self.database.shown).clock
            rows = _CHANGED_PLOTS(connection, {"since": since, "most": limit}) if clock > since else []
            return clock, list(map(Plot._make, rows))

    def latest_plots(self, name: str, limit: int) -> list[Plot]:
        """The current copies in a session that were drawn last, the latest first."""
        with self.database.reading() as connection:
            return latest_plots(connection, name, limit, time.time_ns())

    def newest_plot(self) -> Plot | None:
        """The plot with the newest mtime."""
        with self.database.reading() as connection:
            rows = _LATEST_PLOT(connection, {"of_session": _LATEST_SESSION.value(connection)})
            return Plot._make(rows[0]) if rows else None

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
            recorded = _ROOT.value(writer.connection)
            if recorded is None:
                _CREATE.count(writer.connection, {"root": root, **grammar_of(layout), "now": now_us})
            elif recorded != root and adopt:
                _ADOPT.count(writer.connection, {"root": root})
            elif recorded != root:
                raise _of_another_root(recorded, root)
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
