"""Lists for callers: sessions, the plots of one, and the changes since a clock. Each is read from one commit."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from hashlib import blake2b
from itertools import chain, groupby
from operator import itemgetter
from typing import NamedTuple

from sqlalchemy import select

from plotindex.storage.catalog import SessionRow
from plotindex.storage.catalog_header import not_initialised, require_header
from plotindex.storage.database import Database
from plotindex.storage.name_filter import SEARCH_SECONDS, EntryCondition, NameFilter
from plotindex.storage.rows import Entry, read_behind, read_copies
from plotindex.storage.sibling_queries import read_siblings
from plotindex.storage.siblings import Name, collect_formats, sibling_suffixes, stem_of
from plotindex.storage.statements import Connection, Prepared
from plotindex.storage.tables import session
from plotindex.storage.visibility import (
    ChangeRow,
    ReadChanges,
    changes_reader,
    has_trimmed,
    is_visible,
    newest_clock,
)
from plotindex.tree import (
    ALL_SESSIONS,
    INT64_MAX,
    NO_SESSIONS,
    Allows,
    Plot,
    PlotKey,
    Scope,
    SessionFilter,
    filename_of,
    newest_first,
)

MAX_CHANGES = 1_000
ROWS_PER_READ = 1_000
MAX_COPIES = 10_000
MAX_NAME_BYTES = 1 << 20
"""A page ends with the key that reaches so many copies, or so many bytes of their filenames. No entry has more."""
DIGEST_BYTES = 9
MakeCondition = Callable[[Connection], EntryCondition]
Position = tuple[int, bytes]
"""The clock of a change, and a digest of its key: a place within its commit that no other change moves."""


class _PageSize:
    """How large a page has become."""

    def __init__(self) -> None:
        self._copies = self._name_bytes = 0

    @property
    def is_full(self) -> bool:
        return self._copies >= MAX_COPIES or self._name_bytes >= MAX_NAME_BYTES

    def add(self, entry: Entry) -> None:
        """Count an entry: each copy has an address, which contains the filename; a removed key has its name."""
        self._copies += len(entry.copies)
        self._name_bytes += max(1, len(entry.copies)) * len(entry.key.filename.encode())


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
    """The changes since a clock. `fresh` if these are not known: list everything, then go on from `clock`.

    `within` is the position in the commit of `clock` where the page ends, or empty if it has all of the commit.
    """

    clock: int
    within: bytes
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

    def plots(
        self,
        name: str,
        limit: int,
        after: str = "",
        query: str = "",
        *,
        project: str | None = None,
        allows: Allows = ALL_SESSIONS,
        facts_filter: MakeCondition | None = None,
    ) -> Page:
        """The keys of a session whose filename or projects match `query`, by filename, following `after`.

        With `project` as if the session had no other. `facts_filter` makes another condition for entries, within the
        transaction.
        """
        with self.database.reading() as connection:
            names = NameFilter(query, self._search_seconds, facts_filter(connection) if facts_filter else None)
            header = require_header(connection, self.database.shown)
            clock = newest_clock(connection, header, SessionFilter.of(allows))
            # No name contains a NUL, which not every database can compare with. One row more: is there a next page?
            chunk = min(limit, ROWS_PER_READ) + 1
            rows = read_behind(connection, Scope(name, project), after.partition("\0")[0], chunk)
            entries = entries_of(map(Plot._make, rows))
            page, following = page_of(names.filter_entries(entries), limit)
            others = page if query or facts_filter else _at_ends(page)
            siblings = read_siblings(connection, name, (each.key.filename for each in others), header.suffixes.split())
            return Page(clock, with_siblings(page, siblings), following or names.stopped_after)

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

    def changes(
        self, since: int, allows: Allows, name: str | None = None, limit: int = MAX_CHANGES, *, within: bytes = b""
    ) -> ChangesPage:
        """The changes since a clock in the sessions that the caller may see, or in one.

        A page ends on a commit or, when it is full, within one; the next one continues from its `clock` and `within`.
        An entry shows its key as it is now, which may be later than the clock of the page.
        """
        allows = SessionFilter.of(allows)
        wanted = allows
        if name is not None:
            wanted = SessionFilter.only(name) if allows(name) else NO_SESSIONS
        # A commit of which a part is known is read again.
        behind = since - 1 if within else since
        with self.database.reading() as connection:
            header = require_header(connection, self.database.shown)
            clock = newest_clock(connection, header, allows)
            if not header.born <= since <= clock or has_trimmed(connection, wanted, behind):
                return ChangesPage(clock, b"", fresh=True, more=False, changed=[], removed=[])
            newest = clock if name is None else newest_clock(connection, header, wanted)
            read = changes_reader(connection, wanted, by_clock=bool(allows.is_all))
            rows, upto = _commits_since(read, behind, newest, limit) if newest > behind else ([], None)
            keys = _first_positions(rows, (since, within))
            entries: dict[PlotKey, Entry] = {}
            size, reached, within = _PageSize(), (since, within), b""
            for key, position in sorted(keys.items(), key=itemgetter(1)):
                if size.is_full:
                    upto = reached[0]
                    within = reached[1] if position[0] == upto else b""
                    break
                reached = position
                entries[key] = entry = Entry(key, read_copies(connection, key, _most_copies(key.filename)))
                size.add(entry)
            shown = [entries[key] for key in keys if key in entries]
            changed = _with_changed_siblings(connection, shown, header.suffixes.split())
        removed = [entry.key for entry in shown if not entry.copies]
        return ChangesPage(
            clock if upto is None else upto,
            within,
            fresh=False,
            more=upto is not None,
            changed=changed,
            removed=removed,
        )


def _most_copies(filename: str) -> int:
    return max(1, min(MAX_COPIES, MAX_NAME_BYTES // len(filename.encode())))


def _at_ends(page: list[Entry]) -> list[Entry]:
    """The entries of a page of all names that can have siblings outside of it.

    What lies between two names begins as both of them begin: only there the end of a page lies between siblings.
    """
    ends = [entry.key.filename for entry in (*page[:1], *page[-1:])]
    return [entry for entry in page if any(end.startswith(stem_of(entry.key.filename)) for end in ends)]


def with_siblings(entries: Iterable[Entry], others: Iterable[Name] = ()) -> list[Entry]:
    """The entries of one session, with the siblings of their current copies, among themselves and the others."""
    entries = list(entries)
    own = ((entry.key.filename, copy.project) for entry in entries for copy in entry.copies)
    formats = collect_formats(chain(own, others))
    return [
        entry._replace(siblings=sibling_suffixes(entry.key.filename, entry.copies[0].project, formats))
        for entry in entries
    ]


def _with_changed_siblings(connection: Connection, entries: list[Entry], suffixes: Collection[str]) -> list[Entry]:
    """The entries that have copies, and those that a change of one of these gave or took a sibling."""
    changed: list[Entry] = []
    for name, group in groupby(
        sorted(entries, key=lambda entry: entry.key.session), key=lambda entry: entry.key.session
    ):
        own = {entry.key.filename: entry for entry in group}
        siblings = read_siblings(connection, name, own, suffixes)
        others = sorted({filename for filename, _ in siblings}.difference(own))
        own |= {
            filename: Entry(key, read_copies(connection, key, _most_copies(filename)))
            for filename in others
            for key in [PlotKey(name, filename)]
        }
        siblings += read_siblings(connection, name, others, suffixes) if others else []
        changed += with_siblings((entry for entry in own.values() if entry.copies), siblings)
    return changed


def entries_of(plots: Iterable[Plot]) -> Iterator[Entry]:
    """Group the plots of one session, sorted by filename, into entries."""
    for filename, own in groupby(plots, filename_of):
        copies = newest_first(own)[: _most_copies(filename)]
        yield Entry(PlotKey(copies[0].session, filename), copies)


def page_of(entries: Iterable[Entry], limit: int) -> tuple[list[Entry], str | None]:
    """The first entries, and the last filename of these if there are more."""
    page: list[Entry] = []
    size = _PageSize()
    for entry in entries:
        if len(page) == limit or size.is_full:
            return page, page[-1].key.filename
        size.add(entry)
        page.append(entry)
    return page, None


def _commits_since(read: ReadChanges, since: int, newest: int, limit: int) -> tuple[Sequence[ChangeRow], int | None]:
    """The changes of the next commits (at least one); and the last clock if there are more."""
    rows = read(since, newest, limit + 1)
    if len(rows) <= limit:
        return rows, None
    first, last = rows[0][0], rows[-1][0]
    if first == last:
        return read(since, first, INT64_MAX), first
    rows = [row for row in rows if row[0] < last]
    return rows, rows[-1][0]


def _first_positions(rows: Iterable[ChangeRow], behind: Position) -> dict[PlotKey, Position]:
    """The keys of changes behind a position, each with that of its first one."""
    keys: dict[PlotKey, Position] = {}
    for clock, session_name, filename in rows:
        position = clock, blake2b(f"{session_name}/{filename}".encode(), digest_size=DIGEST_BYTES).digest()
        if position > behind:
            keys.setdefault(PlotKey(session_name, filename), position)
    return keys


_CLOCK = Prepared("SELECT clock FROM catalogue")
