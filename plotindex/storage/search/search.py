"""Search over the names of all plots: by trigrams, newest first, and never slower than somebody waits.

Two ways lead to a name. The sessions in which something was drawn last are read name by name: that soon finds what is
common, however short the text is. What is rare the index by trigrams finds, and of the names that it does not have yet
the plots themselves tell. Each name that was found is looked up: none is shown that is gone.
"""

from collections.abc import Collection, Sequence
from contextlib import closing
from heapq import nlargest
from itertools import chain
from typing import NamedTuple

from sqlalchemy import BigInteger, Connection, bindparam, func, select, tuple_

from plotindex.storage.catalog import SessionRow
from plotindex.storage.database import Database
from plotindex.storage.search.fulltext import Matching, OutOfTimeError, Row, at_most
from plotindex.storage.search.trigrams import ESCAPE, can_be_in_name, pattern, trigrams_of
from plotindex.storage.search.updater import read_position
from plotindex.storage.statements import Prepared
from plotindex.storage.tables import plot
from plotindex.storage.writer import NUMBERS, read_header
from plotindex.tree import INT64_MAX, Plot, PlotKey, fold_case, is_glob, literal_runs, name_matcher

AT_ONCE = 10_000
"""So many names of the latest sessions are read before the index is asked."""
AT_MOST = 50_000
"""So many, where the index is of no use: the text is too short, or the caller may not see every session."""
COST_OF_SESSION = 50
"""What it costs to begin with a session, in names."""
MOST_SESSIONS = AT_MOST // COST_OF_SESSION
"""So many sessions are read at most."""
MOST_BEHIND = 10_000
"""Of those that the index does not have yet so many are looked at, the latest first."""
SECONDS = 0.025
"""For so long, about, the index is asked."""
SPARE = 2
"""So many times as many of the latest changes are looked up as are wanted, to find those drawn last."""

Dated = tuple[int, PlotKey]
"""A key and the newest mtime_ns of its copies."""


class SearchResult(NamedTuple):
    """Current copies, the latest first."""

    plots: list[Plot]
    is_complete: bool
    """Whether that are as many as were wanted, or all there are."""


class NameSearch:
    """The names in one catalogue. Every method raises CatalogError when they cannot be read. Safe to share."""

    def __init__(
        self, database: Database, *, at_once: int = AT_ONCE, at_most: int = AT_MOST, seconds: float = SECONDS
    ) -> None:
        """How many names are read and for how long the index is asked, as said above."""
        self._database = database
        self._at_once = at_once
        self._at_most = at_most
        self._seconds = seconds
        self._matching = Matching()

    def search(
        self, query: str, sessions: Sequence[SessionRow], most: int, *, everywhere: bool = False
    ) -> SearchResult:
        """The keys of some sessions whose filename holds `query` in any case of ASCII; of a glob, matches it.

        The sessions come as `Catalog.latest_sessions` has them; `everywhere` says that they are all there are, or the
        latest MOST_SESSIONS of all. Of others no name is read: that it takes time would tell of them.
        """
        runs = literal_runs(query)
        if not all(map(can_be_in_name, runs)):
            return SearchResult([], is_complete=True)
        has_index = everywhere and bool(trigrams_of(runs))
        with self._database.reading() as connection:
            budget = self._at_once if has_index else self._at_most
            keys, is_complete = _read_latest(connection, sessions, query, most, budget)
            if has_index and not is_complete:
                more, is_complete = self._ask(connection, query, most)
                keys = nlargest(most, {*keys, *more})
            current = [(key, _CURRENT(connection, _values(key))) for _, key in keys]
        plots = [Plot(key.session, rows[0][0], key.filename, *rows[0][1:]) for key, rows in current if rows]
        return SearchResult(plots, is_complete)

    def keys_with(self, runs: Collection[str], most: int) -> set[PlotKey] | None:
        """The keys whose filename may hold these, one after the other, in any case of ASCII; None when that takes long.

        That is when there are more than `most`, no part is long enough for the index, or the index is far behind.
        """
        wanted = [fold_case(run) for run in runs]
        if not trigrams_of(runs) or not all(map(can_be_in_name, runs)):
            return None
        found: set[PlotKey] = set()
        with self._database.reading() as connection:
            behind, is_all = _behind(connection)
            if not is_all:
                return None
            with closing(self._matching.likely(connection, runs)) as likely:
                for _, *fields in chain(behind, likely):
                    key = PlotKey._make(fields)
                    folded = fold_case(key.filename)
                    if all(run in folded for run in wanted):
                        found.add(key)
                        if len(found) > most:
                            return None
        return found

    def _ask(self, connection: Connection, query: str, most: int) -> tuple[list[Dated], bool]:
        """Of the names that match those that changed last, with their times; and whether these suffice."""
        matches = name_matcher(query)
        found: dict[PlotKey, int] = {}
        behind, is_complete = _behind(connection)
        try:
            with (
                at_most(connection, self._seconds),
                closing(self._matching.likely(connection, literal_runs(query))) as likely,
            ):
                for _, *fields in chain(behind, likely):
                    key = PlotKey._make(fields)
                    if key not in found and matches(key.filename) and (rows := _CURRENT(connection, _values(key))):
                        found[key] = rows[0][2]
                        if len(found) == most * SPARE:
                            break
        except OutOfTimeError:
            is_complete = False
        return [(newest, key) for key, newest in found.items()], is_complete or len(found) >= most


def _read_latest(
    connection: Connection, sessions: Sequence[SessionRow], query: str, most: int, budget: int
) -> tuple[list[Dated], bool]:
    """The keys that match in the sessions drawn in last; and whether these suffice, or are all."""
    matches = name_matcher(query)
    values = {"like": pattern(literal_runs(query)), "most": INT64_MAX if is_glob(query) else most}
    found: list[Dated] = []
    for session in sessions:
        if len(found) == most and found[-1][0] > session.mtime_ns:
            break
        if budget <= 0:
            return found, len(found) == most
        budget -= session.plots + COST_OF_SESSION
        rows = _LATEST_OF_SESSION(connection, {**values, "of_session": session.session})
        own = [(newest, PlotKey(session.session, filename)) for newest, filename in rows if matches(filename)]
        if own:
            found = nlargest(most, found + own)
    return found, True


def _behind(connection: Connection) -> tuple[list[Row], bool]:
    """The latest of the names that the index may not have yet, as it would have them, and whether these are all."""
    header = read_header(connection)
    position = read_position(connection, header) if header else None
    clock, session, filename = position[:3] if position else (0, "", "")
    values = {"of_clock": clock, "of_session": session, "of_filename": filename, "most": MOST_BEHIND}
    rows = list(_BEHIND(connection, values))
    return rows, len(rows) < MOST_BEHIND


def _values(key: PlotKey) -> dict[str, str]:
    return {"of_session": key.session, "of_filename": key.filename}


_OF_KEY = (plot.c.session == bindparam("of_session"), plot.c.filename == bindparam("of_filename"))
_CURRENT = Prepared(
    select(plot.c.project, *NUMBERS).where(*_OF_KEY).order_by(plot.c.mtime_ns.desc(), plot.c.project.desc()).limit(1)
)
_NEWEST = func.max(plot.c.mtime_ns).label("newest")


# An index has all of this in order, so nothing is sorted but what is found.
_LATEST_OF_SESSION = Prepared(
    select(_NEWEST, plot.c.filename)
    .where(plot.c.session == bindparam("of_session"), plot.c.filename.ilike(bindparam("like"), escape=ESCAPE))
    .group_by(plot.c.filename)
    .order_by(_NEWEST.desc(), plot.c.filename.desc())
    .limit(bindparam("most", type_=BigInteger))
)
_REACHED = tuple_(bindparam("of_clock", type_=BigInteger), bindparam("of_session"), bindparam("of_filename"))
_BEHIND = Prepared(
    select(plot.c.clock, plot.c.session, plot.c.filename)
    .where(tuple_(plot.c.clock, plot.c.session, plot.c.filename) > _REACHED)
    .order_by(plot.c.clock.desc())
    .limit(bindparam("most", type_=BigInteger))
)
