"""The file of an SQLite database: its creation, description and quarantine."""

import logging
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from plotindex.errors import CatalogError, SettingsError, UnsafePathError
from plotindex.storage.sqlite.disk_space import free_bytes, reserve_bytes
from plotindex.system import PrivateFolder, open_private_folder, printable

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
            try:
                folder.create(path.name, 0o660)
            except FileExistsError:
                if not os.access(path.name, os.R_OK | os.W_OK, dir_fd=folder.fd, follow_symlinks=False):
                    raise _cannot_open(path, "Permission denied") from None
    except UnsafePathError as error:
        raise SettingsError(str(error)) from None
    except FileNotFoundError:
        raise SettingsError(
            f"The folder {path.parent} for the database does not exist: create it, or name another --database."
        ) from None
    except OSError as error:
        raise _cannot_open(path, error.strerror) from None


@contextmanager
def open_database_folder(path: Path) -> Iterator[tuple[PrivateFolder, str]]:
    """The folder of a database, and the database's name there; a symlink of root's or this user's is followed once.

    Raises:
        UnsafePathError: a symlink on the way is another user's.
        OSError: the folder cannot be opened.
    """
    with open_private_folder(path.parent) as folder:
        target = _read_own_link(folder, path.name)
        if target is None:
            yield folder, path.name
            return
    with open_private_folder((path.parent / target).parent) as folder:
        yield folder, target.name


def _read_own_link(folder: PrivateFolder, name: str) -> Path | None:
    try:
        status = folder.stat(name)
        is_own = stat.S_ISLNK(status.st_mode) and status.st_uid in (0, os.geteuid())
        return Path(os.readlink(name, dir_fd=folder.fd)) if is_own else None
    except OSError:
        return None


def _cannot_open(path: Path, reason: str | None) -> SettingsError:
    return SettingsError(f"The database {path} cannot be opened ({reason}): name another --database.")


def quarantine(path: Path) -> None:
    """Rename a damaged database, replacing an earlier one; delete it if its disk is full.

    Nothing in this process may have it open.

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
            is_kept = free_bytes(path.parent) >= reserve_bytes(path.parent)
            for companion in () if is_kept else COMPANIONS:
                folder.delete(aside.name + companion)
    except OSError as error:
        raise CatalogError(f"The damaged database {path} cannot be renamed ({error.strerror}).") from error
    kept = f"it is kept as {printable(str(aside))}" if is_kept else "it is deleted, because its disk is full"
    log.warning("The database %s was damaged; %s.", printable(str(path)), kept)


def describe(connection: sqlite3.Connection) -> dict[str, Any]:
    """The schema, the number of rows of each table, and some pragmas."""
    schema = connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
    tables = [name for name, sql in schema if sql and sql.startswith("CREATE TABLE")]
    pragmas = ("page_count", "page_size", "freelist_count", "auto_vacuum")
    return {
        "schema": dict(schema),
        "rows": {name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in tables},
        **{name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas},
    }
