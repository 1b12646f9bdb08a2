"""What the gallery shows: sessions by their latest plots, a search over all names, and a plot's neighbours."""

from collections import OrderedDict
from typing import NamedTuple

from sqlalchemy import func, select

from plotindex.storage.catalog import Catalog, SessionRow
from plotindex.storage.listing import Allows, Entry
from plotindex.storage.search.search import MOST_SESSIONS, NameSearch, SearchResult
from plotindex.storage.tables import plot, session
from plotindex.storage.writer import PLOT
from plotindex.system import is_encodable
from plotindex.tree import Plot, PlotKey, name_matcher, newest_first

STRIP = 5
"""How many plots stand for a session."""
MOST_REMEMBERED = 1_000
"""Sessions whose latest plots are remembered."""


class Strip(NamedTuple):
    """A session, and the current copies in it that were drawn last, the latest first."""

    row: SessionRow
    latest: list[Plot]


class Neighbours(NamedTuple):
    """The filenames before and after one, in its session; None at the end."""

    previous: str | None
    following: str | None


class Overview:
    """Looks into one catalogue. Every method raises CatalogError when it cannot be read. Safe to share."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._database = catalog.database
        self._remembered: OrderedDict[str, tuple[int, list[Plot]]] = OrderedDict()
        self._names = NameSearch(self._database)

    def clock(self) -> int:
        """The number of the last commit that changed plots."""
        return self._catalog.header().clock

    def sessions(
        self, allows: Allows, query: str, skip: int, most: int, *, allows_all: bool | None = None
    ) -> tuple[list[Strip], int]:
        """Some of the sessions whose name matches, the one drawn in last first, and how many match.

        `allows_all` says whether every session is allowed; None where nobody knows.
        """
        if allows_all and not query:
            # There may be very many, of which nobody has to be asked about.
            page, count = self._catalog.latest_sessions(skip, most), self._catalog.counts()[0]
        else:
            matches = name_matcher(query)
            wanted = [row for row in self._catalog.latest_sessions() if matches(row.session) and allows(row.session)]
            page, count = wanted[skip : skip + most], len(wanted)
        return [Strip(row, self._latest(row.session)) for row in page], count

    def search(self, allows: Allows, query: str, most: int, *, allows_all: bool | None = None) -> SearchResult:
        """The current copies of the keys whose filename matches, the latest first; at most so many.

        `allows_all` says whether every session is allowed, also one that comes meanwhile; None where nobody knows.
        """
        if allows_all:
            return self._names.search(query, self._catalog.latest_sessions(0, MOST_SESSIONS), most, everywhere=True)
        sessions = self._catalog.latest_sessions()
        allowed = [row for row in sessions if allows(row.session)]
        everywhere = allows_all is None and len(allowed) == len(sessions)
        found = self._names.search(query, allowed, most, everywhere=everywhere)
        # One that nobody was asked about may have come since.
        return found._replace(plots=[plot for plot in found.plots if allows(plot.session)])

    def entry(self, key: PlotKey) -> Entry | None:
        """A key and its copies, or None when there is none."""
        query = select(*PLOT).where(plot.c.session == key.session, plot.c.filename == key.filename)
        with self._database.reading() as connection:
            copies = newest_first(map(Plot._make, connection.execute(query)))
        return Entry(key, copies) if copies else None

    def neighbours(self, key: PlotKey) -> Neighbours:
        """What lies beside a key when its session is sorted by filename."""
        names = plot.c.filename
        of_session = plot.c.session == key.session
        with self._database.reading() as connection:
            before = select(func.max(names)).where(of_session, names < key.filename)
            after = select(func.min(names)).where(of_session, names > key.filename)
            return Neighbours(connection.execute(before).scalar(), connection.execute(after).scalar())

    def latest(self, name: str, most: int) -> tuple[int, SessionRow | None, list[Plot]]:
        """The clock before anything else was read, what is known of a session, and its latest plots."""
        clock = self.clock()
        row = self._catalog.session_row(name) if is_encodable(name) else None
        if row is None:
            return clock, None, []
        return clock, SessionRow(name, *row), self._catalog.latest_plots(name, most)

    def _latest(self, name: str) -> list[Plot]:
        # Read first: what is drawn in between is remembered under the older clock, and looked for again.
        clock = self._clock_of(name)
        known = self._remembered.get(name)
        if known and known[0] == clock:
            return known[1]
        latest = self._catalog.latest_plots(name, STRIP)
        self._remembered[name] = clock, latest
        while len(self._remembered) > MOST_REMEMBERED:
            self._remembered.popitem(last=False)
        return latest

    def _clock_of(self, name: str) -> int:
        with self._database.reading() as connection:
            clock = connection.execute(select(session.c.clock).where(session.c.session == name)).scalar()
            return int(clock or 0)
