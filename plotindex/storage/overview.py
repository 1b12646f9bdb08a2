"""Reads for the gallery: sessions with their latest plots, search by name, and the neighbours of a plot."""

from collections import OrderedDict
from typing import NamedTuple

from sqlalchemy import func, select

from plotindex.storage.catalog import Catalog, SessionRow
from plotindex.storage.catalog_header import require_header
from plotindex.storage.listing import Entry
from plotindex.storage.name_filter import NameFilter
from plotindex.storage.rows import read_copies
from plotindex.storage.search.name_search import MAX_SESSIONS, NameSearch, SearchResult
from plotindex.storage.tables import plot, session
from plotindex.storage.visibility import newest_clock
from plotindex.system import is_encodable
from plotindex.tree import Allows, Plot, PlotKey, SessionFilter

PREVIEW_PLOTS = 5
"""Plots in the preview of a session."""
CACHED_SESSIONS = 1_000
"""Sessions whose previews are cached."""


class SessionPreview(NamedTuple):
    """A session and its latest current copies, the latest first."""

    row: SessionRow
    latest: list[Plot]


class PreviewPage(NamedTuple):
    """A page of sessions. The search for more continues behind `next`, if its time was up."""

    previews: list[SessionPreview]
    total: int
    """The number of all sessions that were found."""
    next: SessionRow | None


class Neighbours(NamedTuple):
    """The filenames before and after one in its session; None at the ends."""

    previous: str | None
    following: str | None


class Overview:
    """Reads one catalogue. Every method raises CatalogError when it cannot be read. Thread-safe."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._database = catalog.database
        self._previews: OrderedDict[str, tuple[int, list[Plot]]] = OrderedDict()
        self._search = NameSearch(self._database)

    def clock(self, allows: Allows) -> int:
        """The clock of the last commit that changed the sessions that the caller may see."""
        with self._database.reading() as connection:
            return newest_clock(connection, require_header(connection, self._database.shown), SessionFilter.of(allows))

    def sessions(
        self, allows: Allows, query: str, skip: int, limit: int, *, after: SessionRow | None = None
    ) -> PreviewPage:
        """A page of the sessions whose name matches, the latest first, from behind `after`."""
        allows = SessionFilter.of(allows)
        names = NameFilter(query, self._search.search_seconds)
        if allows.is_all and not query and after is None:
            # There may be very many: do not read them all.
            page, count = self._catalog.latest_sessions(skip, limit), self._catalog.counts()[0]
        else:
            found = list(names.filter_sessions(self._catalog.selected_sessions(allows, after), allows))
            page, count = found[skip : skip + limit], len(found)
        return PreviewPage([SessionPreview(row, self._latest(row.session)) for row in page], count, names.stopped_at)

    def search(self, allows: Allows, query: str, limit: int, *, after: SessionRow | None = None) -> SearchResult:
        """The current copies of the keys whose filename matches, the latest first, in sessions from behind `after`."""
        allows = SessionFilter.of(allows)
        if allows.is_all:
            sessions = self._catalog.latest_sessions(0, MAX_SESSIONS, after)
            return self._search.search(query, sessions, limit, everywhere=after is None)
        sessions = self._catalog.selected_sessions(allows, after)
        allowed = [row for row in sessions if allows(row.session)]
        everywhere = allows.is_all is None and after is None and len(allowed) == len(sessions)
        found = self._search.search(query, allowed, limit, everywhere=everywhere)
        # A session may have appeared since, which was not checked.
        return found._replace(plots=[plot for plot in found.plots if allows(plot.session)])

    def entry(self, key: PlotKey) -> Entry | None:
        """A key and its copies, or None without any."""
        with self._database.reading() as connection:
            copies = read_copies(connection, key)
        return Entry(key, copies) if copies else None

    def neighbours(self, key: PlotKey) -> Neighbours:
        """The filenames beside a key in its session, by filename."""
        names = plot.c.filename
        of_session = plot.c.session == key.session
        with self._database.reading() as connection:
            before = select(func.max(names)).where(of_session, names < key.filename)
            after = select(func.min(names)).where(of_session, names > key.filename)
            return Neighbours(connection.execute(before).scalar(), connection.execute(after).scalar())

    def latest(self, name: str, limit: int, allows: Allows) -> tuple[int, SessionRow | None, list[Plot]]:
        """The caller's clock, read first; the row of a session; and its latest current copies."""
        clock = self.clock(allows)
        row = self._catalog.session_row(name) if is_encodable(name) else None
        return clock, row, self._catalog.latest_plots(name, limit) if row else []

    def _latest(self, name: str) -> list[Plot]:
        # The clock is read first: a plot added in between is cached under the older clock, and read again.
        clock = self._clock_of(name)
        known = self._previews.get(name)
        if known and known[0] == clock:
            return known[1]
        latest = self._catalog.latest_plots(name, PREVIEW_PLOTS)
        self._previews[name] = clock, latest
        while len(self._previews) > CACHED_SESSIONS:
            self._previews.popitem(last=False)
        return latest

    def _clock_of(self, name: str) -> int:
        with self._database.reading() as connection:
            clock = connection.execute(select(session.c.clock).where(session.c.session == name)).scalar()
            return int(clock or 0)
