"""Access that owner, group and mode grant: path_resolution(7) and unlink(2). Pure: no I/O.

Access control lists and privileges are not considered, except root's.
"""

import os
import stat
from collections.abc import Iterator
from itertools import pairwise
from shlex import quote
from typing import NamedTuple

READ, WRITE, ENTER = 4, 2, 1
CHANGE = WRITE | ENTER
"""Create, rename and delete entries of a folder."""


class Credentials(NamedTuple):
    """A user and its groups (credentials(7)); without a user, any user who owns nothing."""

    user: int | None
    groups: frozenset[int] = frozenset()


ANY_USER = Credentials(None)


class PathStatus(NamedTuple):
    """A path, escaped for output, and its status."""

    path: str
    status: os.stat_result


class FolderStatus(NamedTuple):
    """A folder with its parents, and its files."""

    chain: list[PathStatus]
    """From `/` to the folder itself."""
    files: list[PathStatus]
    inaccessible: "tuple[tuple[str, str], ...]" = ()
    """Names of entries without a status, each with the reason."""


class Exposure(NamedTuple):
    """What a user can do, as the predicate of a sentence, and the command that prevents it."""

    what: str
    remedy: str


def permitted(status: os.stat_result, credentials: Credentials) -> int:
    """READ, WRITE and ENTER, as the kernel grants them: by owner, else by group, else as other."""
    if credentials.user == 0:
        return READ | WRITE | ENTER
    if status.st_uid == credentials.user:
        return status.st_mode >> 6 & 7
    return (status.st_mode >> 3 if status.st_gid in credentials.groups else status.st_mode) & 7


def may_replace(folder: os.stat_result, entry: os.stat_result, credentials: Credentials) -> bool:
    """Whether a user can rename or delete an entry of a folder, and create another in its place."""
    if permitted(folder, credentials) & CHANGE != CHANGE:
        return False
    is_sticky = folder.st_mode & stat.S_ISVTX
    return not is_sticky or credentials.user == 0 or credentials.user in (folder.st_uid, entry.st_uid)


def exposures(folder: FolderStatus, credentials: Credentials, secrets: frozenset[str]) -> Iterator[Exposure]:
    """What a user can do to a folder and its files. Only plotindex may read the files named in `secrets`."""
    # Ownership of an entry is reported when the entry itself is checked.
    not_owner = Credentials(None, credentials.groups)
    for above, below in pairwise(folder.chain):
        if above.status.st_uid == credentials.user:
            yield Exposure(f"owns {above.path}, and so can replace {below.path}", _chown(above))
        elif may_replace(above.status, below.status, not_owner):
            yield Exposure(f"can replace {below.path}", f"`chmod go-w {quote(above.path)}`")
        if not permitted(above.status, credentials) & ENTER:
            return
    own = folder.chain[-1]
    bits = permitted(own.status, credentials)
    if own.status.st_uid == credentials.user:
        yield Exposure(f"owns {own.path}, and so can replace its files", _chown(own))
    elif bits & CHANGE == CHANGE:
        yield Exposure(f"can create and replace files in {own.path}", _chmod(own, credentials))
    if not bits & ENTER:
        return
    for file in folder.files:
        bits = permitted(file.status, credentials)
        if file.path.rpartition("/")[2] in secrets and bits & READ:
            yield Exposure(f"can read {file.path}", _chmod(file, credentials))
        elif bits & WRITE:
            yield Exposure(f"can write {file.path}", _chmod(file, credentials))


def _chown(place: PathStatus) -> str:
    return f"`chown` {place.path} to the user that runs plotindex, or to root"


def _chmod(place: PathStatus, credentials: Credentials) -> str:
    if place.status.st_gid in credentials.groups:
        return f"`chmod go-rwx {quote(place.path)}`, or remove that user from the group"
    return f"`chmod o-rwx {quote(place.path)}`"
