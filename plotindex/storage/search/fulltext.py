"""What the databases themselves do for the search: FTS5 by trigrams on SQLite, pg_trgm on PostgreSQL.

A table of FTS5 with external content is told of each row (https://www.sqlite.org/fts5.html, 4.4.3 and 6.3); an index of
PostgreSQL keeps itself. Both find what may match: whoever asks looks at each name once more.
"""

import sqlite3
import time
from collections import Counter
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, text
from sqlalchemy.exc import OperationalError

from plotindex.storage.search.trigrams import ESCAPE, expression, pattern, trigrams_of
from plotindex.storage.statements import Prepared
from plotindex.storage.tables import name

MOST_TRIGRAMS = 4
"""More than the rarest few of a text cost more than they sort out."""
SAMPLE = 256
"""Names that tell which trigrams are rare."""
MOST_OF_SAMPLE = SAMPLE // 12
"""What more of these have sorts out too little for what it costs."""
CANCELED = "57014"
"""What PostgreSQL says of a statement that has taken too long (its manual, appendix A)."""
STEPS = 100
"""Of SQLite, between two looks at the time."""

Row = Sequence[Any]
"""Of a name: id, session, filename."""


class OutOfTimeError(Exception):
    """Raised when the index was asked for as long as it may be."""


class Matching:
    """Asks the index of one catalogue. Safe to share."""

    def __init__(self) -> None:
        self._top = 0
        self._counts: Counter[str] = Counter()

    def likely(self, connection: Connection, runs: Collection[str]) -> Generator[Row, None, None]:
        """The names that hold these runs, one after the other, in any case; the last to change first.

        Its caller closes it.
        """
        values = {"like": pattern(runs)}
        if connection.dialect.name != "sqlite":
            return _rows_of_server(connection, values)
        top = connection.execute(select(func.max(name.c.id))).scalar() or 0
        rarest = self._rarest(connection, trigrams_of(runs), top)
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        return _rows(driver, {**values, "expression": expression(rarest)})

    def _rarest(self, connection: Connection, trigrams: Collection[str], top: int) -> list[str]:
        """Those few of the trigrams that are the rarest, as some of the names tell."""
        if not self._top <= top <= self._top * 2:
            counts: Counter[str] = Counter()
            for at in range(1, top + 1, max(1, top // SAMPLE)):
                for (filename,) in _NAME_FROM(connection, {"of_id": at}):
                    counts.update(trigrams_of([filename]))
            self._top, self._counts = top, counts
        rarest, *others = sorted(trigrams, key=lambda trigram: (self._counts[trigram], trigram))
        rare = [trigram for trigram in others if self._counts[trigram] <= MOST_OF_SAMPLE]
        return [rarest, *rare][:MOST_TRIGRAMS]


def _rows_of_server(connection: Connection, values: Mapping[str, object]) -> Generator[Row, None, None]:
    with connection.execute(_LIKE, values, execution_options={"yield_per": 256}) as rows:
        yield from map(tuple, rows)


def _rows(driver: sqlite3.Connection, values: Mapping[str, object]) -> Generator[Row, None, None]:
    """Not before it is asked for them does SQLite look for the first."""
    yield from driver.execute(_MATCH, values)


@contextmanager
def at_most(connection: Connection, seconds: float) -> Iterator[None]:
    """Let SQLite work for so long; a server so long on each part of what it is asked for.

    Raises:
        OutOfTimeError: it has; what was found before is right.
    """
    driver = connection.connection.driver_connection
    work = _on_sqlite(driver, seconds) if isinstance(driver, sqlite3.Connection) else _on_server(connection, seconds)
    with work:
        yield


@contextmanager
def _on_sqlite(driver: sqlite3.Connection, seconds: float) -> Iterator[None]:
    deadline = time.monotonic() + seconds
    driver.set_progress_handler(lambda: time.monotonic() > deadline, STEPS)
    try:
        yield
    except (sqlite3.OperationalError, OperationalError) as error:
        if getattr(getattr(error, "orig", error), "sqlite_errorcode", 0) != sqlite3.SQLITE_INTERRUPT:
            raise
        raise OutOfTimeError from error
    finally:
        driver.set_progress_handler(None, 0)


@contextmanager
def _on_server(connection: Connection, seconds: float) -> Iterator[None]:
    # Some statements are asked of the driver itself.
    failures = OperationalError, connection.dialect.loaded_dbapi.OperationalError
    # Taken back in any case, and with it the bound.
    with closing(connection.begin_nested()):
        connection.execute(text(f"SET LOCAL statement_timeout = {max(1, round(seconds * 1000))}"))
        try:
            yield
        except failures as error:
            if getattr(getattr(error, "orig", error), "sqlstate", "") != CANCELED:
                raise
            raise OutOfTimeError from error


def add(connection: Connection, above: int) -> None:
    """Let the index know the names with a higher id."""
    if connection.dialect.name == "sqlite":
        connection.execute(_ADD, {"above": above})


def remove(connection: Connection, rows: Sequence[Mapping[str, object]]) -> None:
    """Let the index forget names: each with `of_id` and `filename`, by id.

    FTS5 writes what it has gathered whenever an id is not greater than the one before.
    """
    if connection.dialect.name == "sqlite":
        connection.execute(_REMOVE, rows)


def empty(connection: Connection) -> None:
    """Let the index forget all names."""
    if connection.dialect.name == "sqlite":
        connection.execute(_EMPTY)


_LIKE = (
    select(name.c.id, name.c.session, name.c.filename)
    .where(name.c.filename.ilike(bindparam("like"), escape=ESCAPE))
    .order_by(name.c.id.desc())
)
_NAME_FROM = Prepared(select(name.c.filename).where(name.c.id >= bindparam("of_id")).order_by(name.c.id).limit(1))


# The driver's own text: its rows come one by one, so that none that was found is lost when the time is over.
_MATCH = (
    "SELECT name.id, name.session, name.filename FROM name_trigram JOIN name ON name.id = name_trigram.rowid "
    "WHERE name_trigram MATCH :expression AND name.filename LIKE :like ESCAPE '!' ORDER BY name_trigram.rowid DESC"
)
_ADD = text("INSERT INTO name_trigram (rowid, filename) SELECT id, filename FROM name WHERE id > :above ORDER BY id")
_REMOVE = text("INSERT INTO name_trigram (name_trigram, rowid, filename) VALUES ('delete', :of_id, :filename)")
_EMPTY = text("INSERT INTO name_trigram (name_trigram) VALUES ('delete-all')")
