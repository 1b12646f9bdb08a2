"""What an error of PostgreSQL means, and what fixes it."""

import re

import psycopg

from plotindex.errors import CatalogError, ConflictError, DamagedDatabaseError, LockTimeoutError, UnusableDatabaseError
from plotindex.storage.database import no_tables
from plotindex.system import printable

LOCKED = {"55P03"}
CONFLICTS = {"40P01", "40001"}
REMEDIES = {
    "25006": "name the server that can be written, by target_session_attrs=read-write in the URL",
    "28000": "create that role (`createuser NAME`) and let it log in, or correct its name in --database",
    "28P01": "correct the password in --database",
    "3D000": "create it (`createdb --owner ROLE NAME`), or correct --database",
    "42501": "make this role the owner of the database",
    "53100": "make room on the server's disk",
    "53300": "raise max_connections, or reduce workers and threads",
    "57014": "try again when the server is less busy",
}
"""By SQLSTATE (https://www.postgresql.org/docs/current/errcodes-appendix.html)."""
PERMANENT = {"42501"}
"""Not fixed by waiting."""
CONNECTION_REFUSALS = {
    "28000": re.compile('role ".*" does not exist|role ".*" is not permitted to log in|no pg_hba.conf entry'),
    "28P01": re.compile("password authentication failed"),
    "3D000": re.compile('database ".*" does not exist'),
    "53300": re.compile("too many clients"),
}
"""The text by which to recognise a refused connection: libpq does not report its SQLSTATE."""


def translate(error: Exception, shown: str) -> CatalogError:
    """The error of SQLAlchemy or the driver as CatalogError."""
    origin = getattr(error, "orig", None) or error
    reason = printable(str(origin).partition("\n")[0].strip() or type(origin).__name__)
    state = getattr(origin, "sqlstate", None) or _refusal(reason)
    if state in LOCKED:
        return LockTimeoutError("The catalogue is being written by others.")
    if state in CONFLICTS:
        return ConflictError(f"A concurrent transaction in the database {shown} won ({reason}).")
    if state == "42P01":
        return no_tables(shown)
    if isinstance(origin, psycopg.OperationalError) and state not in REMEDIES:
        return CatalogError(
            f"The database {shown} cannot be reached ({reason}): start its server, or correct --database."
        )
    remedy = f": {REMEDIES[state]}" if state in REMEDIES else ""
    kind = UnusableDatabaseError if state in PERMANENT else CatalogError
    return kind(f"The database {shown} cannot be used ({reason}){remedy}.")


def _refusal(reason: str) -> str | None:
    """The SQLSTATE of a refused connection."""
    if "FATAL" not in reason:
        return None
    return next((state for state, text in CONNECTION_REFUSALS.items() if text.search(reason)), None)


def damaged(shown: str) -> DamagedDatabaseError:
    return DamagedDatabaseError(
        f"The database {shown} holds rows that plotindex did not write: drop its tables and run `plotindex rebuild`, "
        "which recreates them."
    )
