"""Statements for the few queries that run for every request and every change."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import CompoundSelect, Connection, Dialect, Select, Update


class Prepared:
    """A statement that is compiled once: a Core `execute` costs three times what such a statement itself does."""

    def __init__(self, statement: Select[Any] | CompoundSelect[Any] | Update) -> None:
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
