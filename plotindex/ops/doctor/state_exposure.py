"""Users who can read or replace a folder's files, as findings. Imports no database: commands warn by it, too."""

import errno
import os
import stat
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from shlex import quote

from plotindex.auth import CODES_FILE, KEYS_FILE, LOGOUTS_FILE, TOKENS_FILE
from plotindex.ops.doctor.findings import Finding, bad, warn
from plotindex.ops.doctor.permissions import ANY_USER, Credentials, FolderStatus, PathStatus, exposures
from plotindex.system import group_name, printable, user_name

KEYS = (KEYS_FILE, TOKENS_FILE, CODES_FILE, LOGOUTS_FILE)
PRIVATE = frozenset({*KEYS, "catalog.db", "catalog.db-wal"})
"""Files that only plotindex may read: keys, and the names of all plots."""


def replacement_findings(folder: Path) -> Iterator[Finding]:
    """Other users who can replace a state folder or its entries, through it or its parents.

    Raises:
        OSError: this user cannot access the folder.
    """
    status = stat_folder(folder, [])
    yield from exposure_findings("state-folder", status)
    yield from group_findings(status)


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
