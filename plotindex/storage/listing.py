"""Lists for callers: sessions, the plots of one, and the changes since a clock. Each is read from one commit."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from sqlalchemy import select

from plotindex.storage.catalog import SessionRow
from plotindex.storage.catalog_header import not_initialised, require_header
from plotindex.storage.database import Database
from plotindex.storage.name_filter import SEARCH_SECONDS, NameFilter
from plotindex.storage.rows import PLOT, read_copies
from plotindex.storage.statements import Prepared
from plotindex.storage.tables import catalogue, plot, session
from plotindex.storage.visibility import ReadChanges, changes_reader, has_trimmed, is_visible, newest_clock
from plotindex.tree import (
    ALL_SESSIONS,
    INT64_MAX,
    NO_SESSIONS,
    Allows,
    Plot,
    PlotKey,
    SessionFilter,
    newest_first,
)

MAX_CHANGES = 1_000
MAX_COPIES = 10_000
"""A page ends with the key that reaches so many copies."""


class Entry(NamedTuple):
    """A key and its copies, the current one first."""

    key: PlotKey
    copies: list[Plot]


class Page(NamedTuple):
    """A page of the keys of a session; `next` is the `after` of the next one, or None.

    It may be short, even empty, while there is a next one: a search ends when its time is up.
    """

    clock: int
    entries: list[Entry]
    next: str | None


class SessionPage(NamedTuple):
    """A page of sessions; `next` is the `after` of the next one, or None. It may be short, as `Page`."""

    clock: int
    sessions: list[SessionRow]
    next: str | None


class ChangesPage(NamedTuple):
    """The changes since a clock. `fresh` if these are not known: list everything, then go on from `clock`."""

    clock: int
    fresh: bool
    more: bool
    changed: list[Entry]
    removed: list[PlotKey]


class Listing:
    """Lists from one catalogue. Every method raises CatalogError when it cannot be read.

    Clocks are of the last commit that changed the sessions that the caller may see, except that of `clock`.
    """

    def __init__(self, database: Database, search_seconds: float = SEARCH_SECONDS) -> None:
        """A page with a query ends after `search_seconds`."""
        self.database = database
        self._search_seconds = search_seconds

    def clock(self) -> int:
        """The clock of the last commit that changed plots, in any session."""
        row = self.database.fetch_one(_CLOCK, {})
        if row is None:
            raise not_initialised(self.database.shown)
        return int(row[0])

    def plots(self, name: str, limit: int, after: str = "", query: str = "", *, allows: Allows = ALL_SESSIONS) -> Page:
        """The keys of a session whose filename matches `query`, by filename, following `after`."""
        # No name contains a NUL, which not every database can compare with.
        query_rows = select(*PLOT).where(plot.c.session == name, plot.c.filename > after.partition("\0")[0])
        names = NameFilter(query, self._search_seconds)
        with self.database.reading() as connection:
            header = require_header(connection, self.database.shown)
            clock = newest_clock(connection, header, SessionFilter.of(allows))
            ordered = query_rows.order_by(plot.c.filename, plot.c.project)
            with connection.execution_options(yield_per=1000).execute(ordered) as rows:
                found = map(Plot._make, names.filter(rows, attrgetter("filename")))
                page, following = page_of(entries_of(found), limit)
            return Page(clock, page, following or names.stopped_after)

    def sessions(self, allows: Allows, limit: int, after: str = "", query: str = "") -> SessionPage:
        """The sessions that the caller may see and whose name matches `query`, by name, following `after`."""
        allows = SessionFilter.of(allows)
        query_rows = select(session.c.session, session.c.plots, session.c.mtime_ns).where(
            session.c.session > after.partition("\0")[0], is_visible(session.c.session, allows)
        )
        names = NameFilter(query, self._search_seconds)
        page: list[SessionRow] = []
        with self.database.reading() as connection:
            clock = newest_clock(connection, require_header(connection, self.database.shown), allows)
            ordered = query_rows.order_by(session.c.session)
            with connection.execution_options(yield_per=1000).execute(ordered) as rows:
                for row in names.filter_sessions(map(SessionRow._make, rows), allows):
                    if len(page) == limit:
                        return SessionPage(clock, page, page[-1].session)
                    page.append(row)
        return SessionPage(clock, page, names.stopped_after)

    def changes(self, since: int, allows: Allows, name: str | None = None, limit: int = MAX_CHANGES) -> ChangesPage:
        """The changes since a clock in the sessions that the caller may see, or in one. A page ends on a commit.

        An entry shows its key as it is now, which may be later than the clock of the page.
        """
        allows = SessionFilter.of(allows)
        wanted = allows
        if name is not None:
            wanted = SessionFilter.only(name) if allows(name) else NO_SESSIONS
        with self.database.reading() as connection:
            header = require_header(connection, self.database.shown)
            clock = newest_clock(connection, header, allows)
            if not header.born <= since <= clock or has_trimmed(connection, wanted, since):
                return ChangesPage(clock, fresh=True, more=False, changed=[], removed=[])
            newest = clock if name is None else newest_clock(connection, header, wanted)
            read = changes_reader(connection, wanted, by_clock=bool(allows.is_all))
            keys, upto = _commits_since(read, since, newest, limit) if newest > since else ({}, None)
            entries: list[Entry] = []
            copies, reached = 0, since
            for key, clock_of_key in keys.items():
                # Never within a commit: a reader that goes on from its clock would miss the rest.
                if copies >= MAX_COPIES and clock_of_key > reached:
                    upto = reached
                    break
                reached = clock_of_key
                entries.append(entry := Entry(key, read_copies(connection, key)))
                copies += len(entry.copies)
        changed = [entry for entry in entries if entry.copies]
        removed = [entry.key for entry in entries if not entry.copies]
        return ChangesPage(
            clock if upto is None else upto, fresh=False, more=upto is not None, changed=changed, removed=removed
        )


def entries_of(plots: Iterable[Plot]) -> Iterator[Entry]:
    """Group the plots of one session, sorted by filename, into entries."""
    for filename, own in groupby(plots, key=lambda plot: plot.filename):
        copies = newest_first(own)
        yield Entry(PlotKey(copies[0].session, filename), copies)


def page_of(entries: Iterable[Entry], limit: int) -> tuple[list[Entry], str | None]:
    """The first entries, and the last filename of these if there are more."""
    page: list[Entry] = []
    copies = 0
    for entry in entries:
        if len(page) == limit or copies >= MAX_COPIES:
            return page, page[-1].key.filename
        copies += len(entry.copies)
        page.append(entry)
    return page, None


def _commits_since(read: ReadChanges, since: int, newest: int, limit: int) -> tuple[dict[PlotKey, int], int | None]:
    """The keys of the next commits (at least one) with their first clocks; and the last clock if there are more."""
    rows = read(since, newest, limit + 1)
    upto = None
    if len(rows) > limit:
        first, last = rows[0][0], rows[-1][0]
        if first == last:
            rows, upto = read(since, first, INT64_MAX), first
        else:
            rows = [row for row in rows if row[0] < last]
            upto = rows[-1][0]
    keys: dict[PlotKey, int] = {}
    for clock, session_name, filename in rows:
        keys.setdefault(PlotKey(session_name, filename), clock)
    return keys, upto


_CLOCK = Prepared(select(catalogue.c.clock))
