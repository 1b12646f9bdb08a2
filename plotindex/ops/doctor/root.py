"""Checks of the root: access, file systems, identity, folders and symlinks."""

import os
import stat
from collections.abc import Iterator

from plotindex.config import Polling
from plotindex.errors import CatalogError
from plotindex.ops.doctor.context import Context
from plotindex.ops.doctor.findings import Finding, bad, ok, proc_missing, quantity, warn
from plotindex.ops.doctor.tree_survey import Symlink
from plotindex.system import (
    ABSENT_ERRNOS,
    LOCAL_FS_TYPES,
    NETWORK_FS_TYPES,
    Mount,
    escape,
    mounts_below,
    printable,
)
from plotindex.tree import describe_misplaced


def check_root(context: Context) -> Iterator[Finding]:
    """Check that this user can list the root."""
    root = context.settings.root
    shown = printable(str(root))
    try:
        status = root.stat()
    except OSError as error:
        if error.errno in ABSENT_ERRNOS:
            yield bad("root", f"{shown} is missing", "mount or create it, or set another --root")
        else:
            yield bad(
                "root",
                f"{shown} cannot be accessed ({error.strerror})",
                "make its parent folders searchable for this user (chmod, setfacl)",
            )
        return
    if not stat.S_ISDIR(status.st_mode):
        yield bad("root", f"{shown} is not a directory", "set --root to the directory that holds the sessions")
        return
    try:
        os.scandir(root).close()
    except OSError as error:
        remedy = f"make {shown} readable for this user (chmod, setfacl)"
        yield bad("root", f"{shown} cannot be listed ({error.strerror})", remedy)
    else:
        yield ok("root", f"{shown} exists and is readable")


def check_plots(context: Context) -> Iterator[Finding]:
    """Check that images lie where the settings expect plots, as long as the catalogue has none."""
    plots = context.catalog.counts()[1] if context.has_database else 0
    seen, _, remedy = ("" if plots else describe_misplaced(context.tree)).removesuffix(".").rpartition("; ")
    yield warn("plots", seen, remedy) if seen else ok("plots", f"The catalogue has {quantity(plots, 'plot')}")


def check_mounts(context: Context) -> Iterator[Finding]:
    """Check the file systems of the root: a network file system reports no changes made by other hosts."""
    # For a missing root, the file system of its parent would be reported.
    context.tree.root.stat()
    mounts = mounts_below(context.tree.root)
    if not mounts:
        yield proc_missing("root-file-system", "/proc/self/mountinfo")
    for path, mount in mounts.items():
        if not path or context.tree.layout.parse_scope(path) is not None:
            yield mount_finding(path, mount, Polling(context.settings.polling), context.settings.poll_seconds)


def mount_finding(path: str, mount: Mount, polling: Polling, seconds: int) -> Finding:
    """The finding for a mount at `path`, relative to the root."""
    seen = f"{printable(path) or 'The root'} is on {escape(mount.fs_type)} ({printable(mount.source)})"
    if mount.fs_type in LOCAL_FS_TYPES:
        return ok("root-file-system", f"{seen}, a local file system")
    kind = (
        "a network file system" if mount.fs_type in NETWORK_FS_TYPES else "a file system that is not known to be local"
    )
    if polling is Polling.NEVER:
        return bad(
            "root-file-system",
            f"{seen}, {kind}, which reports no changes made by other hosts, and polling is never",
            "polling = auto in plotindex.toml, or PLOTINDEX_POLLING=auto",
        )
    return warn(
        "root-file-system",
        f"{seen}, {kind}: changes made by other hosts are found by polling, after {seconds} seconds or more",
        "if that is too late, lower poll_seconds, raise rescan_share, or run plotindex on the host of the disk",
    )


def check_identity(context: Context) -> Iterator[Finding]:
    """Check that the root is the one the catalogue was built from, and not a lost mount."""
    try:
        recorded = context.catalog.header().identity
        sessions = context.catalog.sessions()
    except CatalogError:
        yield ok("root-identity", "No catalogue records the root's file system yet")
        return
    try:
        now = context.tree.identity()
    except OSError as error:
        if error.errno not in ABSENT_ERRNOS:
            raise
        now = "missing"
    if recorded is None or not sessions:
        yield ok("root-identity", f"The root is {escape(now)} (file system and inode); the catalogue has no plots yet")
    elif now == recorded:
        yield ok("root-identity", f"The root is {escape(now)} (file system and inode), as recorded in the catalogue")
    elif any(map(context.tree.has_session, sessions)):
        yield warn(
            "root-identity",
            f"The root is {escape(now)}, was {escape(recorded)}; accepted, since it has sessions of the catalogue",
            "if it is the wrong one, stop the indexer and mount the right one; otherwise do nothing",
        )
    else:
        yield bad(
            "root-identity",
            f"The root is not the recorded one: it is {escape(now)}, was {escape(recorded)}, and has none of the "
            f"catalogue's {len(sessions)} sessions. Nothing is deleted from the catalogue",
            "mount it again or, if its plots are really gone, run `plotindex rebuild --allow-empty`",
        )


def check_folders(context: Context) -> Iterator[Finding]:
    """Check that every folder that can hold plots is readable."""
    unreadable = context.survey.unreadable
    if not unreadable:
        yield ok("root-folders", f"All {quantity(context.survey.folders, 'folder')} that can hold plots can be read")
        return
    path, error = min(unreadable.items())
    yield warn(
        "root-folders",
        f"{quantity(len(unreadable), 'folder')} cannot be read, so their plots are neither indexed nor served; "
        f"the first is {printable(path)} ({error.strerror})",
        "make them readable for the user that runs plotindex (chmod, setfacl)",
    )


def check_ignored(context: Context) -> Iterator[Finding]:
    """Count what the setting `ignore` leaves out."""
    survey = context.survey
    seen = "No folder or plot is ignored"
    if survey.ignored:
        count, first = survey.ignored, printable(survey.first_ignored)
        seen = f"The setting ignore leaves out {count} folders or plots, such as {first}"
    yield ok("ignored", seen)


def check_symlinks(context: Context) -> Iterator[Finding]:
    """Check for symlinks, which plotindex does not follow."""
    survey = context.survey
    if not survey.symlink_count:
        yield ok("symlinks", "No session, project or plot is a symlink")
    yield from map(_symlink_finding, survey.symlinks)
    if more := survey.symlink_count - len(survey.symlinks):
        yield bad("symlinks", f"There are {quantity(more, 'more symlink')}", "fix these first")


def _symlink_finding(link: Symlink) -> Finding:
    remedy = "if it is a plot, copy it there; otherwise delete the symlink"
    if link.kind != "plot":
        remedy = "if it holds plots, mount it there (mount --bind) or move it; otherwise delete the symlink"
    seen = f"{printable(link.path)} is a {link.kind} behind a symlink to {printable(link.target)}"
    return bad("symlinks", f"{seen}; symlinks are not followed, so it is not served", remedy)
