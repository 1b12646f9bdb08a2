"""What a file's owner, group and mode let somebody do: path_resolution(7) and unlink(2), worked out. Pure: no I/O.

Access control lists and privileges are no part of it, but for root's.
"""

import os
import stat
from collections.abc import Iterator
from itertools import pairwise
from shlex import quote
from typing import NamedTuple

READ, WRITE, ENTER = 4, 2, 1
CHANGE = WRITE | ENTER
"""To make, rename and delete what is in a folder."""


class Who(NamedTuple):
    """Somebody, by user and groups; without a user anybody, who owns nothing."""

    user: int | None
    groups: frozenset[int] = frozenset()


ANYBODY = Who(None)


class ShownPath(NamedTuple):
    """A path as it is shown, and its status."""

    path: str
    status: os.stat_result


class Guarded(NamedTuple):
    """A folder, with the way that leads to it from the root of the file system, and what is in it."""

    way: list[ShownPath]
    """The last one is the folder itself."""
    files: list[ShownPath]
    unseen: "tuple[tuple[str, str], ...]" = ()
    """Names of what is in it, each with the reason why its status cannot be had."""


class Harm(NamedTuple):
    """What somebody can do there, to be read after a name, and the command that ends it."""

    what: str
    remedy: str


def permitted(status: os.stat_result, who: Who) -> int:
    """READ, WRITE and ENTER, as the kernel grants them: to the owner, else the group, else the others."""
    if who.user == 0:
        return READ | WRITE | ENTER
    if status.st_uid == who.user:
        return status.st_mode >> 6 & 7
    return (status.st_mode >> 3 if status.st_gid in who.groups else status.st_mode) & 7


def may_replace(folder: os.stat_result, entry: os.stat_result, who: Who) -> bool:
    """Whether somebody can rename or delete an entry of a folder, and put another in its place."""
    if permitted(folder, who) & CHANGE != CHANGE:
        return False
    is_sticky = folder.st_mode & stat.S_ISVTX
    return not is_sticky or who.user == 0 or who.user in (folder.st_uid, entry.st_uid)


def harms(guarded: Guarded, who: Who, secrets: frozenset[str]) -> Iterator[Harm]:
    """What somebody can do to a folder and what is in it. Nobody but plotindex is to read its `secrets`."""
    # What one can do to an entry by owning it is said where it is its turn to be looked at.
    nobody = Who(None, who.groups)
    for above, below in pairwise(guarded.way):
        if above.status.st_uid == who.user:
            yield Harm(f"owns {above.path}, and so can put another folder in place of {below.path}", _own(above))
        elif may_replace(above.status, below.status, nobody):
            remedy = f"`chmod go-w {quote(above.path)}`"
            yield Harm(f"can put another folder in place of {below.path}", remedy)
        if not permitted(above.status, who) & ENTER:
            return
    folder = guarded.way[-1]
    bits = permitted(folder.status, who)
    if folder.status.st_uid == who.user:
        yield Harm(f"owns {folder.path}, and so can replace what is in it", _own(folder))
    elif bits & CHANGE == CHANGE:
        yield Harm(f"can put other files into {folder.path}", _private(folder, who))
    if not bits & ENTER:
        return
    for file in guarded.files:
        bits = permitted(file.status, who)
        if file.path.rpartition("/")[2] in secrets and bits & READ:
            yield Harm(f"can read {file.path}", _private(file, who))
        elif bits & WRITE:
            yield Harm(f"can write {file.path}", _private(file, who))


def _own(place: ShownPath) -> str:
    return f"`chown` {place.path} to the user that runs plotindex, or to root"


def _private(place: ShownPath, who: Who) -> str:
    if place.status.st_gid in who.groups:
        return f"`chmod go-rwx {quote(place.path)}`, or take that user out of the group"
    return f"`chmod o-rwx {quote(place.path)}`"
