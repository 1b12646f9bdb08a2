"""The root: whether it is there, which file systems it lies on, and what of it is not served."""

import os
import stat
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryFile

from plotindex.config import Polling
from plotindex.errors import CatalogError
from plotindex.ops.doctor.context import Subject
from plotindex.ops.doctor.findings import Finding, bad, counted, ok, warn
from plotindex.ops.doctor.tree_survey import Symlink
from plotindex.system import (
    ABSENT_ERRNOS,
    LOCAL_FS_TYPES,
    NETWORK_FS_TYPES,
    Mount,
    escape,
    find_mount,
    mounts_below,
    printable,
)

SKEW_SECONDS = 2.0
"""Clocks that differ by less do no harm: a plot counts as settled after as long."""
NS = 1_000_000_000


def check_root(subject: Subject) -> Iterator[Finding]:
    """Whether it can be listed, by this user."""
    root = subject.settings.root
    shown = printable(str(root))
    try:
        status = root.stat()
    except OSError as error:
        if error.errno not in ABSENT_ERRNOS:
            yield bad("root", f"{shown} cannot be seen ({error.strerror})", "let this user enter what leads there")
        else:
            yield bad("root", f"{shown} does not exist", "mount it or create it, or name another --root")
        return
    if not stat.S_ISDIR(status.st_mode):
        yield bad("root", f"{shown} is a file", "name the directory that holds the sessions with --root")
        return
    try:
        os.scandir(root).close()
    except OSError as error:
        yield bad(
            "root", f"{shown} cannot be listed ({error.strerror})", f"chmod or setfacl: let this user read {shown}"
        )
    else:
        yield ok("root", f"{shown} is there and can be read")


def check_mounts(subject: Subject) -> Iterator[Finding]:
    """Which file systems it lies on: what other hosts change on those of a network no event tells."""
    # Where nothing is, the file system above would be named.
    subject.tree.root.stat()
    mounts = mounts_below(subject.tree.root)
    if not mounts:
        yield warn("root-file-system", "could not be seen: this system has no /proc/self/mountinfo", "mount /proc")
    for path, mount in mounts.items():
        if not path or subject.tree.layout.parse_scope(path) is not None:
            yield judge_mount(path, mount, Polling(subject.settings.polling), subject.settings.poll_seconds)


def judge_mount(path: str, mount: Mount, polling: Polling, seconds: int) -> Finding:
    """What one mount, at that path relative to the root, means."""
    name = printable(path) or "The root"
    kind = kind_of(mount)
    seen = f"{name} lies on {escape(mount.fs_type)} ({printable(mount.source)}), {kind}"
    if mount.fs_type in LOCAL_FS_TYPES:
        return ok("root-file-system", seen)
    if polling is Polling.NEVER:
        return bad(
            "root-file-system",
            f"{seen}, where no event tells what other hosts draw, and polling is never",
            "polling = auto in plotindex.toml, or PLOTINDEX_POLLING=auto",
        )
    remedy = "lower poll_seconds or raise rescan_share if that is too late, or run plotindex where the disk is"
    found = f"what other hosts draw is found by looking round and round, each {seconds} seconds or later"
    return warn("root-file-system", f"{seen}: {found}", remedy)


def kind_of(mount: Mount) -> str:
    """In words, whether other hosts may change what lies on it."""
    if mount.fs_type in LOCAL_FS_TYPES:
        return "a local file system"
    return (
        "a network file system" if mount.fs_type in NETWORK_FS_TYPES else "a file system that is not known to be local"
    )


def check_identity(subject: Subject) -> Iterator[Finding]:
    """Whether the root is the one that the catalogue was made of: a lost mount is an empty folder, or another one."""
    try:
        recorded = subject.catalog.header().identity
        sessions = subject.catalog.sessions()
    except CatalogError:
        yield ok("root-identity", "No catalogue says yet which file system the root was on")
        return
    try:
        now = subject.tree.identity()
    except OSError as error:
        if error.errno not in ABSENT_ERRNOS:
            raise
        now = "nothing"
    if recorded is None or not sessions:
        yield ok("root-identity", f"The root is {escape(now)} (file system and inode); the catalogue has no plots yet")
    elif now == recorded:
        yield ok("root-identity", f"The root is {escape(now)} (file system and inode), as the catalogue has it")
    elif any(map(subject.tree.has_session, sessions)):
        yield warn(
            "root-identity",
            f"The root is {escape(now)}, and was {escape(recorded)}; it has sessions of the catalogue: it is believed",
            "if it is the wrong one, stop the indexer and mount the right one; if not, nothing is to be done",
        )
    else:
        yield bad(
            "root-identity",
            f"The root is lost: it is {escape(now)}, was {escape(recorded)}, and has none of the catalogue's "
            f"{len(sessions)} sessions. Nothing is deleted from the catalogue",
            "mount it again or, if its plots are really gone, run `plotindex rebuild --allow-empty`",
        )


def check_folders(subject: Subject) -> Iterator[Finding]:
    """Whether all that can hold plots can be listed."""
    unreadable = subject.survey.unreadable
    if not unreadable:
        yield ok("root-folders", f"All {counted(subject.survey.folders, 'folder')} that can hold plots can be read")
        return
    path, error = min(unreadable.items())
    yield warn(
        "root-folders",
        f"{counted(len(unreadable), 'folder')} cannot be read, so what is in there is neither indexed nor served; "
        f"the first is {printable(path)} ({error.strerror})",
        "let the user that runs plotindex read them",
    )


def check_symlinks(subject: Subject) -> Iterator[Finding]:
    """What the replaced function followed, and plotindex does not."""
    survey = subject.survey
    if not survey.linked:
        yield ok("symlinks", "No session, project or plot is a symlink")
    yield from map(_describe, survey.symlinks)
    if survey.linked > len(survey.symlinks):
        more = survey.linked - len(survey.symlinks)
        yield bad("symlinks", f"There are {more} symlinks more than are named here", "mend these first")


def _describe(link: Symlink) -> Finding:
    remedy = "if that is a plot, copy it there; if not, remove the link"
    if link.kind != "plot":
        remedy = "if those are plots, mount it there (mount --bind) or move it; if not, remove the link"
    leads = f"{printable(link.path)} is a {link.kind} by a symlink to {printable(link.target)}"
    return bad("symlinks", f"{leads}, which is not followed, so it is not served", remedy)


def check_clock(subject: Subject) -> Iterator[Finding]:
    """Whether root, state and host have one time, as far as it shows without writing below the root."""
    state = subject.settings.state_folder
    mount = find_mount(state)
    # A local one has this host's clock.
    if mount and mount.fs_type not in LOCAL_FS_TYPES and os.access(state, os.W_OK):
        yield judge_state_clock(clock_ahead(state))
    try:
        newest = subject.catalog.newest_plot()
    except CatalogError:
        newest = None
    if newest and newest.mtime_ns > time.time_ns() + SKEW_SECONDS * NS:
        yield warn(
            "clock",
            f"{printable(newest.path)} has a time in the future, {_moment(newest.mtime_ns)}, and is its name's current "
            "copy until a newer one is drawn then",
            f"touch {printable(newest.path)}, below the root",
        )
    yield judge_change(*subject.survey.newest, time.time_ns())


def judge_change(changed_ns: int, path: str, now_ns: int) -> Finding:
    """What the newest change of a folder below the root says of its clock."""
    ahead = (changed_ns - now_ns) / NS
    where = printable(path) or "the root itself"
    if ahead > SKEW_SECONDS:
        return warn(
            "clock",
            f"The clock of the root's file system is {ahead:.0f} seconds or more ahead of this host's: {where} was "
            f"changed at {_moment(changed_ns)}",
            "set both by one time server (timedatectl set-ntp true)",
        )
    return ok(
        "clock", f"Nothing below the root changed in the future; {where} did last, {max(0, -ahead):.0f} seconds ago"
    )


def judge_state_clock(ahead: float) -> Finding:
    """What so many seconds mean, by which the state folder's clock is ahead of the host's."""
    if abs(ahead) > SKEW_SECONDS:
        way = "ahead of" if ahead > 0 else "behind"
        remedy = "set both by one time server (timedatectl set-ntp true)"
        return warn("clock", f"The clock of the state folder is {abs(ahead):.0f} seconds {way} this host's", remedy)
    return ok("clock", "The clock of the state folder is this host's")


def clock_ahead(folder: Path) -> float:
    """How many seconds a folder's file system is ahead of this host, as a file without a name shows."""
    before = time.time()
    with TemporaryFile(dir=folder) as file:
        file.write(b"?")
        file.flush()
        written = os.fstat(file.fileno()).st_mtime
    if written < before:
        return written - before
    return max(0.0, written - time.time())


def _moment(nanoseconds: int) -> str:
    try:
        return datetime.fromtimestamp(nanoseconds / NS, UTC).isoformat(" ", "seconds")
    except (ValueError, OverflowError):
        return "a year that no calendar has"
