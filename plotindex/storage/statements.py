"""Statements for the few queries that run for every request and every change."""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from sqlalchemy import CompoundSelect, Connection, Dialect, Insert, Select, Table, Update

ROWS_AT_ONCE = 100
"""Rows of one statement that inserts many."""


class Insertion:
    """An INSERT of very many rows: with many of them in one statement, it takes half of the time."""

    def __init__(self, table: Table, columns: Sequence[str], constant: str) -> None:
        """`constant` is the column that has the same value in all rows."""
        self._table = table
        self._columns = columns
        self._constant = constant
        self._one, self._many = self._text(1), self._text(ROWS_AT_ONCE)
        self._stream = f"COPY {table.name} ({', '.join([constant, *columns])}) FROM STDIN"

    def __call__(self, connection: Connection, rows: Sequence[Sequence[object]], value: object) -> None:
        """Insert rows, in the transaction of `connection`; `value` is that of the constant column."""
        driver = connection.connection.driver_connection
        assert driver is not None
        if connection.dialect.name == "postgresql":
            # Half of the time that an INSERT takes there.
            with driver.cursor() as cursor, cursor.copy(self._stream) as copy:
                for row in rows:
                    copy.write_row((value, *row))
            return
        rest = len(rows) - len(rows) % ROWS_AT_ONCE
        for start in range(0, rest, ROWS_AT_ONCE):
            driver.execute(self._many, (value, *chain.from_iterable(rows[start : start + ROWS_AT_ONCE])))
        driver.executemany(self._one, [(value, *row) for row in rows[rest:]])

    def _text(self, count: int) -> str:
        """The statement for so many rows; all of them have the first parameter."""
        width = len(self._columns)
        starts = range(2, 2 + count * width, width)
        values = [", ".join(["?1", *(f"?{start + number}" for number in range(width))]) for start in starts]
        names = ", ".join([self._constant, *self._columns])
        # Names of the table's own columns, and nothing else.
        return f"INSERT INTO {self._table.name} ({names}) VALUES ({'), ('.join(values)})"  # noqa: S608 - see above


class Prepared:
    """A statement that is compiled once: a Core `execute` costs three times what such a statement itself does."""

    def __init__(self, statement: Select[Any] | CompoundSelect[Any] | Update | Insert) -> None:
        self._statement = statement
        self._compiled: dict[str, tuple[str, list[str], dict[str, Any]]] = {}

    def __call__(self, connection: Connection, values: Mapping[str, object]) -> Sequence[Any]:
        """Its rows, in the transaction of `connection`."""
        rows: Sequence[Any] = self._execute(connection, values).fetchall()
        return rows

    def count(self, connection: Connection, values: Mapping[str, object]) -> int:
        """Execute it, in the transaction of `connection`; return how many rows it changed."""
        return int(self._execute(connection, values).rowcount)

    def _execute(self, connection: Connection, values: Mapping[str, object]) -> Any:  # noqa: ANN401 - of the driver
        driver = connection.connection.driver_connection
        assert driver is not None
        return driver.execute(*self.bind(connection.dialect, values))

    def bind(self, dialect: Dialect, values: Mapping[str, object]) -> tuple[str, tuple[Any, ...]]:
        """Its text and parameters for the driver."""
        if dialect.name not in self._compiled:
            compiled = self._statement.compile(dialect=dialect)
            self._compiled[dialect.name] = str(compiled), list(compiled.positiontup or ()), compiled.params
        text, order, constants = self._compiled[dialect.name]
        return text, tuple([values[name] if name in values else constants[name] for name in order])
