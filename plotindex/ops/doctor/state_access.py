"""The state folder, with tokens and keys: who reads these can forge cookies, who writes there lets himself in."""

import errno
import os
import pwd
import stat
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from shlex import quote

from plotindex.auth import CODES_FILE, KEYS_FILE, LOGOUTS_FILE, TOKENS_FILE
from plotindex.ops.doctor.context import Subject
from plotindex.ops.doctor.findings import Finding, bad, ok, warn
from plotindex.ops.doctor.permissions import ANYBODY, READ, Guarded, ShownPath, Who, harms, permitted
from plotindex.system import group_name, printable, user_name

KEYS = (KEYS_FILE, TOKENS_FILE, CODES_FILE, LOGOUTS_FILE)
PRIVATE = frozenset({*KEYS, "catalog.db", "catalog.db-wal"})
"""What nobody but plotindex reads: the keys, and the names of everybody's plots."""
ACCESS_LIST = "system.posix_acl_access"


def check_user(subject: Subject) -> Iterator[Finding]:
    """Whether this is the user whose limits and permissions count."""
    mine, theirs = user_name(os.geteuid()), user_name(subject.user)
    # sudo(8) takes a number after a mark.
    name = quote(theirs if not theirs.startswith("user ") else f"#{subject.user}")
    if os.geteuid() == subject.user:
        yield ok("user", f"This is {mine}, who runs plotindex here")
        return
    # What counts may be refused to that user and granted to this one, or the other way round.
    seen = f"This is {mine}; plotindex runs here as {theirs}, so what is said of reading counts for another user"
    yield warn("user", seen, f"`sudo -u {name} {subject.command}`")


def check_state_place(subject: Subject) -> Iterator[Finding]:
    """Whether scripts can write where the state is: they can write everywhere below the root."""
    root = Path(os.path.realpath(subject.settings.root))
    places = {"state folder": subject.settings.state_folder}
    if subject.catalog.database.file:
        places["database"] = subject.catalog.database.file
    remedies = {"state folder": "PLOTINDEX_STATE_DIR", "database": "--database"}
    inside = [what for what, place in places.items() if Path(os.path.realpath(place)).is_relative_to(root)]
    for what in inside:
        why = {
            "state folder": "a script can replace its tokens and keys, and let itself in",
            "database": "a script can delete or forge it",
        }
        seen = f"The {what} {printable(str(places[what]))} lies below the root, where {why[what]}"
        yield bad("state-place", seen, f"name a place outside with {remedies[what]}")
    if not inside:
        yield ok("state-place", "State folder and database lie outside the root, where no script writes")


def check_state(subject: Subject) -> Iterator[Finding]:
    """Whether others can read or replace what is in the state folder, by it or by what leads to it."""
    folder = subject.settings.state_folder
    shown = printable(str(folder))
    if not folder.exists():
        above = next(place for place in folder.parents if place.exists())
        done = list(_said("state-folder", "Any user of this machine", look(above, [])))
        if not os.access(above, os.W_OK | os.X_OK):
            seen = f"The state folder {shown} is not there, and {user_name(os.geteuid())} cannot make it"
            done.append(
                bad("state-folder", seen, f"let that user write {printable(str(above))}, or set PLOTINDEX_STATE_DIR")
            )
        yield from done
        if not done:
            yield ok("state-folder", f"There is no state folder at {shown} yet; nobody else can make one there")
        return
    guarded = look(folder, sorted(_names(folder)))
    done = [*_said("state-folder", "Any user of this machine", guarded), *judge_groups(guarded), *_not_seen(guarded)]
    yield from done
    if not done:
        status = guarded.way[-1].status
        shared = (
            f", and by group {group_name(status.st_gid)}, which is meant (setgid)" if status.st_mode & 0o070 else ""
        )
        yield ok(
            "state-folder",
            f"{shown} can be read by {user_name(status.st_uid)} alone{shared}; nobody else can replace it",
        )


def judge_groups(guarded: Guarded) -> Iterator[Finding]:
    """Whether a group has access that nobody has given it: who shares a state folder marks it by setgid."""
    folder = guarded.way[-1]
    own = folder.status
    is_shared = own.st_mode & stat.S_ISGID
    for above, below in pairwise(guarded.way):
        status = above.status
        if status.st_uid not in (0, own.st_uid):
            owner = user_name(status.st_uid)
            seen = f"{above.path} belongs to {owner}, who can put another folder in place of {below.path}"
            yield warn("state-folder", seen, f"`chown root {quote(above.path)}`, or set PLOTINDEX_STATE_DIR")
        is_open = status.st_mode & 0o020 and not status.st_mode & stat.S_ISVTX
        if is_open and not _is_private(status):
            group = group_name(status.st_gid)
            seen = f"Group {group} can write {above.path}, and so put another folder in place of {below.path}"
            yield warn("state-folder", seen, f"`chmod g-w {quote(above.path)}`")
    if own.st_mode & 0o007:
        yield warn(
            "state-folder", f"{folder.path} is open to any user of this machine", f"`chmod o-rwx {quote(folder.path)}`"
        )
    if own.st_mode & 0o070 and not is_shared and not _is_private(own):
        remedy = f"`chmod g-rwx {quote(folder.path)}`; or, if indexer and server share it by that group, `chmod g+s` it"
        yield warn("state-folder", f"{folder.path} is open to group {group_name(own.st_gid)}", remedy)
    for file in guarded.files:
        status = file.status
        if file.path.rpartition("/")[2] not in KEYS:
            continue
        if not stat.S_ISREG(status.st_mode):
            yield bad("key-files", f"{file.path} is no regular file", "remove it, and `plotindex key rotate --end-all`")
        elif not is_shared and status.st_uid not in (own.st_uid, 0):
            seen = f"{file.path} belongs to {user_name(status.st_uid)}, the state folder to {user_name(own.st_uid)}"
            yield warn("key-files", seen, f"`chown {own.st_uid} {quote(file.path)}`")
        elif status.st_mode & 0o060 and own.st_mode & 0o010 and not _is_meant(status, own):
            seen = f"{file.path} is open to group {group_name(status.st_gid)}"
            yield bad("key-files", f"{seen}, who can so forge cookies", f"`chmod 600 {quote(file.path)}`")


def check_database_access(subject: Subject) -> Iterator[Finding]:
    """Whether others can read or write a database that is not in the state folder."""
    path = subject.catalog.database.file
    if path is None or path.parent == subject.settings.state_folder or not path.exists():
        return
    guarded = look(path.parent, [path.name])
    found = list(_said("database-access", "Any user of this machine", guarded))
    yield from found
    (file,) = guarded.files
    enters = all(permitted(place.status, ANYBODY) & 1 for place in guarded.way)
    if enters and permitted(file.status, ANYBODY) & READ:
        seen = f"Any user of this machine can read {file.path}, with the names of all plots"
        yield warn("database-access", seen, f"`chmod o-rwx {quote(file.path)}`")
    elif not found:
        yield ok("database-access", f"{file.path} can be read by no other user")


def check_scripts(subject: Subject) -> Iterator[Finding]:
    """Whether the users that scripts run as, to whom sessions and projects belong, can read or write the state."""
    owners = subject.survey.owners
    users = {user: groups for user, groups in owners.items() if user not in (0, subject.user)}
    folder = subject.settings.state_folder
    clean = []
    if subject.user in owners:
        yield warn(
            "scripts",
            f"Scripts run as {user_name(subject.user)}, like plotindex: they can read its keys and so forge cookies",
            "run plotindex as a user of its own: `plotindex service install`, and docs/security.md",
        )
    guarded = [look(folder, sorted(_names(folder)))] if users and folder.exists() else []
    database = subject.catalog.database.file
    if guarded and database and database.parent != folder and database.exists():
        guarded.append(look(database.parent, [database.name]))
    for user, groups in sorted(users.items() if guarded else ()):
        who = Who(user, _groups_of(user, groups))
        found = [
            harm for place in guarded for harm in _said("scripts", f"Scripts run as {user_name(user)}, who", place, who)
        ]
        # Two places may have a part of their ways in common.
        yield from dict.fromkeys(found)
        if not found:
            clean.append(user_name(user))
    if clean:
        yield ok("scripts", f"Scripts run as {', '.join(clean)}: they can neither read nor replace plotindex's state")
    elif not users and subject.user not in owners:
        whom = "belongs to root, from whom nothing is hidden" if owners else "is there yet to say whom scripts run as"
        yield ok("scripts", f"Every session {whom}" if owners else f"No session {whom}")
    elif not folder.exists():
        yield ok("scripts", "There is no state yet that a script could read")


def _not_seen(guarded: Guarded) -> Iterator[Finding]:
    """Say where more counts than modes (acl(5)), where a file lies elsewhere, and what cannot be looked at at all."""
    for name, reason in guarded.unseen:
        seen = f"{guarded.way[-1].path}/{printable(name)} cannot be seen ({reason})"
        if name in KEYS:
            yield bad("key-files", seen, "restore it from a backup (`plotindex restore`), or remove it")
        else:
            yield warn("state-folder", seen, "remove it, if it is not meant")
    for place in (*guarded.way, *guarded.files):
        with suppress(OSError):
            if ACCESS_LIST in os.listxattr(place.path):
                seen = f"{place.path} has an access control list, which is not looked at here"
                yield warn("state-folder", seen, f"`getfacl {quote(place.path)}` says who may read it")
    for file in guarded.files:
        if Path(file.path).is_symlink():
            seen = f"{file.path} is a symlink, and the way to what it leads to is not looked at here"
            yield warn("state-folder", seen, f"`namei -l {quote(file.path)}` says who can go there")


def look(folder: Path, names: list[str]) -> Guarded:
    """How a folder is guarded, by the way that leads to it without symlinks, and these of its files.

    Raises:
        OSError: this user cannot see the folder.
    """
    real = Path(os.path.realpath(folder))
    way = [ShownPath(printable(str(place)), place.stat()) for place in (*reversed(real.parents), real)]
    files, unseen = [], []
    for name in names:
        try:
            files.append(ShownPath(printable(str(real / name)), (real / name).stat()))
        except OSError as error:
            if error.errno != errno.ENOENT:
                unseen.append((name, error.strerror or "for no reason"))
    return Guarded(way, files, tuple(unseen))


def _said(check: str, subject: str, guarded: Guarded, who: Who = ANYBODY) -> Iterator[Finding]:
    for harm in harms(guarded, who, PRIVATE):
        yield bad(check, f"{subject} {harm.what}", harm.remedy)


def _names(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries]


def _groups_of(user: int, seen: set[int]) -> frozenset[int]:
    """The groups of a user; of one that this machine has no name for, those of the folders."""
    try:
        known = pwd.getpwuid(user)
    except KeyError:
        return frozenset(seen)
    return frozenset(os.getgrouplist(known.pw_name, known.pw_gid))


def _is_private(status: os.stat_result) -> bool:
    """Whether its group is its owner's alone, as far as their numbers tell, which are then the same."""
    return status.st_gid == status.st_uid


def _is_meant(file: os.stat_result, folder: os.stat_result) -> bool:
    """Whether a file's group is its owner's alone, or the one that shares the folder."""
    return _is_private(file) or bool(folder.st_mode & stat.S_ISGID and file.st_gid == folder.st_gid)
