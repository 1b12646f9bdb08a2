"""The schema of the database: its revisions, and the migration to the newest one."""

from pathlib import Path

from sqlalchemy import Connection, text

SCHEMA = "0006"
"""The newest revision in migrations/versions."""


def migrations_folder() -> Path:
    """Inside the package once installed, beside it in a checkout."""
    package = Path(__file__).parent.parent
    installed = package / "migrations"
    return installed if installed.is_dir() else package.parent / "migrations"


def known_revisions() -> set[str]:
    """Every revision that this version can migrate from."""
    return {path.name.partition("_")[0] for path in migrations_folder().glob("versions/[0-9]*.py")}


def upgrade(connection: Connection, *first: str) -> None:
    """Migrate to the newest revision, in one transaction that starts with the statements `first`."""
    # Slow to import, and seldom needed.
    from alembic import command  # noqa: PLC0415 - see above
    from alembic.config import Config  # noqa: PLC0415 - see above

    config = Config()
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    config.attributes["connection"] = connection
    with connection.begin():
        for statement in first:
            connection.execute(text(statement))
        command.upgrade(config, "head")
