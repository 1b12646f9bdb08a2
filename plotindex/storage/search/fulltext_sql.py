"""The databases' indexes of names: FTS5 with trigrams on SQLite, pg_trgm on PostgreSQL.

An FTS5 table with external content must be told of each row (https://www.sqlite.org/fts5.html, 4.4.3 and 6.3); an index
of PostgreSQL maintains itself. Both return candidates: the caller checks each name.
"""

import sqlite3
import time
from collections import Counter
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, text
from sqlalchemy.exc import OperationalError

from plotindex.storage.search.trigrams import ESCAPE, like_pattern, match_expression, trigrams_of
from plotindex.storage.statements import Prepared, driver_of
from plotindex.storage.tables import name

MAX_TRIGRAMS = 4
"""More trigrams than the rarest few cost more than they exclude."""
SAMPLE = 256
"""Names sampled to find which trigrams are rare."""
MAX_IN_SAMPLE = SAMPLE // 12
"""A trigram in more names of the sample excludes too little for its cost."""
QUERY_CANCELED = "57014"
"""SQLSTATE of a statement that has timed out."""
PROGRESS_STEPS = 100
"""Instructions of SQLite between two checks of the time."""

NameRow = Sequence[Any]
"""Id, session and filename."""


class SearchTimeoutError(Exception):
    """The index took longer than its time limit."""


class NameIndex:
    """The index of names in one catalogue. Thread-safe."""

    def __init__(self) -> None:
        self._sampled_id = 0
        self._counts: Counter[str] = Counter()

    def candidates(self, connection: Connection, runs: Collection[str]) -> Generator[NameRow, None, None]:
        """The names that contain these texts, in this order and in any case; the last changed first.

        The caller closes it.
        """
        values = {"like": like_pattern(runs)}
        if connection.dialect.name != "sqlite":
            return _server_rows(connection, values)
        last_id = connection.execute(select(func.max(name.c.id))).scalar() or 0
        rarest = self._rarest(connection, trigrams_of(runs), last_id)
        return _sqlite_rows(driver_of(connection), {**values, "expression": match_expression(rarest)})

    def _rarest(self, connection: Connection, trigrams: Collection[str], last_id: int) -> list[str]:
        """The rarest few of the trigrams, by a sample of the names."""
        if not self._sampled_id <= last_id <= self._sampled_id * 2:
            counts: Counter[str] = Counter()
            for at in range(1, last_id + 1, max(1, last_id // SAMPLE)):
                for (filename,) in _NAME_FROM(connection, {"of_id": at}):
                    counts.update(trigrams_of([filename]))
            self._sampled_id, self._counts = last_id, counts
        rarest, *others = sorted(trigrams, key=lambda trigram: (self._counts[trigram], trigram))
        rare = [trigram for trigram in others if self._counts[trigram] <= MAX_IN_SAMPLE]
        return [rarest, *rare][:MAX_TRIGRAMS]


def _server_rows(connection: Connection, values: Mapping[str, object]) -> Generator[NameRow, None, None]:
    with connection.execute(_LIKE, values, execution_options={"yield_per": 256}) as rows:
        yield from map(tuple, rows)


def _sqlite_rows(driver: sqlite3.Connection, values: Mapping[str, object]) -> Generator[NameRow, None, None]:
    # A generator, so that SQLite starts with the first `next`.
    yield from driver.execute(_MATCH, values)


def time_limit(connection: Connection, seconds: float) -> AbstractContextManager[None]:
    """Limit the time of the block on SQLite, and of each statement in it on PostgreSQL.

    Raises:
        SearchTimeoutError: time is up; rows found before are valid.
    """
    driver = driver_of(connection)
    if isinstance(driver, sqlite3.Connection):
        return _sqlite_time_limit(driver, seconds)
    return _server_time_limit(connection, seconds)


@contextmanager
def _sqlite_time_limit(driver: sqlite3.Connection, seconds: float) -> Iterator[None]:
    deadline = time.monotonic() + seconds
    driver.set_progress_handler(lambda: time.monotonic() > deadline, PROGRESS_STEPS)
    try:
        yield
    except (sqlite3.OperationalError, OperationalError) as error:
        if getattr(getattr(error, "orig", error), "sqlite_errorcode", 0) != sqlite3.SQLITE_INTERRUPT:
            raise
        raise SearchTimeoutError from error
    finally:
        driver.set_progress_handler(None, 0)


@contextmanager
def _server_time_limit(connection: Connection, seconds: float) -> Iterator[None]:
    # Some statements are executed by the driver itself.
    failures = OperationalError, connection.dialect.loaded_dbapi.OperationalError
    # Always rolled back, and with it the timeout.
    with closing(connection.begin_nested()):
        connection.execute(text(f"SET LOCAL statement_timeout = {max(1, round(seconds * 1000))}"))
        try:
            yield
        except failures as error:
            if getattr(getattr(error, "orig", error), "sqlstate", "") != QUERY_CANCELED:
                raise
            raise SearchTimeoutError from error


def add(connection: Connection, above: int) -> None:
    """Add the names with a higher id to the index."""
    if connection.dialect.name == "sqlite":
        connection.execute(_ADD, {"above": above})


def remove(connection: Connection, rows: Sequence[Mapping[str, object]]) -> None:
    """Remove names from the index: each with `of_id` and `filename`, sorted by id.

    FTS5 flushes its buffer whenever an id is not greater than the one before.
    """
    if connection.dialect.name == "sqlite":
        connection.execute(_REMOVE, rows)


def empty(connection: Connection) -> None:
    """Remove all names from the index."""
    if connection.dialect.name == "sqlite":
        connection.execute(_EMPTY)


_LIKE = (
    select(name.c.id, name.c.session, name.c.filename)
    .where(name.c.filename.ilike(bindparam("like"), escape=ESCAPE))
    .order_by(name.c.id.desc())
)
_NAME_FROM = Prepared(select(name.c.filename).where(name.c.id >= bindparam("of_id")).order_by(name.c.id).limit(1))


# For the driver itself, whose rows come one by one: those found before a timeout are not lost.
_MATCH = (
    "SELECT name.id, name.session, name.filename FROM name_trigram JOIN name ON name.id = name_trigram.rowid "
    "WHERE name_trigram MATCH :expression AND name.filename LIKE :like ESCAPE '!' ORDER BY name_trigram.rowid DESC"
)
_ADD = text("INSERT INTO name_trigram (rowid, filename) SELECT id, filename FROM name WHERE id > :above ORDER BY id")
_REMOVE = text("INSERT INTO name_trigram (name_trigram, rowid, filename) VALUES ('delete', :of_id, :filename)")
_EMPTY = text("INSERT INTO name_trigram (name_trigram) VALUES ('delete-all')")
