"""Read and insert plots within a transaction: the copies of a key, the rows of a scope."""

from collections.abc import Sequence
from itertools import chain

from sqlalchemy import BigInteger, ColumnElement, Connection, and_, bindparam, not_, select, tuple_

from plotindex.storage.statements import Prepared, driver_of
from plotindex.storage.tables import plot
from plotindex.tree import INT64_MAX, Plot, PlotKey, Row, Scope, newest_first

ROWS_PER_INSERT = 100
"""Many rows in one statement halve its time."""
NUMBERS = (plot.c.size, plot.c.mtime_ns, plot.c.ctime_ns, plot.c.inode)
PLOT = (plot.c.session, plot.c.project, plot.c.filename, *NUMBERS)
"""The columns of a `Plot`."""
OF_KEY = and_(plot.c.session == bindparam("of_session"), plot.c.filename == bindparam("of_filename"))
OF_PROJECT = plot.c.project == bindparam("of_project")
CURRENT_COPY = Prepared(
    select(plot.c.project, *NUMBERS).where(OF_KEY).order_by(plot.c.mtime_ns.desc(), plot.c.project.desc()).limit(1)
)
_COPIES = Prepared(select(*PLOT).where(OF_KEY))


def key_values(key: PlotKey) -> dict[str, object]:
    """The parameters of `OF_KEY`."""
    return {"of_session": key.session, "of_filename": key.filename}


def read_copies(connection: Connection, key: PlotKey) -> list[Plot]:
    """The copies of a key, the newest first."""
    return newest_first(map(Plot._make, _COPIES(connection, key_values(key))))


def read_rows(
    connection: Connection, scope: Scope, after: tuple[str, str] | None = None, limit: int = INT64_MAX
) -> Sequence[Row]:
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


def insert_rows(connection: Connection, rows: Sequence[Row], clock: int) -> None:
    """Insert plots."""
    driver = driver_of(connection)
    if connection.dialect.name == "postgresql":
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
    row = ", ".join("?" * (1 + len(PLOT)))
    return f"INSERT INTO plot ({_COLUMNS}) VALUES ({'), ('.join([row] * count)})"  # noqa: S608 - names of columns


_COLUMNS = ", ".join(["clock", *(column.name for column in PLOT)])
_COPY = f"COPY plot ({_COLUMNS}) FROM STDIN"
_INSERT_ONE, _INSERT_MANY = _insert(1), _insert(ROWS_PER_INSERT)


def _pages(*conditions: ColumnElement[bool]) -> tuple[Prepared, Prepared]:
    """The queries for the first page of rows, and for the one behind a position."""
    behind = tuple_(plot.c.filename, plot.c.project) > tuple_(bindparam("after_filename"), bindparam("after_project"))
    first = select(*PLOT).where(plot.c.session == bindparam("of_session"), *conditions)
    first = first.order_by(plot.c.filename, plot.c.project).limit(bindparam("most", type_=BigInteger))
    return Prepared(first), Prepared(first.where(behind))


# "0" follows "/": a folder's content is a range, which its own name begins. Other names in that range (x.png-old beside
# x.png) are excluded by a condition that does not mislead the planner.
_AT_OR_BELOW = and_(
    plot.c.filename >= bindparam("at"),
    plot.c.filename < bindparam("end"),
    not_(and_(plot.c.filename > bindparam("at"), plot.c.filename < bindparam("below"))),
)
_OF_SESSION_PAGES = _pages()
_OF_PROJECT_PAGES = _pages(OF_PROJECT)
_OF_PATH_PAGES = _pages(OF_PROJECT, _AT_OR_BELOW)
