"""Access to the state folder. Its keys allow forging cookies; write access to its tokens allows logging in."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from shlex import quote

from plotindex.ops.config_checks import is_below
from plotindex.ops.doctor.context import Context
from plotindex.ops.doctor.findings import Finding, bad, ok, warn
from plotindex.ops.doctor.permissions import (
    ANY_USER,
    ENTER,
    READ,
    FolderStatus,
    permitted,
)
from plotindex.ops.doctor.state_exposure import KEYS, exposure_findings, group_findings, stat_folder
from plotindex.system import group_name, printable, user_name

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
            remedy = f"make {printable(str(above))} writable for that user (chmod, chown), or set PLOTINDEX_STATE_DIR"
            found.append(bad("state-folder", seen, remedy))
        private = f"The state folder {shown} does not exist yet; no other user can create it"
    yield from found or [ok("state-folder", private)]


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
            if path.rpartition("/")[2] in KEYS:
                yield bad("key-files", f"{path} is a symlink, which is not followed", "replace it by the file")
                continue
            yield warn("state-folder", seen, f"`namei -l {quote(path)}` shows who can reach it")
