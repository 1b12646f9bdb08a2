"""Read from a PostgreSQL database, within a transaction: the server's version, tables and sizes."""

from typing import Any

from plotindex.errors import UnusableDatabaseError
from plotindex.storage.statements import Connection, Prepared

MIN_VERSION = 14
"""The first version with idle_session_timeout, by which a leader that is cut off loses its lock."""

_SERVER = Prepared("SELECT current_setting('server_version_num')::int / 10000, current_setting('server_encoding')")
_VERSION = Prepared("SELECT version()")
_TABLES = Prepared("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
_TRIGRAMS = Prepared("SELECT to_regclass('name_trigram') IS NOT NULL")
_SIZES = Prepared(
    "SELECT relname, reltuples::bigint, pg_total_relation_size(oid) FROM pg_class "
    "WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace ORDER BY relname"
)


def table_names(connection: Connection, shown: str) -> set[str]:
    """The tables of the schema.

    Raises:
        UnusableDatabaseError: the server is too old, or the database has another encoding than UTF8.
    """
    ((version, encoding),) = _SERVER(connection)
    if version < MIN_VERSION:
        raise UnusableDatabaseError(
            f"The server of {shown} is PostgreSQL {version}: upgrade it to {MIN_VERSION} or later."
        )
    if encoding != "UTF8":
        raise UnusableDatabaseError(
            f"The database {shown} has encoding {encoding}: create one with `createdb --encoding UTF8 --template "
            "template0`."
        )
    return set(_TABLES.column(connection))


def describe_server(connection: Connection) -> dict[str, Any]:
    """The server's version, whether names have an index by trigrams, and the size of each table."""
    return {
        "version": _VERSION.value(connection),
        "has_trigrams": _TRIGRAMS.value(connection),
        "tables": {name: {"rows": rows, "bytes": size} for name, rows, size in _SIZES(connection)},
    }
