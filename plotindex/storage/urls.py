"""Database URLs: parsed and checked."""

import importlib.util
import os
from pathlib import Path
from typing import TYPE_CHECKING

from plotindex.errors import SettingsError
from plotindex.system import is_postgres_url, redact_url

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

DRIVER = "postgresql+psycopg"
EXAMPLES = f"sqlite:////absolute/path/catalog.db, or {DRIVER}://role@host/database"


def check_url(url: str) -> None:
    """Raise SettingsError unless the URL is valid for a catalogue."""
    (parse_server_url if is_postgres_url(url) else parse_file_url)(url)


def parse_file_url(url: str) -> Path:
    """The absolute path of the file of an SQLite database.

    Raises:
        SettingsError: it is not valid, or names something that cannot be the catalogue.
    """
    parsed = _parse(url)
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite"):
        raise SettingsError(f"The catalogue cannot be kept in {parsed.drivername}: write {EXAMPLES}.")
    if not parsed.database or parsed.database == ":memory:" or parsed.database.startswith("file:"):
        raise SettingsError(
            "The catalogue must be a file, seen by indexer and server: write sqlite:////absolute/path/catalog.db."
        )
    return Path(os.path.abspath(parsed.database))


def parse_server_url(url: str) -> "URL":
    """The URL of a PostgreSQL database.

    Raises:
        SettingsError: it is not valid, names no database, or the driver is not installed.
    """
    parsed = _parse(url)
    if url.partition("?")[0].count("@") > 1:
        raise SettingsError(f"{redact_url(url)!r} has more than one @: in a password write %40 for @, and %2F for /.")
    if not parsed.database:
        raise SettingsError(
            f"The URL {without_password(parsed)} names no database: write {DRIVER}://role@host/database."
        )
    if importlib.util.find_spec("psycopg") is None:
        raise SettingsError("PostgreSQL needs a driver: run `pip install 'plotindex[postgresql]'`.")
    return parsed.set(drivername=DRIVER)


def without_password(url: "URL") -> str:
    return redact_url(url.render_as_string(hide_password=False))


def _parse(url: str) -> "URL":
    # Slow to import, and not needed for a catalogue in the state folder.
    from sqlalchemy.engine import make_url  # noqa: PLC0415 - see above
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415 - see above

    try:
        return make_url(url)
    except (ArgumentError, ValueError):
        raise SettingsError(f"{redact_url(url)!r} is not a valid database URL: write {EXAMPLES}.") from None
