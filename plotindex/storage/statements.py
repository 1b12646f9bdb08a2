"""Statements for the hot paths: requests and writes."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import CompoundSelect, Connection, Dialect, Insert, Select, Update


def driver_of(connection: Connection) -> Any:  # noqa: ANN401 - of any driver
    """The driver's own connection."""
    driver = connection.connection.driver_connection
    assert driver is not None
    return driver


class Prepared:
    """A statement that is compiled once: SQLAlchemy's `execute` costs three times as much as a short statement."""

    def __init__(self, statement: Select[Any] | CompoundSelect[Any] | Update | Insert) -> None:
        self._statement = statement
        self._compiled: dict[str, tuple[str, list[tuple[str, Any]]]] = {}

    def __call__(self, connection: Connection, values: Mapping[str, object]) -> Sequence[Any]:
        """Execute it; return its rows."""
        rows: Sequence[Any] = self._execute(connection, values).fetchall()
        return rows

    def count(self, connection: Connection, values: Mapping[str, object]) -> int:
        """Execute it; return how many rows it changed."""
        return int(self._execute(connection, values).rowcount)

    def _execute(self, connection: Connection, values: Mapping[str, object]) -> Any:  # noqa: ANN401 - of the driver
        return driver_of(connection).execute(*self.bind(connection.dialect, values))

    def bind(self, dialect: Dialect, values: Mapping[str, object]) -> tuple[str, tuple[Any, ...]]:
        """Its SQL and parameters for the driver."""
        if dialect.name not in self._compiled:
            compiled = self._statement.compile(dialect=dialect)
            order = [(name, compiled.params[name]) for name in compiled.positiontup or ()]
            self._compiled[dialect.name] = str(compiled), order
        text, order = self._compiled[dialect.name]
        return text, tuple([values.get(name, constant) for name, constant in order])
