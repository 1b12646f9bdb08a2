"""The schemas of the databases: their revisions, and the migration to the newest one."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection

SCHEMA = "0008"
"""The newest revision of the catalogue, in migrations/versions."""
HISTORY_PREFIX = "history_"
"""Of each table of the history, which may lie in the catalogue's database."""

FACTS_TABLES = ("facts", "uninspected", "inspection")


class Schema(NamedTuple):
    """The schema of one kind of database."""

    revision: str
    """The newest one."""
    tables: frozenset[str]
    """Their names."""
    folder: str
    """Of its revisions, in migrations/."""
    version_table: str
    fresh: str
    """What to do after a database was moved away."""

    def own_tables(self, names: set[str]) -> set[str]:
        """Those of the tables that do not belong to the other kind."""
        is_history = self.version_table.startswith(HISTORY_PREFIX)
        others = {name for name in names if name.startswith(HISTORY_PREFIX) != is_history}
        return names - others


CATALOGUE = Schema(
    SCHEMA,
    frozenset(
        ("plot", "session", "excess", "removal", "trim", "name", *FACTS_TABLES, "follower", "catalogue", "indexer")
    ),
    "versions",
    "alembic_version",
    "run `plotindex rebuild`",
)
"""Its tables are in tables.py."""
HISTORY = Schema(
    "0001",
    frozenset(
        HISTORY_PREFIX + name
        for name in ("session", "copy", "version", "content", "pending", "forgotten", "follower", "state")
    ),
    "history",
    f"{HISTORY_PREFIX}alembic_version",
    "restart `plotindex watch`, which begins another history",
)
"""Its tables are in history/tables.py."""


def migrations_folder() -> Path:
    """Inside the package once installed, beside it in a checkout."""
    package = Path(__file__).parent.parent
    installed = package / "migrations"
    return installed if installed.is_dir() else package.parent / "migrations"


def known_revisions(schema: Schema = CATALOGUE) -> set[str]:
    """Every revision that this version can migrate from."""
    return {path.name.partition("_")[0] for path in migrations_folder().glob(f"{schema.folder}/[0-9]*.py")}


def alembic_config(connection: "Connection", schema: Schema = CATALOGUE) -> "Config":
    """What alembic's commands need to work on a database."""
    # Slow to import, and seldom needed.
    from alembic.config import Config  # noqa: PLC0415 - see above

    config = Config()
    folder = migrations_folder()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", str(folder / schema.folder).replace("%", "%%"))
    config.attributes.update(connection=connection, schema=schema)
    return config


def upgrade(connection: "Connection", schema: Schema = CATALOGUE, first: Sequence[str] = ()) -> None:
    """Migrate to the newest revision, in one transaction that starts with the statements `first`."""
    from alembic import command  # noqa: PLC0415 - see above
    from sqlalchemy import text  # noqa: PLC0415 - see above

    with connection.begin():
        for statement in first:
            connection.execute(text(statement))
        command.upgrade(alembic_config(connection, schema), "head")
