"""The database and the disks: whether it can be used and believed, where it lies, and how much room is left."""

import os
from collections.abc import Iterator
from pathlib import Path
from shlex import quote
from typing import NamedTuple

from plotindex.errors import CatalogError, LockTimeoutError, SettingsError
from plotindex.ops.doctor.context import Subject
from plotindex.ops.doctor.findings import Finding, bad, ok, size, split, warn
from plotindex.storage import KEPT_WAL_BYTES, MAX_WAL_BYTES, SCHEMA, SqliteDatabase
from plotindex.system import LOCAL_FS_TYPES, NETWORK_FS_TYPES, Mount, escape, find_mount, printable

MEGABYTE = 1 << 20
LEAST_INODES, FEW_INODES = 100, 10_000


def check_database(subject: Subject) -> Iterator[Finding]:
    """Whether the catalogue opens, is this root's, of this schema, sound, and in WAL mode."""
    database = subject.catalog.database
    shown = printable(database.shown)
    if database.file and not database.file.exists():
        if not database.file.parent.exists() and subject.settings.database:
            yield bad("database", f"The folder of {shown} does not exist", "create it, or name another --database")
        else:
            remedy = "`plotindex watch`, `run` or `rebuild` makes it"
            yield warn("database", f"There is no catalogue at {shown} yet, so every answer comes from a scan", remedy)
        return
    try:
        subject.catalog.require_root(str(subject.settings.root))
        sessions, plots = subject.catalog.counts()
    except CatalogError as error:
        yield _unusable(error)
        return
    except SettingsError as error:
        yield bad("database", *split(str(error)))
        return
    yield ok("database", f"{shown} opens: schema {SCHEMA}, {plots} plots in {sessions} sessions")
    try:
        database.check_integrity()
    except CatalogError as error:
        yield _unusable(error)
        return
    if isinstance(database, SqliteDatabase):
        yield ok("database-integrity", "Every page of the database is sound (quick_check)")
        yield judge_journal(database.journal_mode())
    else:
        yield judge_search(has_trigrams=bool(database.describe()["has_trigrams"]))


def judge_search(*, has_trigrams: bool) -> Finding:
    """Whether a server's database finds names by an index."""
    if has_trigrams:
        return ok("search-index", "The database has an index of names by trigrams (pg_trgm)")
    remedy = (
        "install PostgreSQL's contrib package on the server, then, in the database, CREATE EXTENSION pg_trgm and "
        "CREATE INDEX name_trigram ON name USING gin (filename gin_trgm_ops)"
    )
    return warn("search-index", "The database has no pg_trgm, so a search reads every name", remedy)


def _unusable(error: CatalogError) -> Finding:
    seen, remedy = split(str(error))
    if isinstance(error, SettingsError):
        # It stays so until somebody acts.
        return bad("database", seen, remedy)
    if isinstance(error, LockTimeoutError):
        remedy = "end that program (`fuser -v` with the file's name says which)"
    return warn(
        "database", f"{seen}; until then every answer comes from a scan", remedy or "`plotindex watch` says more"
    )


def judge_journal(mode: str) -> Finding:
    """What the database's journal mode means."""
    if mode == "wal":
        return ok("journal-mode", "The database's journal mode is WAL")
    return bad(
        "journal-mode",
        f"The database's journal mode is {escape(mode)}, not WAL: readers and the indexer wait for each other",
        "start `plotindex watch`, which sets it; if it stays, the file system cannot: name a local --database",
    )


def check_database_place(subject: Subject) -> Iterator[Finding]:
    """Whether the database lies on a disk of this host's own."""
    if subject.catalog.database.file is None:
        return
    folder = subject.catalog.database.file.parent
    mount = find_mount(folder)
    if mount is None:
        yield warn("database-file-system", "could not be seen: this system has no /proc/self/mountinfo", "mount /proc")
    else:
        yield judge_database_mount(folder, mount)


def judge_database_mount(folder: Path, mount: Mount) -> Finding:
    """What it means that the database lies on that mount."""
    seen = f"The database's folder {printable(str(folder))} lies on {escape(mount.fs_type)}"
    remedy = "name a file on a local disk: --database sqlite:////var/lib/plotindex/catalog.db"
    if mount.fs_type in LOCAL_FS_TYPES:
        return ok("database-file-system", f"{seen}, a local file system")
    if mount.fs_type in NETWORK_FS_TYPES:
        seen = f"{seen}, a network file system, on which SQLite's locks and shared memory do not hold"
        return bad("database-file-system", f"{seen}: a second host damages it", remedy)
    return warn(
        "database-file-system", f"{seen}, which is not known to be local: SQLite needs shared memory there", remedy
    )


def check_log(subject: Subject) -> Iterator[Finding]:
    """Whether somebody keeps the database's log from being begun anew."""
    if subject.catalog.database.file:
        yield judge_log(subject.log_bytes, printable(subject.catalog.database.shown))


def judge_log(length: int, database: str) -> Finding:
    """What the length of the write-ahead log means."""
    if length <= KEPT_WAL_BYTES:
        return ok("database-log", f"The database's log (WAL) has {size(length)}")
    seen = f"The database's log (WAL) has {size(length)}: a program reads in one transaction without end"
    remedy = f"`fuser -v {quote(database)}` says who has it open: end what is not plotindex, then restart the server"
    if length > MAX_WAL_BYTES:
        return bad("database-log", f"{seen}, and nothing more is indexed", remedy)
    return warn("database-log", f"{seen}; at {size(MAX_WAL_BYTES)} nothing more is indexed", remedy)


class Room(NamedTuple):
    """What is free on one file system, and what plotindex may still need there."""

    what: str
    folder: str
    free: int
    """In bytes, for those who are not root."""
    needed: int
    inodes: int | None
    """How many are free; None where the file system makes them as they are needed."""


def check_disks(subject: Subject) -> Iterator[Finding]:
    """Whether there is room for the database, written once more, its log, and thumbnails."""
    database = subject.catalog.database.file
    state = _existing(subject.settings.state_folder)
    needs = {"thumbnails": (state, _thumbnails_to_come(subject))}
    if database:
        place = _existing(database.parent)
        stored = database.stat().st_size if database.exists() else 0
        needs = {"database": (place, stored + KEPT_WAL_BYTES), **needs}
        if place.stat().st_dev == state.stat().st_dev:
            needs = {"database and thumbnails": (place, sum(needed for _, needed in needs.values()))}
    for what, (folder, needed) in needs.items():
        room = os.statvfs(folder)
        inodes = room.f_favail if room.f_files else None
        yield from judge_room(Room(what, printable(str(folder)), room.f_bavail * room.f_frsize, needed, inodes))


def _thumbnails_to_come(subject: Subject) -> int:
    """In bytes, what `thumbnails_mb` lets come beside what is there."""
    folder = subject.settings.thumbnails_folder
    kept = 0
    if folder.is_dir():
        with os.scandir(folder) as entries:
            kept = sum(entry.stat(follow_symlinks=False).st_blocks * 512 for entry in entries)
    return max(0, subject.settings.thumbnails_mb * MEGABYTE - kept)


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(place for place in (folder, *folder.parents) if place.exists())


def judge_room(room: Room) -> Iterator[Finding]:
    """What it means for what lies there."""
    seen = f"{size(room.free)} are free for {room.what} at {room.folder}, which may still take {size(room.needed)}"
    remedy = "make room there, or lower thumbnails_mb" if "thumbnails" in room.what else "make room there"
    if "database" in room.what and room.free < KEPT_WAL_BYTES:
        yield bad("disk-space", f"{seen}: what is drawn is soon not indexed any more", remedy)
    elif room.free < room.needed:
        yield warn("disk-space", seen, remedy)
    else:
        yield ok("disk-space", seen)
    if room.inodes is not None and room.inodes < FEW_INODES:
        seen = f"{room.inodes} inodes are free for {room.what} at {room.folder}"
        remedy = "delete many small files there, or use another disk"
        least = room.inodes < LEAST_INODES and "database" in room.what
        yield bad("disk-inodes", seen, remedy) if least else warn("disk-inodes", seen, remedy)
    else:
        count = "as many inodes as are needed" if room.inodes is None else f"{room.inodes} inodes"
        yield ok("disk-inodes", f"{count} are free for {room.what} at {room.folder}")
