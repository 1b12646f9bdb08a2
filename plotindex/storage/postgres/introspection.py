"""What a database on a PostgreSQL server is, seen within a transaction: its version, tables and sizes."""

from typing import Any

from sqlalchemy import Connection, text

from plotindex.errors import DamagedDatabaseError, UnusableDatabaseError
from plotindex.storage.schema import SCHEMA, known_revisions, of_another_schema
from plotindex.storage.tables import metadata

OLDEST = 14
"""The first version that ends connections which are silent, by which an indexer that is cut off loses its part."""

_SERVER = text("SELECT current_setting('server_version_num')::int / 10000, current_setting('server_encoding')")
_TABLES = text("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
_REVISION = text("SELECT version_num FROM alembic_version")
_TRIGRAMS = text("SELECT to_regclass('name_trigram') IS NOT NULL")
_SIZES = text(
    "SELECT relname, reltuples::bigint, pg_total_relation_size(oid) FROM pg_class "
    "WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace ORDER BY relname"
)


def revision_of(connection: Connection, shown: str) -> str | None:
    """The revision of a database that this version can use or migrate; None for one that is empty.

    Raises:
        UnusableDatabaseError: it is of a newer plotindex, of another program, or on a server that will not do.
    """
    version, encoding = connection.execute(_SERVER).one()
    if version < OLDEST:
        raise UnusableDatabaseError(f"The server of {shown} is PostgreSQL {version}: upgrade it to {OLDEST} or later.")
    if encoding != "UTF8":
        raise UnusableDatabaseError(
            f"The database {shown} is of encoding {encoding}: make one by `createdb --encoding UTF8 --template "
            "template0`."
        )
    tables = set(connection.execute(_TABLES).scalars())
    revision = connection.execute(_REVISION).scalar() if "alembic_version" in tables else None
    if revision is None and tables - {"alembic_version"}:
        raise UnusableDatabaseError(
            f"The database {shown} has tables of another program: name another one with --database."
        )
    if revision is not None and revision not in known_revisions():
        raise of_another_schema(shown, revision)
    if revision == SCHEMA and not tables >= set(metadata.tables):
        raise not_believed(shown)
    return revision


def written_revision(connection: Connection) -> str:
    """The revision that plotindex's tables are of now."""
    return connection.execute(_REVISION).scalar() or ""


def not_believed(shown: str) -> DamagedDatabaseError:
    """What to do when what is read makes no sense."""
    return DamagedDatabaseError(
        f"The database {shown} holds what plotindex has not written: drop its tables and run `plotindex rebuild`, "
        "which makes them anew."
    )


def described_by(connection: Connection) -> dict[str, Any]:
    """Version and sizes, for whoever mends plotindex."""
    version = connection.execute(text("SELECT version()")).scalar()
    sizes = connection.execute(_SIZES)
    has_trigrams = connection.execute(_TRIGRAMS).scalar()
    return {
        "version": version,
        "has_trigrams": has_trigrams,
        "tables": {name: {"rows": rows, "bytes": size} for name, rows, size in sizes},
    }
