"""Search the names and projects of all plots, the latest first, within a bounded time.

The latest sessions are read plot by plot, which soon finds common names, however short the words are. Rare names are
found by the index of trigrams, which knows no projects; those not yet in it are read from the plots. Each name found
is looked up, so that no deleted plot is returned.
"""

import time
from collections.abc import Collection, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from heapq import nlargest
from itertools import chain
from typing import NamedTuple

from plotindex.storage.catalog import SessionRow
from plotindex.storage.catalog_header import read_header
from plotindex.storage.database import Database
from plotindex.storage.follower import read_position
from plotindex.storage.name_filter import SEARCH_SECONDS, NameFilter
from plotindex.storage.rows import CURRENT_COPY, key_values
from plotindex.storage.search.fulltext_sql import NAMES, NameRow, SearchTimeoutError, TrigramIndex, time_limit
from plotindex.storage.search.trigrams import ESCAPE, can_be_in_name, like_pattern, trigrams_of
from plotindex.storage.search.updater import SearchedNames
from plotindex.storage.statements import POSTGRES, SQLITE, Connection, Prepared
from plotindex.tree import (
    INT64_MAX,
    INT64_MIN,
    Plot,
    PlotKey,
    fold_case,
    is_glob,
    literal_runs,
    query_matcher,
    query_words,
)

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
SQL_WORDS = 3
"""The longest words of a query that the database compares; an unused one matches everything."""
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
    """Whether these are as many as were wanted, or all whose filename matches."""
    next: SessionRow | None = None
    """If projects or filenames were not all searched: the last session read. The search continues behind it."""
    is_limited: bool = False
    """Whether as many were found as were wanted."""


@dataclass
class NameSearch:
    """Searches the names in one catalogue. Every method raises CatalogError when they cannot be read. Thread-safe."""

    database: Database
    before_index: int = NAMES_BEFORE_INDEX
    without_index: int = NAMES_WITHOUT_INDEX
    index_seconds: float = INDEX_SECONDS
    search_seconds: float = SEARCH_SECONDS
    _index: TrigramIndex = field(default_factory=lambda: TrigramIndex(NAMES))

    def search(
        self,
        query: str,
        sessions: Iterable[SessionRow],
        limit: int,
        *,
        since: int = INT64_MIN,
        everywhere: bool = False,
    ) -> SearchResult:
        """The keys in some sessions, changed `since` (mtime_ns), whose filename and projects match `query`.

        The sessions are sorted as by `Catalog.latest_sessions`. `everywhere`: they are all sessions, or the latest
        MAX_SESSIONS of all; otherwise no other session's names are read, so that timing reveals nothing about them.
        """
        words = [literal_runs(word) for word in query_words(query)]
        runs = list(chain.from_iterable(words))
        if not all(map(can_be_in_name, runs)):
            return SearchResult([], is_complete=True)
        has_index = everywhere and bool(trigrams_of(runs))
        with self.database.reading() as connection:
            budget = self.before_index if has_index else self.without_index
            keys, is_complete, last = _read_latest(
                connection, sessions, query, limit, since=since, budget=budget, seconds=self.search_seconds
            )
            behind = None if is_complete else last
            if has_index and not is_complete:
                more, is_complete = self._search_index(connection, query, words, limit, since)
                keys = nlargest(limit, {*keys, *more})
                behind = None if len(keys) == limit and is_complete else last
            current = [(key, CURRENT_COPY(connection, key_values(key))) for _, key in keys]
        plots = [Plot(key.session, rows[0][0], key.filename, *rows[0][1:]) for key, rows in current if rows]
        return SearchResult(plots, is_complete, behind)

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
            with closing(self._index.candidates(connection, [runs])) as candidates:
                for _, *fields in chain(pending, candidates):
                    key = PlotKey._make(fields)
                    folded = fold_case(key.filename)
                    if all(run in folded for run in wanted):
                        found.add(key)
                        if len(found) > limit:
                            return None
        return found

    def _search_index(
        self, connection: Connection, query: str, words: Collection[Collection[str]], limit: int, since: int
    ) -> tuple[list[DatedKey], bool]:
        """The keys with a matching filename that changed last; and whether these suffice."""
        matches = query_matcher(query)
        found: dict[PlotKey, int] = {}
        pending, is_complete = _pending_names(connection)
        deadline = time.monotonic() + self.search_seconds
        try:
            with (
                time_limit(connection, self.index_seconds),
                closing(self._index.candidates(connection, words)) as candidates,
            ):
                for _, *fields in chain(pending, candidates):
                    key = PlotKey._make(fields)
                    if time.monotonic() >= deadline:
                        raise SearchTimeoutError
                    if key in found or not matches([key.filename]):
                        continue
                    rows = CURRENT_COPY(connection, key_values(key))
                    if rows and rows[0][2] >= since:
                        found[key] = rows[0][2]
                        if len(found) == limit * OVERSAMPLING:
                            break
        except SearchTimeoutError:
            is_complete = False
        return [(newest, key) for key, newest in found.items()], is_complete or len(found) >= limit


def _read_latest(
    connection: Connection,
    sessions: Iterable[SessionRow],
    query: str,
    limit: int,
    *,
    since: int,
    budget: int,
    seconds: float,
) -> tuple[list[DatedKey], bool, SessionRow | None]:
    """The matching keys in the latest sessions; whether these suffice, or are all; and the last session read.

    A session that takes too long is read again, as the first one, by the search that continues.
    """
    words = sorted(query_words(query), key=len, reverse=True)
    likes = [like_pattern(literal_runs(word)) for word in words] + [like_pattern([])] * SQL_WORDS
    is_exact = len(words) <= SQL_WORDS and not any(map(is_glob, words))
    values: dict[str, object] = {"since": since, "most": limit if is_exact else INT64_MAX}
    values |= {f"like_{number}": likes[number] for number in range(SQL_WORDS)}
    names = NameFilter(query, seconds)
    found: list[DatedKey] = []
    last: SessionRow | None = None
    before: SessionRow | None = None
    try:
        with time_limit(connection, seconds):
            for session in sessions:
                if session.mtime_ns < since or (len(found) == limit and found[-1][0] > session.mtime_ns):
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
    for newest, filename, projects in _LATEST_OF_SESSION[connection.kind](connection, values):
        if names.is_late:
            raise SearchTimeoutError
        if names.matches([filename, *projects.split("/")]):
            found.append((newest, PlotKey(str(values["of_session"]), filename)))


def _pending_names(connection: Connection) -> tuple[list[NameRow], bool]:
    """The latest of the names that may not be in the index yet; and whether these are all."""
    header = read_header(connection)
    position = read_position(connection, connection, SearchedNames(), header) if header else None
    clock, session, filename = position[:3] if position else (0, "", "")
    values = {"of_clock": clock, "of_session": session, "of_filename": filename, "most": MAX_PENDING}
    rows = list(_PENDING(connection, values))
    return rows, len(rows) < MAX_PENDING


def _latest_of_session(like: str, join: str) -> Prepared:
    """`like` ignores case; `join` is the function that joins texts."""
    contains_words = " AND ".join(
        f"(filename {like} :like_{number} ESCAPE '{ESCAPE}' "
        f"OR max(CASE WHEN project {like} :like_{number} ESCAPE '{ESCAPE}' THEN 1 ELSE 0 END) = 1)"
        for number in range(SQL_WORDS)
    )
    return Prepared(
        f"SELECT max(mtime_ns) AS newest, filename, {join}(project, '/') FROM plot WHERE session = :of_session "
        f"GROUP BY filename HAVING max(mtime_ns) >= :since AND {contains_words} "
        "ORDER BY newest DESC, filename DESC LIMIT :most"
    )


# An index has these columns in order, so that only the matches are sorted. No project contains a slash.
_LATEST_OF_SESSION = {
    SQLITE: _latest_of_session("LIKE", "group_concat"),
    POSTGRES: _latest_of_session("ILIKE", "string_agg"),
}
_PENDING = Prepared(
    "SELECT clock, session, filename FROM plot "
    "WHERE (clock, session, filename) > (:of_clock, :of_session, :of_filename) ORDER BY clock DESC LIMIT :most"
)
