"""State that a group shares: what is made in a folder of mode 2770 or 2750 is that group's too, whatever the umask."""

import grp
import os
import pwd
import stat
from pathlib import Path

from plotindex.errors import UnusableDatabaseError
from plotindex.system.text import printable

SHARED = stat.S_ISGID | stat.S_IRGRP | stat.S_IXGRP


def shared_bits(folder: Path) -> int:
    """What the group of a folder may do in it, as bits of a mode: nothing unless somebody has shared it.

    That is: setgid, the group may at least read, others nothing. A folder that only has the setgid bit has it from the
    one above; nobody meant anything by that.
    """
    try:
        mode = stat.S_IMODE(folder.stat().st_mode)
    except OSError:
        return 0
    return mode & stat.S_IRWXG if mode & (SHARED | stat.S_IRWXO) == SHARED else 0


def closed_to_user(path: Path) -> UnusableDatabaseError:
    """What to raise when this user may not see what is at `path`, in a folder of the state."""
    whose = "its owner"
    for folder in path.parents:
        # The nearest that can be seen: what is closed does not say whose it is.
        try:
            status = folder.stat()
        except OSError:
            continue
        whose = f"a user of the group {group_name(status.st_gid)}" if shared_bits(folder) else user_name(status.st_uid)
        break
    return UnusableDatabaseError(
        f"{printable(str(path))} is closed to this user (Permission denied): run this with sudo, or as {whose}."
    )


def group_name(number: int) -> str:
    """What this machine calls a group, or else its number."""
    try:
        return printable(grp.getgrgid(number).gr_name)
    except KeyError:
        return str(number)


def user_name(number: int) -> str:
    """What this machine calls a user, or else "user" and the number."""
    try:
        return printable(pwd.getpwuid(number).pw_name)
    except KeyError:
        return f"user {number}"


def make_folder(folder: Path) -> None:
    """Make a folder when it is not there: for its owner alone or, in one that a group shares, for that group too.

    Raises:
        OSError: it cannot be made.
    """
    if folder.is_dir():
        return
    bits = shared_bits(folder.parent)
    folder.mkdir(mode=0o700 | bits, exist_ok=True)
    # By its descriptor: whoever owns the folder above could have put a symlink there meanwhile.
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        # The umask may have taken something away. Where it has not there is no call that a service may be forbidden
        # (RestrictSUIDSGID=): the kernel hands the setgid bit down by itself.
        if bits & ~os.fstat(fd).st_mode:
            os.fchmod(fd, 0o2700 | bits)
        _hand_over(fd, folder.parent)
    finally:
        os.close(fd)


def create_private(file: Path, shared: int) -> int:
    """Make a new file and open it for reading and writing; where a group shares the folder, as `share` does.

    Raises:
        FileExistsError: it is there already.
        OSError: it cannot be made.
    """
    fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    share(fd, file, shared)
    _hand_over(fd, file.parent)
    return fd


def _hand_over(fd: int, folder: Path) -> None:
    """What root makes in somebody else's folder is his: an operator's `sudo` would lock the services out."""
    if os.geteuid() == 0 and (owner := folder.stat().st_uid) != 0:
        os.fchown(fd, owner, -1)


def share(fd: int, file: Path, mode: int) -> None:
    """Give a new file that mode where a group shares its folder, but no more than the group may do in that."""
    bits = shared_bits(file.parent)
    if bits:
        os.fchmod(fd, mode & (stat.S_IRWXU | bits))
