"""The file of an SQLite database: its creation, description and quarantine."""

import logging
import os
import sqlite3
import stat
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from plotindex.errors import CatalogError, SettingsError, UnsafePathError, UnusableDatabaseError
from plotindex.system import open_private_folder, printable

DAMAGE_SUFFIX = ".damaged"
COMPANIONS = ("", "-wal", "-shm")
"""The database, its log and its shared memory: in this order, so that none is opened without the database."""

FileId = tuple[int, int]
"""Device and inode."""

log = logging.getLogger(__name__)


def file_id(path: Path) -> FileId | None:
    """The file that the path leads to now, or None."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def create_file(path: Path) -> None:
    """Create an empty file where there is none, for its owner or the group that shares the folder.

    Raises:
        SettingsError: it cannot be created, or not be opened for writing.
    """
    try:
        # Only a new file is opened here: closing any descriptor of one that SQLite has open in this process would
        # drop SQLite's own locks on it (https://www.sqlite.org/howtocorrupt.html, 2.2).
        with open_private_folder(path.parent) as folder:
            folder.create(path.name, 0o660)
    except UnsafePathError as error:
        raise SettingsError(str(error)) from None
    except FileExistsError:
        if not os.access(path, os.R_OK | os.W_OK):
            raise _cannot_open(path, "Permission denied") from None
    except FileNotFoundError:
        raise SettingsError(
            f"The folder {path.parent} for the database does not exist: create it, or name another --database."
        ) from None
    except OSError as error:
        raise _cannot_open(path, error.strerror) from None


def prepare(path: Path) -> None:
    """Prepare the database's files for SQLite, which opens them by their names.

    In a folder that a group can write, create the log and the shared memory with the group's access: SQLite would grant
    it a moment after their creation, and fail another user in between. (It does so for a new, empty database.)

    Raises:
        UnusableDatabaseError: the database, or a symlink on the way to it, is another user's link.
    """
    try:
        _prepare(path)
    except UnsafePathError as error:
        raise UnusableDatabaseError(str(error)) from None
    except OSError:
        # SQLite reports what it cannot do.
        return


def _prepare(path: Path) -> None:
    with open_private_folder(path.parent) as folder:
        try:
            status = folder.stat(path.name)
        except FileNotFoundError:
            return
        _refuse_links(path, status, folder.stat(".").st_uid)
        if folder.is_group_writable and status.st_size:
            for name in (path.name + companion for companion in COMPANIONS[1:]):
                if not folder.has(name):
                    with suppress(FileExistsError):
                        folder.create(name, status.st_mode & 0o660)


def _refuse_links(path: Path, status: os.stat_result, folder_owner: int) -> None:
    if stat.S_ISLNK(status.st_mode):
        is_own = status.st_uid in (0, os.geteuid())
    else:
        is_own = status.st_nlink == 1 or status.st_uid == folder_owner
    if not is_own:
        raise UnusableDatabaseError(
            f"{printable(str(path))} is a link of another user: delete it, and run `plotindex rebuild`."
        )


def _cannot_open(path: Path, reason: str | None) -> SettingsError:
    return SettingsError(f"The database {path} cannot be opened ({reason}): name another --database.")


def quarantine(path: Path) -> None:
    """Rename a damaged database, replacing an earlier one. Nothing in this process may have it open.

    Raises:
        CatalogError: the system refuses.
    """
    aside = path.with_name(path.name + DAMAGE_SUFFIX)
    try:
        with open_private_folder(path.parent) as folder:
            for companion in COMPANIONS:
                folder.delete(aside.name + companion)
                with suppress(FileNotFoundError):
                    folder.rename(path.name + companion, aside.name + companion)
    except OSError as error:
        raise CatalogError(f"The damaged database {path} cannot be renamed ({error.strerror}).") from error
    log.warning("The database %s was damaged; it is kept as %s.", *(printable(str(place)) for place in (path, aside)))


def describe_file(path: Path) -> dict[str, Any]:
    """The schema, the number of rows of each table, and some pragmas."""
    with closing(sqlite3.connect(f"file:{quoted(path)}?mode=ro", uri=True, timeout=2)) as connection:
        schema = connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
        tables = [name for name, sql in schema if sql and sql.startswith("CREATE TABLE")]
        pragmas = ("page_count", "page_size", "freelist_count", "journal_mode", "auto_vacuum")
        return {
            "schema": dict(schema),
            "rows": {name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in tables},  # noqa: S608 - names of its own tables
            **{name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas},
        }


def quoted(path: Path) -> str:
    """A path inside an SQLite URI (https://www.sqlite.org/uri.html)."""
    return str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
