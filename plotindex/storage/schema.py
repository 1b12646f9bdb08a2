"""The schema of the database: its revisions, and how one becomes the next."""

from pathlib import Path

from sqlalchemy import Connection, text

from plotindex.errors import CatalogError, UnusableDatabaseError

SCHEMA = "0004"
"""The newest revision in migrations/versions."""


def migrations_folder() -> Path:
    """Inside the package once installed, beside it in a checkout."""
    package = Path(__file__).parent.parent
    installed = package / "migrations"
    return installed if installed.is_dir() else package.parent / "migrations"


def known_revisions() -> set[str]:
    """Every revision that this version can migrate from."""
    return {path.name.partition("_")[0] for path in migrations_folder().glob("versions/[0-9]*.py")}


def of_another_schema(shown: str | Path, revision: str) -> CatalogError:
    """What to do about a database of another revision than this version's: a file, or one that is shown so."""
    if revision in known_revisions():
        return CatalogError(
            f"The database {shown} is of an older schema; run `plotindex migrate` with the same options."
        )
    away = "move the file away" if isinstance(shown, Path) else "drop its tables"
    return UnusableDatabaseError(
        f"The database {shown} is of a newer plotindex (schema {revision}): upgrade plotindex or, to stay with "
        f"this one, {away} and run `plotindex rebuild`; nothing was changed."
    )


def upgrade(connection: Connection, *first: str) -> None:
    """Bring a database to the newest revision, in one transaction, which begins with these statements."""
    # Imported here: a server that finds its schema current never pays for it.
    from alembic import command  # noqa: PLC0415 - see above
    from alembic.config import Config  # noqa: PLC0415 - see above

    config = Config()
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    config.attributes["connection"] = connection
    with connection.begin():
        for statement in first:
            connection.execute(text(statement))
        command.upgrade(config, "head")
