"""Open the kind of database that a URL names."""

from pathlib import Path

from plotindex.storage.database import Database
from plotindex.storage.schema import CATALOGUE, Schema
from plotindex.storage.sqlite.database import READ_SECONDS, SqliteDatabase
from plotindex.system import is_postgres_url


def open_database(
    place: str | Path,
    busy_timeout: float = READ_SECONDS,
    *,
    prefer_immutable: bool = False,
    schema: Schema = CATALOGUE,
) -> Database:
    """The database at a URL, or in a file in a folder of plotindex's own. Opens and creates nothing.

    `busy_timeout` and `prefer_immutable` are for SQLite: see `SqliteDatabase`.

    Raises:
        SettingsError: the catalogue cannot be kept there.
    """
    if isinstance(place, str) and is_postgres_url(place):
        # The driver is an optional dependency.
        from plotindex.storage.postgres.database import PostgresDatabase  # noqa: PLC0415 - see above

        return PostgresDatabase(place, schema)
    return SqliteDatabase(place, busy_timeout, prefer_immutable=prefer_immutable, schema=schema)
