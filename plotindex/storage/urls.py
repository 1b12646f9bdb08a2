"""Addresses of databases: which kind they are of, and how they are shown."""

import importlib.util

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from plotindex.errors import SettingsError
from plotindex.system import redact_url

DRIVER = "postgresql+psycopg"
EXAMPLES = f"sqlite:////absolute/path/catalog.db, or {DRIVER}://role@host/database"


def parse(url: str) -> URL:
    """A database URL.

    Raises:
        SettingsError: it is none.
    """
    try:
        return make_url(url)
    except (ArgumentError, ValueError):
        raise SettingsError(f"{redact_url(url)!r} is no database URL: write {EXAMPLES}.") from None


def parse_server_url(url: str) -> URL:
    """The URL of a database on a PostgreSQL server.

    Raises:
        SettingsError: it names no database, or the driver is not installed.
    """
    parsed = parse(url)
    if url.partition("?")[0].count("@") > 1:
        raise SettingsError(f"{redact_url(url)!r} has more than one @: in a password write %40 for @, and %2F for /.")
    if not parsed.database:
        raise SettingsError(f"The URL {shown(parsed)} names no database: write {DRIVER}://role@host/database.")
    if importlib.util.find_spec("psycopg") is None:
        raise SettingsError("PostgreSQL needs a driver: run `pip install 'plotindex[postgresql]'`.")
    return parsed.set(drivername=DRIVER)


def shown(url: URL) -> str:
    """The URL without any password."""
    return redact_url(url.render_as_string(hide_password=False))
