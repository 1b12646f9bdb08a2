"""Alembic's entry point: uses the given connection, or the database named by -x or the environment.

The transaction is the caller's: on SQLite, too, a migration is applied whole or not at all.
"""

import os

from alembic import context
from sqlalchemy import Connection

from plotindex.errors import SettingsError
from plotindex.storage.factory import open_database
from plotindex.storage.history.tables import history_metadata
from plotindex.storage.schema import CATALOGUE, HISTORY, Schema
from plotindex.storage.tables import TRIGRAMS, metadata


def run(connection: Connection) -> None:
    schema: Schema = context.config.attributes.get("schema", CATALOGUE)
    context.configure(
        connection=connection,
        target_metadata=history_metadata if schema is HISTORY else metadata,
        version_table=schema.version_table,
        render_as_batch=True,
        compare_type=True,
        include_name=is_described,
    )
    context.run_migrations()


def is_described(name: str | None, kind: str, _parents: object) -> bool:
    """Whether the metadata should contain this table or index."""
    return kind not in ("table", "index") or not (name or "").startswith(TRIGRAMS)


def database_url() -> str:
    url = context.get_x_argument(as_dictionary=True).get("database") or os.environ.get("PLOTINDEX_DATABASE_URL")
    if not url:
        raise SettingsError(
            "Name the database: alembic -x database=sqlite:////path/catalog.db, or PLOTINDEX_DATABASE_URL."
        )
    return url


if context.is_offline_mode():
    context.configure(url=database_url(), target_metadata=metadata, literal_binds=True)
    context.run_migrations()
elif (given := context.config.attributes.get("connection")) is not None:
    run(given)
else:
    with open_database(database_url()).writing() as connection:
        run(connection.alchemy)
