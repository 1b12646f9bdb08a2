"""What is wrong with a catalogue and its indexers, with the command or setting that fixes it."""

import os
import shlex
from pathlib import Path

from plotindex.config import variable_name
from plotindex.index import LockState, indexer_problem
from plotindex.storage import HEARTBEAT_SECONDS, Catalog, Header, Heartbeat, IndexerStats, grammar_of, wal_problem
from plotindex.system import has_no_inodes, printable
from plotindex.tree import Layout


def find_trouble(catalog: Catalog, beats: list[Heartbeat], lock: LockState | None) -> str | None:
    """The first problem, or None. `beats` start with this host's; `lock` is the state of the indexer's lock."""
    file = catalog.database.file
    reported = lock.problem if lock and lock.is_held else ""
    if file and lock and not lock.problem:
        # An indexer that cannot write cannot report that, either.
        lock = lock._replace(problem=_disk_trouble(file))
    trouble = (wal_problem(file) if file else None) or _indexer_trouble(beats[0] if beats else None, lock, reported)
    if not trouble and catalog.database.is_shared and not any(map(_is_leader, beats)):
        trouble = "No indexer runs the rescans: one takes over within ten seconds; if not, see the indexers' logs."
    return trouble or next(filter(None, map(_silence_elsewhere, beats[1:])), None)


FORMER_SUFFIXES = ".gif .jpeg .jpg .png .svg .webp"
"""The default of versions without the other formats; an indexer adopts the new one when it starts."""
DEFAULT_SUFFIXES = grammar_of(Layout())["suffixes"]


def grammar_trouble(header: Header, layout: Layout) -> str | None:
    """How the catalogue's project_pattern, suffixes or ignore differ from those of `layout`; None if they do not."""
    for column, value in grammar_of(layout).items():
        recorded = getattr(header, column)
        if recorded is None:
            return "The catalogue is of a version without the setting ignore: run `plotindex rebuild`."
        if (recorded, value) == (FORMER_SUFFIXES, DEFAULT_SUFFIXES):
            return "The catalogue is of a version without AVIF, PDF and TIFF: restart the indexer."
        if recorded != value:
            name = "project_pattern" if column == "pattern" else column
            # In a variable, "/" ignores nothing.
            used, given = recorded or "/", value or "/"
            fix = printable(f"{variable_name(name)}={shlex.quote(used)}")
            return f"The catalogue uses {name} '{printable(used)}', this command '{printable(given)}'. Set {fix}."
    return None


def _is_leader(beat: Heartbeat) -> bool:
    return beat.is_recent and beat.state != "stopped" and bool(IndexerStats.load(beat.measured).elected)


def _silence_elsewhere(beat: Heartbeat) -> str | None:
    if beat.is_recent or beat.state == "stopped":
        return None
    return f"The indexer on {printable(beat.host)} is silent, so hits say `unwatched`: restart it there."


def _disk_trouble(database: Path) -> str:
    try:
        disk = os.statvfs(database.parent)
    except OSError:
        return ""
    shown = printable(str(database))
    if disk.f_flag & os.ST_RDONLY:
        return f"The database {shown} cannot be written (Read-only file system): mount its disk for writing."
    if has_no_inodes(database.parent):
        return f"The disk of {shown} has no inode left (`df -i`): delete files there."
    return "" if disk.f_bavail else f"The database {shown} cannot be written (disk is full): make room there."


def _indexer_trouble(beat: Heartbeat | None, lock: LockState | None, reported: str) -> str | None:
    """`reported` is the problem that the indexer has reported itself."""
    silence = indexer_problem(beat, lock)
    if silence or beat is None:
        return silence
    if beat.state == "blocked" and lock and lock.problem:
        return lock.problem
    if beat.state in ("watching", "polling") and reported:
        return reported
    if closed := IndexerStats.load(beat.measured).closed:
        what = "1 folder is not watched" if closed == 1 else f"{closed} folders are not watched"
        return f"{what}: make the folders that `plotindex doctor` lists readable for the indexer (chmod, setfacl)."
    if beat.others_behind >= HEARTBEAT_SECONDS:
        return f"The indexer is {beat.others_behind:.0f} seconds behind in many sessions: see its log and its disk."
    return {
        "watching": None,
        "polling": None,
        "starting": "The indexer's first full scan is still running: try again when it is done.",
        "lost": "The root is missing: mount it again or, if it is empty, run `plotindex rebuild --allow-empty`.",
    }.get(beat.state, f"The indexer is {beat.state}: see its log.")
