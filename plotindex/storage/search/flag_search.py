"""Find copies by what inspection found wrong with their present version, by equal copies, and by their times."""

import time
from collections.abc import Iterator
from contextlib import closing
from itertools import islice

from plotindex.storage.database import Database
from plotindex.storage.facts.bursts import burst_start
from plotindex.storage.facts.reader import FactsReader
from plotindex.storage.rows import PLOT
from plotindex.storage.search.text_search import present_copy
from plotindex.storage.session_selection import by_selection, selected_values, selection_of
from plotindex.storage.statements import Connection, Prepared
from plotindex.tree import Allows, Plot, SessionFilter

DUPLICATE, STALE = "duplicate", "stale"
FOUND_FLAGS = ("blank", "broken", "tiny")
"""The flags that are stored with the facts."""
FLAGS = tuple(sorted((*FOUND_FLAGS, DUPLICATE, STALE)))


def find_flagged(database: Database, flag: str, allows: Allows, session: str | None = None) -> set[Plot]:
    """The copies that have a flag, in all sessions or in one, as a caller sees them.

    Raises:
        CatalogError: they cannot be read.
    """
    with database.reading(is_long=True) as connection:
        return set(flagged_in(connection, flag, allows, session))


def flagged_in(connection: Connection, flag: str, allows: Allows, session: str | None) -> Iterator[Plot]:
    """As `find_flagged`, within one transaction."""
    values: dict[str, object] = {"of_session": session, "flag": f"%{flag}%"}
    if flag == STALE:
        projects = _PROJECTS[session is None](connection, values)
        return (plot for name, project in projects for plot in _stale(connection, name, project))
    if flag == DUPLICATE:
        return _duplicates(connection, session, SessionFilter.of(allows))
    return _present(connection, _FLAGGED[session is None], values)


def _present(connection: Connection, query: Prepared, values: dict[str, object]) -> Iterator[Plot]:
    with closing(query.stream(connection, values)) as rows:
        for row in rows:
            if plot := present_copy(connection, row):
                yield plot


def _duplicates(connection: Connection, session: str | None, allows: SessionFilter) -> Iterator[Plot]:
    repeated: dict[bytes, bool] = {}
    query = _REPEATED[session is None][selection_of(allows)[0]]
    with closing(query.stream(connection, {"of_session": session, **selected_values(allows)})) as rows:
        for *place, digest in rows:
            if bytes(digest) not in repeated:
                copies = FactsReader(connection).with_digest(bytes(digest).hex(), allows)
                repeated[bytes(digest)] = len(list(islice(copies, 2))) > 1
            plot = present_copy(connection, place) if repeated[bytes(digest)] else None
            if plot:
                yield plot


def _stale(connection: Connection, session: str, project: str) -> Iterator[Plot]:
    now = time.time_ns()
    start = burst_start(connection, session, project, now)
    if start is not None:
        rows = _OF_PROJECT(connection, {"of_session": session, "of_project": project})
        yield from (plot for plot in map(Plot._make, rows) if plot.drawn_ns(now) < start)


def _by_scope(query: str, table: str) -> dict[bool, Prepared]:
    """A query for all sessions (True), and for one."""
    return {is_everywhere: Prepared(text) for is_everywhere, text in _scoped(query, table).items()}


def _scoped(query: str, table: str) -> dict[bool, str]:
    return {True: query.format("true"), False: query.format(f"{table}.session = :of_session")}


_FLAGGED = _by_scope("SELECT id, session, filename, project, version FROM facts WHERE {} AND flags LIKE :flag", "facts")
_REPEATED = {
    is_everywhere: by_selection(f"{query} AND {{0}})", "g.session")
    for is_everywhere, query in _scoped(
        "SELECT f.id, f.session, f.filename, f.project, f.version, f.digest FROM facts AS f WHERE {} "
        "AND length(f.digest) > 0 "
        "AND EXISTS (SELECT 1 FROM facts AS g WHERE g.digest = f.digest AND g.id <> f.id",
        "f",
    ).items()
}
_PROJECTS = _by_scope("SELECT DISTINCT session, project FROM plot WHERE {}", "plot")
_OF_PROJECT = Prepared(f"SELECT {PLOT} FROM plot WHERE session = :of_session AND project = :of_project")
