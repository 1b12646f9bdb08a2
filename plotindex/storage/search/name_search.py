"""Search the names of all plots, the latest first, within a bounded time.

The latest sessions are read name by name, which soon finds common names, however short the text is. Rare names are
found by the index of trigrams; those not yet in it are read from the plots. Each name found is looked up, so that no
deleted plot is returned.
"""

import time
from collections.abc import Collection, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from heapq import nlargest
from itertools import chain
from typing import NamedTuple

from sqlalchemy import BigInteger, Connection, bindparam, func, select, tuple_

from plotindex.storage.catalog import SessionRow
from plotindex.storage.catalog_header import read_header
from plotindex.storage.database import Database
from plotindex.storage.name_filter import SEARCH_SECONDS, NameFilter
from plotindex.storage.rows import CURRENT_COPY, key_values
from plotindex.storage.search.fulltext_sql import NameIndex, NameRow, SearchTimeoutError, time_limit
from plotindex.storage.search.trigrams import ESCAPE, can_be_in_name, like_pattern, trigrams_of
from plotindex.storage.search.updater import read_position
from plotindex.storage.statements import Prepared
from plotindex.storage.tables import plot
from plotindex.tree import INT64_MAX, Plot, PlotKey, fold_case, is_glob, literal_runs, name_matcher

NAMES_BEFORE_INDEX = 10_000
"""Names of the latest sessions to read before the index is used."""
NAMES_WITHOUT_INDEX = 50_000
"""The same if the index cannot be used: the text is too short, or the caller may not see every session."""
SESSION_COST = 50
"""The cost of reading another session, in names."""
MAX_SESSIONS = NAMES_WITHOUT_INDEX // SESSION_COST
"""Sessions that are read at most."""
MAX_PENDING = 10_000
"""Names not yet in the index that are read, the latest first."""
INDEX_SECONDS = 0.025
"""Time limit of the index, roughly."""
OVERSAMPLING = 2
"""How many times as many of the latest changes are looked up as are wanted, to find the newest by mtime."""

DatedKey = tuple[int, PlotKey]
"""The newest mtime_ns of a key's copies, and the key."""


class SearchResult(NamedTuple):
    """Current copies, the latest first."""

    plots: list[Plot]
    is_complete: bool
    """Whether these are as many as were wanted, or all there are."""
    next: SessionRow | None = None
    """If they are not: the last session that was read name by name. The search continues behind it."""


@dataclass
class NameSearch:
    """Searches the names in one catalogue. Every method raises CatalogError when they cannot be read. Thread-safe."""

    database: Database
    before_index: int = NAMES_BEFORE_INDEX
    without_index: int = NAMES_WITHOUT_INDEX
    index_seconds: float = INDEX_SECONDS
    search_seconds: float = SEARCH_SECONDS
    _index: NameIndex = field(default_factory=NameIndex)

    def search(
        self, query: str, sessions: Iterable[SessionRow], limit: int, *, everywhere: bool = False
    ) -> SearchResult:
        """The keys in some sessions whose filename contains `query`, in any case of ASCII; a glob must match it.

        The sessions are sorted as by `Catalog.latest_sessions`. `everywhere`: they are all sessions, or the latest
        MAX_SESSIONS of all; otherwise no other session's names are read, so that timing reveals nothing about them.
        """
        runs = literal_runs(query)
        if not all(map(can_be_in_name, runs)):
            return SearchResult([], is_complete=True)
        has_index = everywhere and bool(trigrams_of(runs))
        with self.database.reading() as connection:
            budget = self.before_index if has_index else self.without_index
            keys, is_complete, last = _read_latest(
                connection, sessions, query, limit, budget=budget, seconds=self.search_seconds
            )
            if has_index and not is_complete:
                more, is_complete = self._search_index(connection, query, limit)
                keys = nlargest(limit, {*keys, *more})
            current = [(key, CURRENT_COPY(connection, key_values(key))) for _, key in keys]
        plots = [Plot(key.session, rows[0][0], key.filename, *rows[0][1:]) for key, rows in current if rows]
        return SearchResult(plots, is_complete, None if is_complete else last)

    def keys_with(self, runs: Collection[str], limit: int) -> set[PlotKey] | None:
        """The keys whose filename contains these texts, in this order and in any case of ASCII; None if that is slow.

        It is slow if more than `limit` match, no text is long enough for the index, or the index is far behind.
        """
        wanted = [fold_case(run) for run in runs]
        if not trigrams_of(runs) or not all(map(can_be_in_name, runs)):
            return None
        found: set[PlotKey] = set()
        with self.database.reading() as connection:
            pending, is_all = _pending_names(connection)
            if not is_all:
                return None
            with closing(self._index.candidates(connection, runs)) as candidates:
                for _, *fields in chain(pending, candidates):
                    key = PlotKey._make(fields)
                    folded = fold_case(key.filename)
                    if all(run in folded for run in wanted):
                        found.add(key)
                        if len(found) > limit:
                            return None
        return found

    def _search_index(self, connection: Connection, query: str, limit: int) -> tuple[list[DatedKey], bool]:
        """The matching keys that changed last; and whether these suffice."""
        matches = name_matcher(query)
        found: dict[PlotKey, int] = {}
        pending, is_complete = _pending_names(connection)
        deadline = time.monotonic() + self.search_seconds
        try:
            with (
                time_limit(connection, self.index_seconds),
                closing(self._index.candidates(connection, literal_runs(query))) as candidates,
            ):
                for _, *fields in chain(pending, candidates):
                    key = PlotKey._make(fields)
                    if time.monotonic() >= deadline:
                        raise SearchTimeoutError
                    if key in found or not matches(key.filename):
                        continue
                    if rows := CURRENT_COPY(connection, key_values(key)):
                        found[key] = rows[0][2]
                        if len(found) == limit * OVERSAMPLING:
                            break
        except SearchTimeoutError:
            is_complete = False
        return [(newest, key) for key, newest in found.items()], is_complete or len(found) >= limit


def _read_latest(
    connection: Connection, sessions: Iterable[SessionRow], query: str, limit: int, *, budget: int, seconds: float
) -> tuple[list[DatedKey], bool, SessionRow | None]:
    """The matching keys in the latest sessions; whether these suffice, or are all; and the last session read.

    A session that takes too long is read again, as the first one, by the search that continues.
    """
    values = {"like": like_pattern(literal_runs(query)), "most": INT64_MAX if is_glob(query) else limit}
    names = NameFilter(query, seconds)
    found: list[DatedKey] = []
    last: SessionRow | None = None
    before: SessionRow | None = None
    try:
        with time_limit(connection, seconds):
            for session in sessions:
                if len(found) == limit and found[-1][0] > session.mtime_ns:
                    break
                if budget <= 0 or (last and names.is_late):
                    return found, len(found) == limit, last
                budget -= session.plots + SESSION_COST
                last, before = session, last
                own: list[DatedKey] = []
                try:
                    _read_session(connection, {**values, "of_session": session.session}, names, own)
                finally:
                    found = nlargest(limit, found + own)
    except SearchTimeoutError:
        return found, False, before or last
    return found, True, last


def _read_session(
    connection: Connection, values: Mapping[str, object], names: NameFilter, found: list[DatedKey]
) -> None:
    """Add the matching keys of a session. Raises SearchTimeoutError when time is up; those added are valid."""
    for newest, filename in _LATEST_OF_SESSION(connection, values):
        if names.is_late:
            raise SearchTimeoutError
        if names.matches(filename):
            found.append((newest, PlotKey(str(values["of_session"]), filename)))


def _pending_names(connection: Connection) -> tuple[list[NameRow], bool]:
    """The latest of the names that may not be in the index yet; and whether these are all."""
    header = read_header(connection)
    position = read_position(connection, header) if header else None
    clock, session, filename = position[:3] if position else (0, "", "")
    values = {"of_clock": clock, "of_session": session, "of_filename": filename, "most": MAX_PENDING}
    rows = list(_PENDING(connection, values))
    return rows, len(rows) < MAX_PENDING


_NEWEST = func.max(plot.c.mtime_ns).label("newest")


# An index has these columns in order, so that only the matches are sorted.
_LATEST_OF_SESSION = Prepared(
    select(_NEWEST, plot.c.filename)
    .where(plot.c.session == bindparam("of_session"), plot.c.filename.ilike(bindparam("like"), escape=ESCAPE))
    .group_by(plot.c.filename)
    .order_by(_NEWEST.desc(), plot.c.filename.desc())
    .limit(bindparam("most", type_=BigInteger))
)
_POSITION = tuple_(bindparam("of_clock", type_=BigInteger), bindparam("of_session"), bindparam("of_filename"))
_PENDING = Prepared(
    select(plot.c.clock, plot.c.session, plot.c.filename)
    .where(tuple_(plot.c.clock, plot.c.session, plot.c.filename) > _POSITION)
    .order_by(plot.c.clock.desc())
    .limit(bindparam("most", type_=BigInteger))
)
