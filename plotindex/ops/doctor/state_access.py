"""Access to the state folder. Its keys allow forging cookies; write access to its tokens allows logging in."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from shlex import quote

from plotindex.auth import CODES_FILE, KEYS_FILE, LOGOUTS_FILE, TOKENS_FILE
from plotindex.ops.config_checks import is_below
from plotindex.ops.doctor.context import Context
from plotindex.ops.doctor.findings import Finding, bad, ok, warn
from plotindex.ops.doctor.permissions import (
    ANY_USER,
    ENTER,
    READ,
    Credentials,
    FolderStatus,
    PathStatus,
    exposures,
    permitted,
)
from plotindex.system import group_name, printable, user_name

KEYS = (KEYS_FILE, TOKENS_FILE, CODES_FILE, LOGOUTS_FILE)
PRIVATE = frozenset({*KEYS, "catalog.db", "catalog.db-wal"})
"""Files that only plotindex may read: keys, and the names of all plots."""
ACCESS_LIST = "system.posix_acl_access"


def check_state_place(context: Context) -> Iterator[Finding]:
    """Check that state folder and database are outside the root, where scripts can write."""
    places = [
        (
            "state folder",
            context.settings.state_folder,
            "replace its tokens and keys, and log in",
            "PLOTINDEX_STATE_DIR",
        ),
        ("database", context.catalog.database.file, "delete or forge it", "--database"),
    ]
    inside = [place for place in places if place[1] and is_below(place[1], context.settings.root)]
    for name, path, harm, option in inside:
        seen = f"The {name} {printable(str(path))} is below the root, where a script can {harm}"
        yield bad("state-place", seen, f"set {option} to a path outside the root")
    if not inside:
        yield ok("state-place", "State folder and database are outside the root; scripts cannot write there")


def check_state(context: Context) -> Iterator[Finding]:
    """Check that other users can neither read nor replace the state folder, its files or its parents."""
    folder = context.settings.state_folder
    shown = printable(str(folder))
    if folder.exists():
        status = stat_folder(folder)
        found = [*exposure_findings("state-folder", status), *group_findings(status), *_unchecked(status)]
        own = status.chain[-1].status
        group = f", and by group {group_name(own.st_gid)} (setgid: shared on purpose)" if own.st_mode & 0o070 else ""
        private = f"{shown} is readable only by {user_name(own.st_uid)}{group}; no other user can replace it"
    else:
        above = next(place for place in folder.parents if place.exists())
        found = list(exposure_findings("state-folder", stat_folder(above, [])))
        if not os.access(above, os.W_OK | os.X_OK):
            seen = f"The state folder {shown} does not exist, and {user_name(os.geteuid())} cannot create it"
            remedy = f"let that user write {printable(str(above))}, or set PLOTINDEX_STATE_DIR"
            found.append(bad("state-folder", seen, remedy))
        private = f"The state folder {shown} does not exist yet; no other user can create it"
    yield from found or [ok("state-folder", private)]


def group_findings(folder: FolderStatus) -> Iterator[Finding]:
    """Access of groups that nobody granted: setgid marks a state folder as shared."""
    path, own = folder.chain[-1]
    is_shared = own.st_mode & stat.S_ISGID
    for (parent, status), (child, _) in pairwise(folder.chain):
        if _is_shared_alike(status, own):
            continue
        if status.st_uid not in (0, own.st_uid):
            seen = f"{parent} belongs to {user_name(status.st_uid)}, who can replace {child}"
            yield warn("state-folder", seen, f"`chown root {quote(parent)}`, or set PLOTINDEX_STATE_DIR")
        if status.st_mode & 0o020 and not status.st_mode & stat.S_ISVTX and not _is_private(status):
            seen = f"Group {group_name(status.st_gid)} can write {parent}, and so replace {child}"
            yield warn("state-folder", seen, f"`chmod g-w {quote(parent)}`")
    if own.st_mode & 0o007:
        yield warn("state-folder", f"{path} is open to any user of this machine", f"`chmod o-rwx {quote(path)}`")
    if own.st_mode & 0o070 and not is_shared and not _is_private(own):
        remedy = f"`chmod g-rwx {quote(path)}`; or, if indexer and server share it by that group, `chmod g+s` it"
        yield warn("state-folder", f"{path} is open to group {group_name(own.st_gid)}", remedy)
    for file, status in folder.files:
        if file.rpartition("/")[2] not in KEYS:
            continue
        if not stat.S_ISREG(status.st_mode):
            remedy = "delete it, and run `plotindex key rotate --end-all`"
            yield bad("key-files", f"{file} is not a regular file", remedy)
        elif not is_shared and status.st_uid not in (own.st_uid, 0):
            seen = f"{file} belongs to {user_name(status.st_uid)}, the state folder to {user_name(own.st_uid)}"
            yield warn("key-files", seen, f"`chown {own.st_uid} {quote(file)}`")
        elif status.st_mode & 0o060 and own.st_mode & 0o010 and not _is_intended(status, own):
            seen = f"{file} is open to group {group_name(status.st_gid)}, which can forge cookies"
            yield bad("key-files", seen, f"`chmod 600 {quote(file)}`")


def check_database_access(context: Context) -> Iterator[Finding]:
    """Check that other users can neither read nor write a database outside the state folder."""
    path = context.catalog.database.file
    if path is None or path.parent == context.settings.state_folder or not path.exists():
        return
    folder = stat_folder(path.parent, [path.name])
    found = list(exposure_findings("database-access", folder))
    yield from found
    ((file, status),) = folder.files
    can_enter = all(permitted(place.status, ANY_USER) & ENTER for place in folder.chain)
    if can_enter and permitted(status, ANY_USER) & READ:
        seen = f"Any user of this machine can read {file}, which holds the names of all plots"
        yield warn("database-access", seen, f"`chmod o-rwx {quote(file)}`")
    elif not found:
        yield ok("database-access", f"{file} cannot be read by other users")


def _unchecked(folder: FolderStatus) -> Iterator[Finding]:
    """Report inaccessible files, access control lists (acl(5)) and symlinks: modes do not tell who can read them."""
    for name, reason in folder.inaccessible:
        seen = f"{folder.chain[-1].path}/{printable(name)} cannot be accessed ({reason})"
        if name in KEYS:
            yield bad("key-files", seen, "restore it from a backup (`plotindex restore`), or delete it")
        else:
            yield warn("state-folder", seen, "delete it if it is not intended")
    for path, _ in (*folder.chain, *folder.files):
        with suppress(OSError):
            if ACCESS_LIST in os.listxattr(path):
                seen = f"{path} has an access control list, which is not checked"
                yield warn("state-folder", seen, f"`getfacl {quote(path)}` shows who may read it")
    for path, _ in folder.files:
        if Path(path).is_symlink():
            seen = f"{path} is a symlink; access to the folders of its target is not checked"
            yield warn("state-folder", seen, f"`namei -l {quote(path)}` shows who can reach it")


def stat_folder(folder: Path, names: list[str] | None = None) -> FolderStatus:
    """The status of a folder, of its parents without symlinks, and of these of its files, or all.

    Raises:
        OSError: this user cannot access the folder.
    """
    real = Path(os.path.realpath(folder))
    chain = [PathStatus(printable(str(place)), place.stat()) for place in (*reversed(real.parents), real)]
    files, inaccessible = [], []
    for name in sorted(os.listdir(folder)) if names is None else names:
        try:
            files.append(PathStatus(printable(str(real / name)), (real / name).stat()))
        except OSError as error:
            if error.errno != errno.ENOENT:
                inaccessible.append((name, error.strerror or "unknown error"))
    return FolderStatus(chain, files, tuple(inaccessible))


def exposure_findings(
    check: str, folder: FolderStatus, who: str = "Any user of this machine", credentials: Credentials = ANY_USER
) -> Iterator[Finding]:
    for exposure in exposures(folder, credentials, PRIVATE):
        yield bad(check, f"{who} {exposure.what}", exposure.remedy)


def _is_private(status: os.stat_result) -> bool:
    """Whether the group is the owner's own, which by convention has the same number."""
    return status.st_gid == status.st_uid


def _is_shared_alike(parent: os.stat_result, own: os.stat_result) -> bool:
    """Whether the parent was given to the group that may write the state folder: its members gain nothing."""
    writable = stat.S_ISGID | stat.S_IWGRP
    return parent.st_gid == own.st_gid and all(place.st_mode & writable == writable for place in (parent, own))


def _is_intended(file: os.stat_result, folder: os.stat_result) -> bool:
    """Whether a file's group is the owner's own, or the group that shares the folder."""
    return _is_private(file) or bool(folder.st_mode & stat.S_ISGID and file.st_gid == folder.st_gid)
