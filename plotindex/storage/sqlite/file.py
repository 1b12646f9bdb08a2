"""The file of a database: how it is made, what can be wrong with it, and how a damaged one is set aside."""

import logging
import os
import sqlite3
from pathlib import Path

from plotindex.errors import CatalogError, DamagedDatabaseError, LockTimeoutError, SettingsError, UnusableDatabaseError
from plotindex.system import create_private, permission_denied_error, printable

LOCKED = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}


# Every row is compared with what is there before it is written: only where an index is wrong is it there already.
DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CONSTRAINT}
DAMAGED_TOO = ("Could not decode to UTF-8", "'utf-8' codec", "malformed")
REMEDIES = {
    sqlite3.SQLITE_FULL: "make room on its disk",
    sqlite3.SQLITE_READONLY: "mount its disk for writing, or let this user write it",
}
DAMAGE_SUFFIX = ".damaged"
COMPANIONS = ("", "-wal", "-shm")
"""The database, its log and its shared memory: in this order, so that none is opened for a file that is gone."""

Identity = tuple[int, int]
"""Device and inode of a file."""

log = logging.getLogger(__name__)


def identity_of(path: Path) -> Identity | None:
    """Which file the path leads to now."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def create_file(path: Path) -> None:
    """Make a new file, empty and for its owner alone or the group that shares the folder, where there is none.

    Raises:
        SettingsError: there can be none.
    """
    try:
        # Only a new file is opened here: closing any descriptor of one that SQLite has open in this process would
        # drop SQLite's own locks on it (https://www.sqlite.org/howtocorrupt.html, 2.2).
        os.close(create_private(path, 0o660))
    except FileExistsError:
        if not os.access(path, os.R_OK | os.W_OK):
            raise SettingsError(
                f"The database {path} cannot be opened (Permission denied): name another --database."
            ) from None
    except FileNotFoundError:
        raise SettingsError(
            f"The folder {path.parent} for the database does not exist: create it, or name another --database."
        ) from None
    except OSError as error:
        raise SettingsError(
            f"The database {path} cannot be opened ({error.strerror}): name another --database."
        ) from None


def described(error: Exception, path: Path, *, is_own: bool) -> CatalogError:
    """What SQLAlchemy or the driver says about the database at `path`; `is_own` when it is surely plotindex's."""
    origin = getattr(error, "orig", None) or error
    reason = str(origin).partition("\n")[0]
    extended = getattr(origin, "sqlite_errorcode", 0)
    code = extended & 0xFF
    if is_busy(error):
        return LockTimeoutError(f"The database {path} is locked by another program: end that (`fuser -v` names it).")
    if not path.exists():
        return CatalogError(missing(path))
    if code in DAMAGED or extended == sqlite3.SQLITE_IOERR_SHORT_READ or reason.startswith(DAMAGED_TOO):
        return damaged(path, is_own=is_own, is_database=code != sqlite3.SQLITE_NOTADB)
    if code == sqlite3.SQLITE_CANTOPEN and (closed := _closed(path)):
        return closed
    what = f"written ({reason}): {REMEDIES[code]}." if code in REMEDIES else f"used ({reason})."
    return CatalogError(f"The database {path} cannot be {what}")


def _closed(path: Path) -> UnusableDatabaseError | None:
    if path.is_dir():
        return UnusableDatabaseError(f"{path} is a folder: name a file with --database.")
    return None if os.access(path, os.R_OK) else permission_denied_error(path)


def is_busy(error: Exception) -> bool:
    """Whether that says that another program holds the database."""
    return getattr(getattr(error, "orig", None) or error, "sqlite_errorcode", 0) & 0xFF in LOCKED


def missing(path: Path) -> str:
    return f"There is no catalogue at {path} yet: run `plotindex run`, `watch` or `rebuild` with the same options."


def damaged(path: Path, *, is_own: bool, is_database: bool = True) -> DamagedDatabaseError:
    """What to do about a database that cannot be believed; somebody else's file is never touched."""
    if is_own:
        what = f"The database {path} is damaged: a running indexer or `plotindex rebuild` makes it anew."
    elif is_database:
        what = f"The database {path} is damaged: move it away and run `plotindex rebuild`, which makes it anew."
    else:
        what = f"{path} is not an SQLite database: name another file with --database, or move it away."
    return DamagedDatabaseError(what)


def quarantine(path: Path) -> None:
    """Set a database aside, in place of one that was set aside earlier. Nothing in this process has it open.

    Raises:
        CatalogError: the system refuses.
    """
    aside = path.with_name(path.name + DAMAGE_SUFFIX)
    try:
        for companion in COMPANIONS:
            file, target = path.with_name(path.name + companion), aside.with_name(aside.name + companion)
            target.unlink(missing_ok=True)
            if file.exists():
                file.rename(target)
    except OSError as error:
        raise CatalogError(f"The damaged database {path} cannot be set aside ({error.strerror}).") from error
    log.warning("The database %s was damaged; it is kept as %s.", *(printable(str(place)) for place in (path, aside)))
