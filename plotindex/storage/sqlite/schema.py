"""The schemas of new databases, as the migrations would leave them.

`make schema` writes schema.sql and history.sql from the migrations. Alembic, which executes them, takes longer to
import than the tables to create.
"""

from pathlib import Path

from plotindex.storage.schema import CATALOGUE, HISTORY, Schema
from plotindex.storage.statements import Connection

FILES = {
    CATALOGUE: Path(__file__).with_name("schema.sql"),
    HISTORY: Path(__file__).with_name("history.sql"),
}
SEPARATOR = ";\n\n"


def create_tables(connection: Connection, schema: Schema) -> None:
    """Create everything in an empty database."""
    for statement in FILES[schema].read_text().split(SEPARATOR):
        connection.driver.execute(statement)
    connection.driver.execute(f"INSERT INTO {schema.version_table} (version_num) VALUES (?)", (schema.revision,))
