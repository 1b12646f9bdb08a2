"""Whether values have the types of their columns, which SQLite does not enforce."""

import re
from collections.abc import Iterator
from functools import cache

from plotindex.storage.schema import CATALOGUE
from plotindex.storage.sqlite.schema import FILES
from plotindex.storage.statements import Connection

MAX_SECONDS = 1e12
"""Larger times, which only another program writes, are no dates."""
QUICK_TABLES = ("catalogue", "indexer")
"""The tables that describe the catalogue and its indexers."""
TABLE = re.compile(r"^CREATE TABLE (\w+) \( (.*?), CONSTRAINT", re.MULTILINE)
COLUMN = re.compile(r'"?(\w+)"? (TEXT|BIGINT|INTEGER|DOUBLE|BLOB)(?: DEFAULT \'0\')?( NOT NULL)?')

_TYPES = {"TEXT": "text", "BLOB": "blob"}


def has_wrong_types(connection: Connection, *, is_quick: bool = False) -> bool:
    """Whether a value is of another type than its column, as only another program writes it.

    `is_quick`: check `QUICK_TABLES` alone; otherwise every row.
    """
    queries = _queries()
    tables = QUICK_TABLES if is_quick else queries
    return any(connection.driver.execute(queries[table]).fetchone() for table in tables)


@cache
def _queries() -> dict[str, str]:
    """By table, a query for a row with a value of another type."""
    return {
        table: f"SELECT 1 FROM {table} WHERE {' OR '.join(_wrong_types(columns))} LIMIT 1"
        for table, columns in TABLE.findall(FILES[CATALOGUE].read_text())
        if table != "alembic_version"
    }


def _wrong_types(columns: str) -> Iterator[str]:
    for name, declared, not_null in COLUMN.findall(columns):
        column = f'"{name}"'
        if declared == "DOUBLE":
            is_wrong = f"(typeof({column}) NOT IN ('real', 'integer') OR abs({column}) > {MAX_SECONDS})"
        else:
            is_wrong = f"typeof({column}) <> '{_TYPES.get(declared, 'integer')}'"
        yield is_wrong if not_null else f"({column} IS NOT NULL AND {is_wrong})"
