"""Checks of the database and the disks: usability, location, and free space."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from shlex import quote
from typing import NamedTuple

from plotindex.errors import CatalogError, LockTimeoutError, SettingsError
from plotindex.ops.doctor.context import Context
from plotindex.ops.doctor.findings import Finding, bad, ok, proc_missing, quantity, split_remedy, warn
from plotindex.storage import KEPT_WAL_BYTES, SCHEMA, SqliteDatabase, max_wal_bytes
from plotindex.system import (
    LOCAL_FS_TYPES,
    NETWORK_FS_TYPES,
    Mount,
    escape,
    find_mount,
    format_size,
    open_private_folder,
    printable,
)

MEGABYTE = 1 << 20
MIN_INODES, LOW_INODES = 100, 10_000


def check_database(context: Context) -> Iterator[Finding]:
    """Check that the catalogue opens, is this root's, has this schema, is intact, and uses WAL."""
    database = context.catalog.database
    shown = printable(database.shown)
    if not context.has_database:
        if database.file and not database.file.parent.exists() and context.settings.database:
            yield bad("database", f"The folder of {shown} does not exist", "create it, or set another --database")
        else:
            seen = f"There is no catalogue at {shown} yet, so every request scans the disk"
            yield warn("database", seen, "`plotindex watch`, `run` or `rebuild` creates it")
        return
    try:
        context.catalog.require_root(str(context.settings.root))
        sessions, plots = context.catalog.counts()
        in_use = f"schema {SCHEMA}, {quantity(plots, 'plot')} in {quantity(sessions, 'session')}"
        yield ok("database", f"{shown} opens: {in_use}")
        database.check_integrity()
    except (CatalogError, SettingsError) as error:
        yield _unusable(error)
        return
    if isinstance(database, SqliteDatabase):
        yield ok("database-integrity", "Every page of the database is intact (quick_check)")
        yield journal_finding(database.journal_mode())
    else:
        yield search_finding(has_trigrams=bool(database.describe()["has_trigrams"]))


def search_finding(*, has_trigrams: bool) -> Finding:
    """The finding for the trigram index of names on a database server."""
    if has_trigrams:
        return ok("search-index", "The database has a trigram index of names (pg_trgm)")
    remedy = (
        "install PostgreSQL's contrib package on the server, then, in the database, CREATE EXTENSION pg_trgm and "
        "CREATE INDEX name_trigram ON name USING gin (filename gin_trgm_ops)"
    )
    return warn("search-index", "The database has no pg_trgm, so a search reads every name", remedy)


def _unusable(error: CatalogError | SettingsError) -> Finding:
    seen, remedy = split_remedy(str(error))
    if isinstance(error, SettingsError):
        # Permanent: only the operator can fix it.
        return bad("database", seen, remedy)
    if isinstance(error, LockTimeoutError):
        remedy = "stop that program (`fuser -v` with the file's name shows it)"
    seen = f"{seen}; until it is fixed, every request scans the disk"
    return warn("database", seen, remedy or "see the log of `plotindex watch`")


def journal_finding(mode: str) -> Finding:
    """The finding for the database's journal mode."""
    if mode == "wal":
        return ok("journal-mode", "The database's journal mode is WAL")
    return bad(
        "journal-mode",
        f"The database's journal mode is {escape(mode)}, not WAL: readers and the indexer block each other",
        "start `plotindex watch`, which sets it; if it stays, the file system cannot: set --database to a local file",
    )


def check_database_place(context: Context) -> Iterator[Finding]:
    """Check that the database is on a local disk."""
    if context.catalog.database.file is None:
        return
    folder = context.catalog.database.file.parent
    mount = find_mount(folder)
    if mount is None:
        yield proc_missing("database-file-system", "/proc/self/mountinfo")
    else:
        yield database_mount_finding(folder, mount)


def database_mount_finding(folder: Path, mount: Mount) -> Finding:
    """The finding for the file system of the database's folder."""
    seen = f"The database's folder {printable(str(folder))} is on {escape(mount.fs_type)}"
    remedy = "use a file on a local disk: --database sqlite:////var/lib/plotindex/catalog.db"
    if mount.fs_type in LOCAL_FS_TYPES:
        return ok("database-file-system", f"{seen}, a local file system")
    if mount.fs_type in NETWORK_FS_TYPES:
        seen = f"{seen}, a network file system, where SQLite's locks and shared memory do not work"
        return bad("database-file-system", f"{seen}: a second host would corrupt it", remedy)
    return warn(
        "database-file-system", f"{seen}, which is not known to be local: SQLite needs shared memory there", remedy
    )


def check_log(context: Context) -> Iterator[Finding]:
    """Check that no reader keeps the database's log from being truncated."""
    if file := context.catalog.database.file:
        yield log_finding(context.wal_bytes, max_wal_bytes(file), printable(str(file)))


def log_finding(length: int, bound: int, database: str) -> Finding:
    """The finding for the length of the write-ahead log."""
    seen = f"The database's log (WAL) has {format_size(length)}"
    if length <= min(KEPT_WAL_BYTES, bound):
        return ok("database-log", seen)
    seen = f"{seen}: a program reads in one transaction that never ends"
    remedy = f"`fuser -v {quote(database)}` shows who has it open: stop what is not plotindex, then restart the server"
    if length > bound:
        return bad("database-log", f"{seen}, and indexing has stopped", remedy)
    return warn("database-log", f"{seen}; at {format_size(bound)} indexing stops", remedy)


class Room(NamedTuple):
    """Free space of one file system, and what plotindex may still need there."""

    what: str
    folder: str
    free: int
    """In bytes, for users other than root."""
    needed: int
    inodes: int | None
    """Free inodes; None where the file system creates them on demand."""


def check_disks(context: Context) -> Iterator[Finding]:
    """Check for space for a second copy of the database, its log, and thumbnails."""
    database = context.catalog.database.file
    state = _existing(context.settings.state_folder)
    needs = {"thumbnails": (state, _missing_thumbnail_bytes(context))}
    if database:
        place = _existing(database.parent)
        stored = database.stat().st_size if database.exists() else 0
        needs = {"database": (place, stored + KEPT_WAL_BYTES), **needs}
        if place.stat().st_dev == state.stat().st_dev:
            needs = {"database and thumbnails": (place, sum(needed for _, needed in needs.values()))}
    for what, (folder, needed) in needs.items():
        disk = os.statvfs(folder)
        inodes = disk.f_favail if disk.f_files else None
        yield from room_findings(Room(what, printable(str(folder)), disk.f_bavail * disk.f_frsize, needed, inodes))


def _missing_thumbnail_bytes(context: Context) -> int:
    """How much the thumbnails may still grow up to `thumbnails_mb`."""
    folder = context.settings.thumbnails_folder
    cached = 0
    with suppress(OSError), open_private_folder(folder) as opened:
        cached = sum(opened.stat(name).st_blocks * 512 for name in opened.names())
    return max(0, context.settings.thumbnails_mb * MEGABYTE - cached)


def _existing(folder: Path) -> Path:
    """The folder, or its nearest parent that exists."""
    return next(place for place in (folder, *folder.parents) if place.exists())


def room_findings(room: Room) -> Iterator[Finding]:
    """The findings for free space and inodes."""
    place = f"free for {room.what} at {room.folder}"
    seen = f"{format_size(room.free)} are {place}, which may still grow by {format_size(room.needed)}"
    remedy = "free some space there, or lower thumbnails_mb" if "thumbnails" in room.what else "free some space there"
    if "database" in room.what and room.free < KEPT_WAL_BYTES:
        yield bad("disk-space", f"{seen}: indexing will soon stop", remedy)
    elif room.free < room.needed:
        yield warn("disk-space", seen, remedy)
    else:
        yield ok("disk-space", seen)
    if room.inodes is not None and room.inodes < LOW_INODES:
        is_critical = room.inodes < MIN_INODES and "database" in room.what
        finding = bad if is_critical else warn
        remedy = "delete many small files there, or use another disk"
        yield finding("disk-inodes", f"{room.inodes} inodes are {place}", remedy)
    else:
        count = "as many inodes as needed" if room.inodes is None else f"{room.inodes} inodes"
        yield ok("disk-inodes", f"{count} are {place}")
