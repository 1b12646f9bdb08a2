"""The databases' indexes of names and of texts: FTS5 with trigrams on SQLite, pg_trgm on PostgreSQL.

An FTS5 table with external content must be told of each row (https://www.sqlite.org/fts5.html, 4.4.3 and 6.3); an index
of PostgreSQL maintains itself. Both return candidates: the caller checks each of them.
"""

import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import chain
from typing import Any, NamedTuple

from plotindex.storage.search.trigrams import ESCAPE, like_pattern, match_expression, trigrams_of
from plotindex.storage.statements import POSTGRES, SQLITE, Connection, Prepared

MAX_TRIGRAMS = 4
"""More trigrams than the rarest few cost more than they exclude."""
SAMPLE = 256
"""Rows sampled to find which trigrams are rare."""
MAX_IN_SAMPLE = SAMPLE // 12
"""A trigram in more rows of the sample excludes too little for its cost."""
QUERY_CANCELED = "57014"
"""SQLSTATE of a statement that has timed out."""
PROGRESS_STEPS = 100
"""Instructions of SQLite between two checks of the time."""

NameRow = Sequence[Any]
"""Id, session and filename; of a text also project, version, title and text."""


class SearchTimeoutError(Exception):
    """The index took longer than its time limit."""


class IndexQueries(NamedTuple):
    """The queries of one index."""

    last_id: Prepared
    sample: Prepared
    """The indexed columns of the first row from an id on."""
    like: Mapping[str, Prepared]
    """The rows whose columns match a pattern, by kind of database."""
    match: Prepared
    """The same, by an expression of FTS5."""


class TrigramIndex:
    """An index by trigrams in one catalogue. Thread-safe."""

    def __init__(self, queries: IndexQueries) -> None:
        self._queries = queries
        self._sampled_id = 0
        self._counts: Counter[str] = Counter()

    def candidates(self, connection: Connection, words: Collection[Collection[str]]) -> Generator[NameRow, None, None]:
        """Rows, the last changed first: all those that contain the texts of each word, in its order, in any case.

        Others may be among them. Without a trigram every row is compared. The caller closes it.
        """
        longest = max(words, key=lambda runs: len("".join(runs)), default=[])
        values = {"like": like_pattern(longest)}
        trigrams = trigrams_of(chain.from_iterable(words))
        if connection.kind != SQLITE or not trigrams:
            return self._queries.like[connection.kind].stream(connection, values, page_rows=256)
        last_id = self._queries.last_id.value(connection) or 0
        rarest = self._rarest(connection, trigrams, last_id)
        return self._queries.match.stream(connection, {**values, "expression": match_expression(rarest)})

    def _rarest(self, connection: Connection, trigrams: Collection[str], last_id: int) -> list[str]:
        """The rarest few of the trigrams, by a sample of the rows."""
        if not self._sampled_id <= last_id <= self._sampled_id * 2:
            counts: Counter[str] = Counter()
            for at in range(1, last_id + 1, max(1, last_id // SAMPLE)):
                for row in self._queries.sample(connection, {"of_id": at}):
                    counts.update(trigrams_of(row))
            self._sampled_id, self._counts = last_id, counts
        rarest, *others = sorted(trigrams, key=lambda trigram: (self._counts[trigram], trigram))
        rare = [trigram for trigram in others if self._counts[trigram] <= MAX_IN_SAMPLE]
        return [rarest, *rare][:MAX_TRIGRAMS]


def time_limit(connection: Connection, seconds: float) -> AbstractContextManager[None]:
    """Limit the time of the block on SQLite, and of each statement in it on PostgreSQL.

    Raises:
        SearchTimeoutError: time is up; rows found before are valid.
    """
    limit = _sqlite_time_limit if connection.kind == SQLITE else _server_time_limit
    return limit(connection.driver, seconds)


@contextmanager
def _sqlite_time_limit(driver: sqlite3.Connection, seconds: float) -> Iterator[None]:
    deadline = time.monotonic() + seconds
    driver.set_progress_handler(lambda: time.monotonic() > deadline, PROGRESS_STEPS)
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        raise SearchTimeoutError from error
    finally:
        driver.set_progress_handler(None, 0)


@contextmanager
def _server_time_limit(driver: Any, seconds: float) -> Iterator[None]:  # noqa: ANN401 - of psycopg, which is optional
    # Always rolled back, and with it the timeout.
    driver.execute("SAVEPOINT limited")
    try:
        driver.execute(f"SET LOCAL statement_timeout = {max(1, round(seconds * 1000))}")
        yield
    except Exception as error:
        if getattr(error, "sqlstate", "") != QUERY_CANCELED:
            raise
        raise SearchTimeoutError from error
    finally:
        driver.execute("ROLLBACK TO SAVEPOINT limited")


def add(connection: Connection, above: int) -> None:
    """Add the names with a higher id to the index."""
    if connection.kind == SQLITE:
        _ADD.count(connection, {"above": above})


def remove(connection: Connection, rows: Sequence[Mapping[str, object]]) -> None:
    """Remove names from the index: each with `of_id` and `filename`, sorted by id.

    FTS5 flushes its buffer whenever an id is not greater than the one before.
    """
    if connection.kind == SQLITE:
        _REMOVE.each(connection, rows)


def empty(connection: Connection) -> None:
    """Remove all names from the index."""
    if connection.kind == SQLITE:
        _EMPTY.count(connection)


def _by_kind(query: Callable[[Callable[[str], str]], str]) -> dict[str, Prepared]:
    """A query by kind of database, of a function that makes the condition that a column is like :like."""
    operators = {SQLITE: "LIKE", POSTGRES: "ILIKE"}

    def prepared(operator: str) -> Prepared:
        return Prepared(query(lambda column: f"{column} {operator} :like ESCAPE '{ESCAPE}'"))

    return {kind: prepared(operator) for kind, operator in operators.items()}


_TEXT_ROW = "facts.id, facts.session, facts.filename, facts.project, facts.version, facts.title, facts.text"
LAST_ID = Prepared("SELECT max(id) FROM name")
NAMES = IndexQueries(
    LAST_ID,
    Prepared("SELECT filename FROM name WHERE id >= :of_id ORDER BY id LIMIT 1"),
    _by_kind(lambda like: f"SELECT id, session, filename FROM name WHERE {like('filename')} ORDER BY id DESC"),
    Prepared(
        "SELECT name.id, name.session, name.filename FROM name_trigram JOIN name ON name.id = name_trigram.rowid "
        "WHERE name_trigram MATCH :expression AND name.filename LIKE :like ESCAPE '!' ORDER BY name_trigram.rowid DESC"
    ),
)
TEXTS = IndexQueries(
    Prepared("SELECT max(id) FROM facts"),
    Prepared("SELECT title, text FROM facts WHERE id >= :of_id ORDER BY id LIMIT 1"),
    _by_kind(lambda like: f"SELECT {_TEXT_ROW} FROM facts WHERE {like('title')} OR {like('text')} ORDER BY id DESC"),
    Prepared(
        f"SELECT {_TEXT_ROW} FROM facts_trigram JOIN facts ON facts.id = facts_trigram.rowid WHERE facts_trigram "
        "MATCH :expression AND (facts.title LIKE :like ESCAPE '!' OR facts.text LIKE :like ESCAPE '!') "
        "ORDER BY facts_trigram.rowid DESC"
    ),
)
TEXTS_OF_SESSION = _by_kind(
    lambda like: (
        f"SELECT {_TEXT_ROW} FROM facts WHERE session = :of_session AND ({like('title')} OR {like('text')}) "
        "ORDER BY filename, project"
    )
)
_ADD = Prepared(
    "INSERT INTO name_trigram (rowid, filename) SELECT id, filename FROM name WHERE id > :above ORDER BY id"
)
_REMOVE = Prepared("INSERT INTO name_trigram (name_trigram, rowid, filename) VALUES ('delete', :of_id, :filename)")
_EMPTY = Prepared("INSERT INTO name_trigram (name_trigram) VALUES ('delete-all')")
