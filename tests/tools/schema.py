"""plotindex/storage/sqlite/schema.sql and history.sql, from the migrations.

python -m tests.tools.schema
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from plotindex.storage.schema import CATALOGUE, Schema, upgrade
from plotindex.storage.sqlite.database import SqliteDatabase
from plotindex.storage.sqlite.file import create_file
from plotindex.storage.sqlite.schema import FILES, SEPARATOR
from plotindex.storage.statements import Connection


def migrated(place: Path, schema: Schema = CATALOGUE) -> SqliteDatabase:
    """A new database that the migrations have made."""
    create_file(place)
    database = SqliteDatabase(place, schema=schema)
    with database.writing() as connection:
        upgrade(connection.alchemy, schema)
    return database


def statements(connection: Connection, schema: Schema = CATALOGUE) -> list[str]:
    """The schema of a database, and its rows, except the revision; each without line breaks."""
    query = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE '%_trigram_%' ORDER BY rowid"
    created = [" ".join(sql.split()) for (sql,) in connection.driver.execute(query)]
    rows = connection.driver.execute("SELECT * FROM follower") if schema is CATALOGUE else ()
    followers = [tuple(row) for row in rows]
    return [*created, *(f"INSERT INTO follower VALUES {row}" for row in followers)]


def text(schema: Schema = CATALOGUE) -> str:
    """The file."""
    with TemporaryDirectory() as folder:
        database = migrated(Path(folder, "new.db"), schema)
        with database.reading() as connection:
            found = statements(connection, schema)
        database.close()
    return SEPARATOR.join(found) + "\n"


if __name__ == "__main__":
    for schema, file in FILES.items():
        file.write_text(text(schema))
