"""What an error of SQLite means, and what fixes it."""

import os
import sqlite3
from pathlib import Path

from plotindex.errors import CatalogError, DamagedDatabaseError, LockTimeoutError, UnusableDatabaseError
from plotindex.system import permission_denied_error

LOCKED = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}
# A violated constraint, too: rows are compared before they are written, so only a wrong index lets one through.
DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CONSTRAINT}
DAMAGED_MESSAGES = ("Could not decode to UTF-8", "'utf-8' codec", "malformed")
REMEDIES = {
    sqlite3.SQLITE_FULL: "make room on its disk",
    sqlite3.SQLITE_READONLY: "mount its disk for writing, or make it writable for this user (chmod, chown)",
}


def translate(error: Exception, path: Path, *, is_own: bool) -> CatalogError:
    """The error of SQLAlchemy or the driver as CatalogError; `is_own` if the database is certainly plotindex's."""
    origin = getattr(error, "orig", None) or error
    reason = str(origin).partition("\n")[0]
    extended = getattr(origin, "sqlite_errorcode", 0)
    code = extended & 0xFF
    if is_busy(error):
        return LockTimeoutError(f"The database {path} is locked by another program: end that (`fuser -v` names it).")
    if not path.exists():
        return CatalogError(missing(path))
    if code in DAMAGED or extended == sqlite3.SQLITE_IOERR_SHORT_READ or reason.startswith(DAMAGED_MESSAGES):
        return damaged(path, is_own=is_own, is_database=code != sqlite3.SQLITE_NOTADB)
    if code == sqlite3.SQLITE_CANTOPEN and (unusable := _unusable(path)):
        return unusable
    what = f"written ({reason}): {REMEDIES[code]}." if code in REMEDIES else f"used ({reason})."
    return CatalogError(f"The database {path} cannot be {what}")


def is_busy(error: Exception) -> bool:
    """Whether another program holds the database."""
    return getattr(getattr(error, "orig", None) or error, "sqlite_errorcode", 0) & 0xFF in LOCKED


def missing(path: Path) -> str:
    return f"There is no catalogue at {path} yet: run `plotindex run`, `watch` or `rebuild` with the same options."


def damaged(path: Path, *, is_own: bool, is_database: bool = True) -> DamagedDatabaseError:
    if is_own:
        what = f"The database {path} is damaged: a running indexer or `plotindex rebuild` recreates it."
    elif is_database:
        what = f"The database {path} is damaged: move it away and run `plotindex rebuild`, which recreates it."
    else:
        what = f"{path} is not an SQLite database: name another file with --database, or move it away."
    return DamagedDatabaseError(what)


def _unusable(path: Path) -> UnusableDatabaseError | None:
    if path.is_dir():
        return UnusableDatabaseError(f"{path} is a folder: name a file with --database.")
    return None if os.access(path, os.R_OK) else permission_denied_error(path)
