"""Connect to an SQLite file: exactly the one in its folder, whatever others put in its place meanwhile."""

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any

from plotindex.errors import CatalogError, UnsafePathError, UnusableDatabaseError
from plotindex.storage.sqlite.errors import missing
from plotindex.storage.sqlite.file import COMPANIONS, open_database_folder
from plotindex.storage.sqlite.read_only import READ_WRITE, ReadConnection
from plotindex.system import PrivateFolder, permission_denied_error, printable

JOURNAL = "-journal"
FILES = (*COMPANIONS, JOURNAL)


def connect(path: Path, mode: str, **parameters: Any) -> ReadConnection:  # noqa: ANN401 - of sqlite3.connect
    """A connection; `mode` is one of `read_only`. Nothing has read or written the database yet.

    SQLite resolves links in the name, then opens what it found without following another. So where it found the
    expected path, it opened no link.

    Raises:
        UnusableDatabaseError: a file of the database may be another user's trap, as `PrivateFolder.open` says.
        CatalogError: its folder cannot be opened.
        sqlite3.Error: SQLite cannot open it.
    """
    try:
        with open_database_folder(path) as (folder, name):
            status = _check(folder, name).get("")
            if mode == READ_WRITE and status and status.st_size and folder.is_group_writable:
                _create_companions(folder, name, status.st_mode & 0o660)
            place = str(Path(f"/proc/self/fd/{folder.fd}").readlink() / name)
            connection = sqlite3.connect(
                f"file:{_quoted(place)}?{mode}", uri=True, factory=ReadConnection, **parameters
            )
            if _opened(connection) != place:
                connection.close()
                raise folder.link_error(name)
            return connection
    except UnsafePathError as error:
        raise UnusableDatabaseError(f"{error} Then run `plotindex rebuild`, or name another --database.") from None
    except PermissionError:
        raise permission_denied_error(path) from None
    except FileNotFoundError:
        raise CatalogError(missing(path)) from None
    except OSError as error:
        raise CatalogError(f"The database {path} cannot be used ({error.strerror}).") from error


def _check(folder: PrivateFolder, name: str) -> dict[str, os.stat_result]:
    """The status of each file of the database that exists, by its suffix."""
    found = {}
    for suffix in FILES:
        with suppress(FileNotFoundError):
            # A pipe as journal would block SQLite, which opens it for reading.
            found[suffix] = folder.check(name + suffix)
    journal = found.get(JOURNAL)
    if journal and journal.st_size and folder.is_of_other_user:
        # SQLite would delete the file that it names; only a database that was being created has one.
        shown = printable(str(folder.path / f"{name}{JOURNAL}"))
        raise UnsafePathError(f"{shown} is a rollback journal of another user, which root does not follow: delete it.")
    return found


def _create_companions(folder: PrivateFolder, name: str, mode: int) -> None:
    """Create the log and the shared memory with the group's access.

    SQLite would grant it a moment after their creation, and fail another user in between. (It does so for a new, empty
    database.)
    """
    for suffix in COMPANIONS[1:]:
        if not folder.has(name + suffix):
            with suppress(FileExistsError):
                folder.create(name + suffix, mode)


def _opened(connection: sqlite3.Connection) -> str:
    """The path that SQLite opened."""
    connection.text_factory = os.fsdecode
    [(_, _, opened)] = connection.execute("PRAGMA database_list")
    connection.text_factory = str
    return str(opened)


def _quoted(path: str) -> str:
    """A path inside an SQLite URI (https://www.sqlite.org/uri.html)."""
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
