"""Follow the catalogue's changes behind its clock, so that no writer waits for what is not needed for an answer.

Each consumer has a position of its own in the order of (clock, session, filename, project), and may be behind. Without
a position, or with one that cannot be continued, it begins anew: removals were trimmed, or the catalogue was replaced.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import ClassVar, NamedTuple

from plotindex.storage.catalog import Catalog
from plotindex.storage.catalog_header import Header, read_header
from plotindex.storage.database import Database
from plotindex.storage.statements import SQLITE, Connection, Prepared

BATCH = 500
"""Changes in one transaction, which bounds how long others wait for their turn."""
MAX_COUNTED = 100_000
"""Changes that are counted to say how far a consumer is behind."""
ORDER = ("clock", "session", "filename", "project")


class Position(NamedTuple):
    """How far a consumer has come."""

    clock: int
    session: str
    filename: str
    project: str
    trimmed: int
    """The catalogue's `trimmed` when the consumer began."""
    round: int
    """The consumer's mark of what is left to sweep since it began; 0 if nothing is."""

    def is_behind(self, header: Header) -> bool:
        """Whether there may be changes that the consumer has not taken."""
        return self.clock <= header.clock


class CopyChange(NamedTuple):
    """One copy that was written or removed. Only the last change of a copy is seen."""

    clock: int
    session: str
    filename: str
    project: str
    is_plot: bool
    """False for a removal. The copy may be there again."""


class Consumer(ABC):
    """What follows the changes, in one transaction of its database for each batch."""

    name: ClassVar[str]
    positions: ClassVar[str]
    """The table of its position, in its database."""

    def is_lost(self, connection: Connection, source: Connection, position: Position, header: Header) -> bool:  # noqa: ARG002 - of the interface
        """Whether what it had kept is lost, so that it must begin anew."""
        return False

    @abstractmethod
    def begin(self, connection: Connection, source: Connection, header: Header) -> Position:
        """The position from which to follow. What it has kept is doubtful, not wrong."""

    @abstractmethod
    def take(self, connection: Connection, source: Connection, changes: Sequence[CopyChange], round_: int) -> None:
        """Take changes, perhaps again. `source` is the catalogue, read after the changes."""

    @abstractmethod
    def sweep(self, connection: Connection, source: Connection, round_: int, limit: int) -> int:
        """Drop up to `limit` things that were not met since it began; return the mark of the rest, or 0."""


class Follower:
    """Lets one consumer follow one catalogue."""

    def __init__(self, catalog: Catalog, consumer: Consumer, database: Database | None = None) -> None:
        """`database` is the consumer's; None if that is the catalogue."""
        self._catalog = catalog
        self._consumer = consumer
        self._database = database

    def step(self, limit: int = BATCH) -> bool:
        """Take up to `limit` changes in one transaction; return whether there are more.

        Raises:
            LockTimeoutError: others held a database for too long.
            CatalogError: a database cannot be read or written.
        """
        if not self._is_behind():
            return False
        with self._writing() as (connection, source):
            return self._follow(connection, source, limit)

    def run(self, seconds: float) -> bool:
        """Take all changes, for `seconds` at most; return whether all are taken. Raises as `step` does."""
        deadline = time.monotonic() + seconds
        while is_more := self.step():
            if time.monotonic() >= deadline:
                break
        return not is_more

    def count_behind(self) -> int:
        """The number of changes that are not taken yet, at most MAX_COUNTED; all plots if it must begin anew."""
        with self._reading() as (connection, source):
            header = read_header(source)
            if header is None:
                return 0
            position = read_position(connection, source, self._consumer, header)
            values = {**_values(position or Position(0, "", "", "", 0, 0)), "upto": header.clock}
            ((count,),) = _COUNT(source, {**values, "most": MAX_COUNTED})
            return min(int(count), MAX_COUNTED)

    def _is_behind(self) -> bool:
        with self._reading() as (connection, source):
            header = read_header(source)
            if header is None:
                return False
            position = read_position(connection, source, self._consumer, header)
            return position is None or position.is_behind(header) or position.round > 0

    def _follow(self, connection: Connection, source: Connection, limit: int) -> bool:
        consumer = self._consumer
        # Another process waits here. The clock is read after that, and only then the changes up to it.
        statements = _of_positions(consumer.positions)
        if connection.kind != SQLITE:
            statements.lock(connection, {"name": consumer.name})
        header = read_header(source)
        if header is None:
            return False
        position = read_position(connection, source, consumer, header) or consumer.begin(connection, source, header)
        rows = _CHANGES(source, {**_values(position), "upto": header.clock, "most": limit})
        changes = [CopyChange._make((*row[:4], bool(row[4]))) for row in rows]
        consumer.take(connection, source, changes, position.round)
        is_more = len(rows) == limit
        clock, session, filename, project = rows[-1][:4] if is_more else (header.clock + 1, "", "", "")
        left = position.round
        if left and not is_more:
            left = consumer.sweep(connection, source, left, limit)
            is_more = left > 0
        reached = Position(clock, session, filename, project, position.trimmed, left)
        values = {"name": consumer.name, **reached._asdict()}
        if not statements.move.count(connection, values):
            statements.begin.count(connection, values)
        return is_more

    @contextmanager
    def _reading(self) -> Iterator[tuple[Connection, Connection]]:
        with self._catalog.database.reading() as source:
            if self._database is None:
                yield source, source
                return
            with self._database.reading() as connection:
                yield connection, source

    @contextmanager
    def _writing(self) -> Iterator[tuple[Connection, Connection]]:
        if self._database is None:
            with self._catalog.writing() as writer:
                yield writer.connection, writer.connection
            return
        with self._database.writing() as connection:
            self._database.check_revision(connection)
            with self._catalog.database.reading() as source:
                yield connection, source


def read_position(connection: Connection, source: Connection, consumer: Consumer, header: Header) -> Position | None:
    """The position of a consumer; None if there is none, or it cannot be continued."""
    rows = _of_positions(consumer.positions).read(connection, {"name": consumer.name})
    if not rows:
        return None
    position = Position._make(rows[0])
    is_invalid = position.clock > header.clock + 1 or header.trimmed > max(position.clock, position.trimmed)
    return None if is_invalid or consumer.is_lost(connection, source, position, header) else position


def _values(position: Position) -> dict[str, object]:
    return {f"of_{field}": getattr(position, field) for field in ORDER}


class _OfPositions(NamedTuple):
    """The statements on a table of positions."""

    read: Prepared
    lock: Prepared
    move: Prepared
    begin: Prepared


@cache
def _of_positions(table: str) -> _OfPositions:
    fields = Position._fields
    return _OfPositions(
        Prepared(f"SELECT {', '.join(fields)} FROM {table} WHERE name = :name"),
        Prepared(f"SELECT clock FROM {table} WHERE name = :name FOR UPDATE"),
        Prepared(f"UPDATE {table} SET {', '.join(f'{field} = :{field}' for field in fields)} WHERE name = :name"),
        Prepared(
            f"INSERT INTO {table} (name, {', '.join(fields)}) VALUES (:name, {', '.join(f':{f}' for f in fields)})"
        ),
    )


def _changes(table: str, is_plot: int) -> str:
    # A limit on each: for one on the union PostgreSQL would read and sort both tables.
    return (
        f"SELECT * FROM (SELECT {_ORDER}, {is_plot} AS is_plot FROM {table} "
        "WHERE (clock, session, filename, project) > (:of_clock, :of_session, :of_filename, :of_project) "
        f"AND clock <= :upto ORDER BY {_ORDER} LIMIT :most) AS {table}s"
    )


_ORDER = ", ".join(ORDER)
_EVERY = f"{_changes('plot', 1)} UNION ALL {_changes('removal', 0)}"
_CHANGES = Prepared(f"{_EVERY} ORDER BY {_ORDER} LIMIT :most")
_COUNT = Prepared(f"SELECT count(*) FROM ({_EVERY}) AS every")
