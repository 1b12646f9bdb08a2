"""Read and insert plots within a transaction: the copies of a key, the rows of a scope."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from plotindex.storage.statements import SQLITE, Connection, Prepared
from plotindex.tree import INT64_MAX, Plot, PlotKey, Row, Scope

ROWS_PER_INSERT = 100
"""Many rows in one statement halve its time."""
NUMBERS = "size, mtime_ns, ctime_ns, inode"
_IN_SESSION = f"project, filename, {NUMBERS}"
PLOT = f"session, {_IN_SESSION}"
"""The columns of a `Plot`."""
ScopeRow = tuple[str, str, int, int, int, int]
"""A `Row` without its session: to read the same name for each takes a third of the time."""
OF_KEY = "session = :of_session AND filename = :of_filename"
OF_COPY = f"{OF_KEY} AND project = :of_project"
_NEWEST_FIRST = "ORDER BY mtime_ns DESC, project DESC"
CURRENT_COPY = Prepared(f"SELECT project, {NUMBERS} FROM plot WHERE {OF_KEY} {_NEWEST_FIRST} LIMIT 1")
COPY = Prepared(f"SELECT {PLOT} FROM plot WHERE {OF_COPY}")
_COPIES = Prepared(f"SELECT {PLOT} FROM plot WHERE {OF_KEY} {_NEWEST_FIRST} LIMIT :most")


class Entry(NamedTuple):
    """A key and its newest copies, the current one first, and the other suffixes, without the dot, of its siblings."""

    key: PlotKey
    copies: list[Plot]
    siblings: Sequence[str] = ()

    @property
    def names(self) -> list[str]:
        """What a query is compared with: the filename and the projects."""
        return [self.key.filename, *(copy.project for copy in self.copies)]


def key_values(key: PlotKey) -> dict[str, object]:
    """The parameters of `OF_KEY`."""
    return {"of_session": key.session, "of_filename": key.filename}


def read_copy(connection: Connection, session: str, filename: str, project: str) -> Plot | None:
    """The copy of a key in one project."""
    rows = COPY(connection, {**key_values(PlotKey(session, filename)), "of_project": project})
    return Plot._make(rows[0]) if rows else None


def read_copies(connection: Connection, key: PlotKey, limit: int = INT64_MAX) -> list[Plot]:
    """The newest copies of a key, the newest first."""
    return list(map(Plot._make, _COPIES(connection, {**key_values(key), "most": limit})))


def read_rows(
    connection: Connection, scope: Scope, after: tuple[str, str] | None = None, limit: int = INT64_MAX
) -> Sequence[ScopeRow]:
    """The plots in a scope within one session, by filename and project, from behind the position `after`."""
    values = {"of_session": scope.session, "most": limit}
    queries = _OF_SESSION_PAGES
    if scope.project is not None:
        queries = _OF_PROJECT_PAGES
        values["of_project"] = scope.project
    if scope.path is not None:
        queries = _OF_PATH_PAGES
        values |= {"at": scope.path, "below": scope.path + "/", "end": scope.path + "0"}
    first, following = queries
    if after is None:
        return first(connection, values)
    return following(connection, {**values, "after_filename": after[0], "after_project": after[1]})


def read_behind(connection: Connection, scope: Scope, after: str, chunk: int) -> Iterator[Row]:
    """The plots of a session or project behind a filename, by filename and project; `chunk` at a time, as used."""
    values: dict[str, object] = {"of_session": scope.session, "after_filename": after, "most": chunk}
    if scope.project is None:
        rows = _OF_SESSION_BEHIND(connection, values)
    else:
        rows = _OF_PROJECT_BEHIND(connection, {**values, "of_project": scope.project})
    session = scope.session or ""
    while True:
        yield from ((session, *row) for row in rows)
        if len(rows) < chunk:
            return
        project, filename, *_ = rows[-1]
        rows = read_rows(connection, scope, (filename, project), chunk)


def insert_rows(connection: Connection, rows: Sequence[Row], clock: int) -> None:
    """Insert plots."""
    driver = connection.driver
    if connection.kind != SQLITE:
        # Twice as fast as an INSERT.
        with driver.cursor() as cursor, cursor.copy(_COPY) as copy:
            for row in rows:
                copy.write_row((clock, *row))
        return
    full = len(rows) - len(rows) % ROWS_PER_INSERT
    for start in range(0, full, ROWS_PER_INSERT):
        many = ((clock, *row) for row in rows[start : start + ROWS_PER_INSERT])
        driver.execute(_INSERT_MANY, tuple(chain.from_iterable(many)))
    driver.executemany(_INSERT_ONE, [(clock, *row) for row in rows[full:]])


def _insert(count: int) -> str:
    """An INSERT of `count` rows, each with the clock first."""
    row = ", ".join("?" * (1 + len(Plot._fields)))
    return f"INSERT INTO plot ({_COLUMNS}) VALUES ({'), ('.join([row] * count)})"


_COLUMNS = f"clock, {PLOT}"
_COPY = f"COPY plot ({_COLUMNS}) FROM STDIN"
_INSERT_ONE, _INSERT_MANY = _insert(1), _insert(ROWS_PER_INSERT)


def _pages(condition: str = "") -> tuple[Prepared, Prepared]:
    """The queries for the first page of rows, and for the one behind a position."""
    rows = f"SELECT {_IN_SESSION} FROM plot WHERE session = :of_session{condition}"
    behind = " AND (filename, project) > (:after_filename, :after_project)"
    order = " ORDER BY filename, project LIMIT :most"
    return Prepared(rows + order), Prepared(rows + behind + order)


_BEHIND = " AND filename > :after_filename"
_OF_SESSION_BEHIND, _ = _pages(_BEHIND)
# "0" follows "/": a folder's content is a range, which its own name begins. Other names in that range (x.png-old beside
# x.png) are excluded by a condition that does not mislead the planner.
_AT_OR_BELOW = " AND filename >= :at AND filename < :end AND NOT (filename > :at AND filename < :below)"
_OF_PROJECT = " AND project = :of_project"
_OF_PROJECT_BEHIND, _ = _pages(_OF_PROJECT + _BEHIND)
_OF_SESSION_PAGES = _pages()
_OF_PROJECT_PAGES = _pages(_OF_PROJECT)
_OF_PATH_PAGES = _pages(_OF_PROJECT + _AT_OR_BELOW)
