"""Which kind of database a place is: a file of SQLite, or one on a PostgreSQL server."""

from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from plotindex.storage.sqlite.database import READ_SECONDS, SqliteDatabase
from plotindex.storage.sqlite.engine import parse_url
from plotindex.storage.urls import parse_server_url
from plotindex.system import is_postgres_url

if TYPE_CHECKING:
    from plotindex.storage.postgres.database import PostgresDatabase


Database: TypeAlias = "SqliteDatabase | PostgresDatabase"


def open_database(place: str | Path, patience: float = READ_SECONDS, *, prefer_immutable: bool = False) -> Database:
    """The database at a place: a URL, or a file in a folder that is plotindex's own. Opens and creates nothing.

    `patience` and `prefer_immutable` are those of `SqliteDatabase`; a server has waits of its own.

    Raises:
        SettingsError: it is no place that a catalogue can have.
    """
    if isinstance(place, str) and is_postgres_url(place):
        # Its driver is an extra, which is not everywhere.
        from plotindex.storage.postgres.database import PostgresDatabase  # noqa: PLC0415 - see above

        return PostgresDatabase(place)
    return SqliteDatabase(place, patience, prefer_immutable=prefer_immutable)


def check_url(url: str) -> None:
    """Raise SettingsError where a URL is none that a catalogue can have."""
    (parse_server_url if is_postgres_url(url) else parse_url)(url)
