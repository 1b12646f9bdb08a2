"""Reads for the gallery: sessions with their latest plots, search by name, and the neighbours of a plot."""

import time
from collections import OrderedDict
from collections.abc import Collection, Iterable
from itertools import takewhile
from typing import NamedTuple

from sqlalchemy import BigInteger, bindparam, func, or_, select

from plotindex.storage.catalog import Catalog, SessionRow, position_values
from plotindex.storage.catalog_header import require_header
from plotindex.storage.latest import copies_ahead, latest_first, latest_plots
from plotindex.storage.name_filter import NameFilter
from plotindex.storage.rows import Entry
from plotindex.storage.search.name_search import MAX_SESSIONS, NameSearch, SearchResult
from plotindex.storage.sibling_queries import PlotCount, count_plots, read_formats
from plotindex.storage.siblings import one_of_each
from plotindex.storage.statements import Connection
from plotindex.storage.tables import plot, session
from plotindex.storage.visibility import is_visible, newest_clock
from plotindex.system import is_encodable
from plotindex.tree import INT64_MIN, Allows, Plot, PlotKey, SessionFilter

PREVIEW_PLOTS = 5
"""Plots in the preview of a session."""
CACHED_SESSIONS = 1_000
"""Sessions whose previews are cached."""
MAX_AHEAD = 200
"""Sessions whose time is in the future that are placed by the time of their latest plot."""


class SessionPreview(NamedTuple):
    """A session; its latest current copies, the latest first; and its numbers of plots and copies.

    The mtime of its row is the time at which the latest plot was drawn.
    """

    row: SessionRow
    latest: list[Plot]
    total: PlotCount


class _Preview(NamedTuple):
    clock: int
    latest: list[Plot]
    total: PlotCount


class PreviewPage(NamedTuple):
    """A page of sessions. The search for more continues behind `next`, if its time was up."""

    previews: list[SessionPreview]
    total: int
    """The number of all sessions that were found."""
    next: SessionRow | None


class Neighbours(NamedTuple):
    """The filenames of the plots before and after one in its session; None at the ends."""

    previous: str | None
    following: str | None


_BY_MTIME = (
    select(*(session.c[name] for name in SessionRow._fields))
    .where(
        session.c.mtime_ns <= bindparam("of_mtime", type_=BigInteger),
        session.c.mtime_ns >= bindparam("since", type_=BigInteger),
        or_(session.c.mtime_ns < bindparam("of_mtime", type_=BigInteger), session.c.session > bindparam("of_name")),
    )
    .order_by(session.c.mtime_ns.desc(), session.c.session)
)


class Overview:
    """Reads one catalogue. Every method raises CatalogError when it cannot be read. Thread-safe."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._database = catalog.database
        self._previews: OrderedDict[str, _Preview] = OrderedDict()
        self._search = NameSearch(self._database)

    def clock(self, allows: Allows) -> int:
        """The clock of the last commit that changed the sessions that the caller may see."""
        with self._database.reading() as connection:
            return newest_clock(connection, require_header(connection, self._database.shown), SessionFilter.of(allows))

    def sessions(
        self,
        allows: Allows,
        query: str,
        skip: int,
        limit: int,
        *,
        after: SessionRow | None = None,
        since: int = INT64_MIN,
    ) -> PreviewPage:
        """A page of the sessions whose name matches, changed `since` (mtime_ns), the latest first, behind `after`."""
        allows = SessionFilter.of(allows)
        now = time.time_ns()
        names = NameFilter(query, self._search.search_seconds)
        if allows.is_all and not query and after is None and since == INT64_MIN:
            # There may be very many: do not read them all.
            page, count = self._latest_sessions(skip, limit, now), self._catalog.counts()[0]
        else:
            rows = names.filter_sessions(self._selected_sessions(allows, after, since), allows)
            found = [row for row in self._redated(rows, now) if row.mtime_ns >= since]
            page, count = found[skip : skip + limit], len(found)
        previews = [SessionPreview(row, *self._preview(row.session, now)[1:]) for row in page]
        return PreviewPage(previews, count, names.stopped_at)

    def search(
        self,
        allows: Allows,
        query: str,
        limit: int,
        *,
        after: SessionRow | None = None,
        since: int = INT64_MIN,
    ) -> SearchResult:
        """The current copies of the keys that match, drawn `since`, the latest first, in sessions behind `after`.

        Siblings that match are one plot.
        """
        allows = SessionFilter.of(allows)
        now = time.time_ns()
        if allows.is_all:
            sessions = self._catalog.latest_sessions(0, MAX_SESSIONS, after)
        else:
            sessions = [row for row in self._selected_sessions(allows, after) if allows(row.session)]
        # No index, even if these are all sessions now: the answer would tell whether another one exists.
        everywhere = bool(allows.is_all) and after is None
        found = self._search.search(query, sessions, limit, since=since, everywhere=everywhere)
        plots = latest_first((plot for plot in found.plots if plot.drawn_ns(now) >= since), now)
        return found._replace(plots=one_of_each(plots), is_limited=len(plots) == limit)

    def entry(self, key: PlotKey) -> Entry | None:
        """A key and its copies, or None without any."""
        copies = self._catalog.copies(key)
        return Entry(key, copies) if copies else None

    def formats(self, entry: Entry) -> list[Plot]:
        """All copies of the plot that an entry belongs to, in all formats, the newest first."""
        with self._database.reading() as connection:
            return read_formats(connection, entry.key, self._suffixes(connection)) or entry.copies

    def neighbours(self, key: PlotKey, formats: Collection[str]) -> Neighbours:
        """The plots beside that of a key, whose filenames are `formats`, in the format to show, by filename."""
        with self._database.reading() as connection:
            suffixes = self._suffixes(connection)
            others = plot.c.session == key.session, plot.c.filename.not_in(set(formats) - {key.filename})
            before = select(func.max(plot.c.filename)).where(*others, plot.c.filename < key.filename)
            after = select(func.min(plot.c.filename)).where(*others, plot.c.filename > key.filename)
            names = (connection.execute(beside).scalar() for beside in (before, after))
            shown = [name and self._shown(connection, key._replace(filename=name), suffixes) for name in names]
            return Neighbours(*shown)

    @staticmethod
    def _shown(connection: Connection, key: PlotKey, suffixes: list[str]) -> str:
        """The filename of a plot in the format to show."""
        copies = read_formats(connection, key, suffixes)
        return one_of_each(copies)[0].filename if copies else key.filename

    def _suffixes(self, connection: Connection) -> list[str]:
        return require_header(connection, self._database.shown).suffixes.split()

    def latest(self, name: str, limit: int, allows: Allows) -> tuple[int, SessionRow | None, list[Plot]]:
        """The caller's clock, read first; the row of a session; and its latest current copies."""
        clock = self.clock(allows)
        row = self._catalog.session_row(name) if is_encodable(name) else None
        return clock, row, self._catalog.latest_plots(name, limit) if row else []

    def drawn_ahead(self, name: str) -> dict[str, int]:
        """When those copies of a session were drawn whose mtime is in the future: version -> ns."""
        now = time.time_ns()
        with self._database.reading() as connection:
            return {copy.version: copy.drawn_ns(now) for copy in copies_ahead(connection, name, now)}

    def _selected_sessions(
        self, allows: SessionFilter, after: SessionRow | None = None, since: int = INT64_MIN
    ) -> list[SessionRow]:
        """The sessions changed `since`, the latest first, minus those that SQL can exclude; check `allows` for each."""
        query = _BY_MTIME.where(is_visible(session.c.session, allows))
        with self._database.reading() as connection:
            values = {**position_values(after), "since": since}
            return list(map(SessionRow._make, connection.execute(query, values)))

    def _latest_sessions(self, skip: int, limit: int, now: int) -> list[SessionRow]:
        newest = self._catalog.latest_sessions(0, 1)
        if not newest or newest[0].mtime_ns <= now:
            return self._catalog.latest_sessions(skip, limit)
        rows = self._catalog.latest_sessions(0, skip + limit + MAX_AHEAD)
        return self._redated(rows, now)[skip : skip + limit]

    def _redated(self, rows: Iterable[SessionRow], now: int) -> list[SessionRow]:
        """Sessions, the latest first, those ahead of now placed by the time at which their latest plot was drawn."""
        rows = list(rows)
        ahead = list(takewhile(lambda row: row.mtime_ns > now, rows[:MAX_AHEAD]))
        if not ahead:
            return rows
        rows = rows[len(ahead) :]
        for row in ahead:
            if latest := self._preview(row.session, now).latest:
                rows.append(row._replace(mtime_ns=latest[0].drawn_ns(now)))
        return sorted(rows, key=lambda row: (-row.mtime_ns, row.session))

    def _preview(self, name: str, now: int) -> _Preview:
        # The clock is read first: a plot added in between is cached under the older clock, and read again.
        clock = self._clock_of(name)
        known = self._previews.get(name)
        if known and known.clock == clock:
            return known
        with self._database.reading() as connection:
            latest = latest_plots(connection, name, PREVIEW_PLOTS, now)
            known = _Preview(clock, latest, count_plots(connection, name))
        self._previews[name] = known
        while len(self._previews) > CACHED_SESSIONS:
            self._previews.popitem(last=False)
        return known

    def _clock_of(self, name: str) -> int:
        with self._database.reading() as connection:
            clock = connection.execute(select(session.c.clock).where(session.c.session == name)).scalar()
            return int(clock or 0)
