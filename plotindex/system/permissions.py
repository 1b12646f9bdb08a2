"""Users and groups of state files: files made in a folder of mode 2770 or 2750 get its group's access."""

import grp
import os
import pwd
import stat
from pathlib import Path

from plotindex.errors import UnusableDatabaseError
from plotindex.system.text import printable

SHARED_MODE = stat.S_ISGID | stat.S_IRGRP | stat.S_IXGRP


def shared_mode_bits(folder: os.stat_result) -> int:
    """The group's mode bits of a shared folder with this status, or 0 of any other.

    A folder is shared when it is setgid, readable by its group and closed to others. The setgid bit alone does not
    count: a folder inherits it from its parent.
    """
    mode = stat.S_IMODE(folder.st_mode)
    return mode & stat.S_IRWXG if mode & (SHARED_MODE | stat.S_IRWXO) == SHARED_MODE else 0


def permission_denied_error(path: Path) -> UnusableDatabaseError:
    """The error for a state file that this user may not access; names a user who may."""
    whose = "its owner"
    for folder in path.parents:
        # The nearest folder that can be read: the owner of a closed path is hidden.
        try:
            status = folder.stat()
        except OSError:
            continue
        whose = (
            f"a user of the group {group_name(status.st_gid)}" if shared_mode_bits(status) else user_name(status.st_uid)
        )
        break
    return UnusableDatabaseError(
        f"Cannot access {printable(str(path))} as this user (Permission denied): run this with sudo, or as {whose}."
    )


def group_name(number: int) -> str:
    """The name of a group id, or the number."""
    try:
        return printable(grp.getgrgid(number).gr_name)
    except KeyError:
        return str(number)


def user_name(number: int) -> str:
    """The name of a user id, or "user" and the number."""
    try:
        return printable(pwd.getpwuid(number).pw_name)
    except KeyError:
        return f"user {number}"
