"""Connections, and the statements that they execute.

Statements are text, or made by SQLAlchemy where they depend on the request. A process that uses text alone does not
import SQLAlchemy, which takes a fifth of a second and 20 MB.
"""

import re
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import Connection as SqlAlchemyConnection
    from sqlalchemy import Dialect, Executable, SelectBase

SQLITE, POSTGRES = "sqlite", "postgresql"
PARAMETER = re.compile(r"(?<!:):([a-z]\w*)")
PAGE_ROWS = 1_000
"""Rows that a server sends at a time where they are read one by one."""


class Connection:
    """The driver's own connection, within a transaction."""

    def __init__(self, driver: Any, kind: str, open_alchemy: "Callable[[Any], SqlAlchemyConnection]") -> None:  # noqa: ANN401 - of any driver
        """`open_alchemy` makes SQLAlchemy's connection of the driver's."""
        self.driver = driver
        self.kind = kind
        """SQLITE or POSTGRES."""
        self._open_alchemy = open_alchemy

    @cached_property
    def alchemy(self) -> "SqlAlchemyConnection":
        """SQLAlchemy's connection, in the same transaction."""
        return self._open_alchemy(self.driver)

    def execute(self, statement: "Executable", values: Any = None) -> Any:  # noqa: ANN401 - as SQLAlchemy's
        """Execute a statement of SQLAlchemy."""
        return self.alchemy.execute(statement, values)

    def execution_options(self, **options: Any) -> "SqlAlchemyConnection":  # noqa: ANN401 - as SQLAlchemy's
        """SQLAlchemy's connection, with these options from now on."""
        return self.alchemy.execution_options(**options)

    def end(self) -> None:
        """Return SQLAlchemy's connection, if it was used."""
        if "alchemy" in vars(self):
            self.alchemy.close()


class Prepared:
    """A statement that is prepared once: SQLAlchemy's `execute` costs three times as much as a short statement.

    In text, parameters are written `:name`.
    """

    def __init__(self, statement: "str | SelectBase") -> None:
        self._statement = statement
        self._prepared: dict[str, tuple[str, list[tuple[str, Any]]]] = {}
        if isinstance(statement, str):
            order = [(name, None) for name in PARAMETER.findall(statement)]
            self._prepared = {
                SQLITE: (PARAMETER.sub("?", statement), order),
                POSTGRES: (PARAMETER.sub("%s", statement.replace("%", "%%")), order),
            }

    def __call__(self, connection: Connection, values: Mapping[str, object] = {}) -> Sequence[Any]:
        """Execute it; return its rows."""
        rows: Sequence[Any] = self._execute(connection, values).fetchall()
        return rows

    def value(self, connection: Connection, values: Mapping[str, object] = {}) -> Any:  # noqa: ANN401 - of a row; see above
        """Execute it; return the first value of its first row, or None."""
        rows = self(connection, values)
        return rows[0][0] if rows else None

    def column(self, connection: Connection, values: Mapping[str, object] = {}) -> list[Any]:
        """Execute it; return the first value of each row."""
        return [row[0] for row in self._execute(connection, values)]

    def count(self, connection: Connection, values: Mapping[str, object] = {}) -> int:
        """Execute it; return how many rows it changed."""
        return int(self._execute(connection, values).rowcount)

    def each(self, connection: Connection, many: Iterable[Mapping[str, object]]) -> None:
        """Execute it for each of these values."""
        text, order = self._prepared[connection.kind]
        connection.driver.cursor().executemany(text, [[values[name] for name, _ in order] for values in many])

    def stream(
        self, connection: Connection, values: Mapping[str, object], page_rows: int = PAGE_ROWS
    ) -> Generator[Any, None, None]:
        """Execute it; its rows one by one. The caller closes it. A server sends `page_rows` at a time."""
        text, parameters = self.bind(connection.kind, values)
        if connection.kind == SQLITE:
            with closing(connection.driver.execute(text, parameters)) as rows:
                yield from rows
            return
        # A cursor of the server; its name is free again when it is closed.
        with connection.driver.cursor(name=f"rows_{id(self)}") as cursor:
            cursor.itersize = page_rows
            yield from cursor.execute(text, parameters)

    def bind(
        self, kind: str, values: Mapping[str, object], dialect: "Dialect | None" = None
    ) -> tuple[str, tuple[Any, ...]]:
        """Its SQL and parameters for the driver; `dialect` where it is made by SQLAlchemy."""
        if kind not in self._prepared:
            compiled = self._statement.compile(dialect=dialect)  # type: ignore[union-attr]  # text is prepared
            order = [(name, compiled.params[name]) for name in compiled.positiontup or ()]
            self._prepared[kind] = str(compiled), order
        text, order = self._prepared[kind]
        return text, tuple([values.get(name, constant) for name, constant in order])

    def _execute(self, connection: Connection, values: Mapping[str, object]) -> Any:  # noqa: ANN401 - of the driver
        dialect = None if connection.kind in self._prepared else connection.alchemy.dialect
        return connection.driver.execute(*self.bind(connection.kind, values, dialect))
