"""Share state files with a group: files made in a folder of mode 2770 or 2750 get its group's access."""

import grp
import os
import pwd
import stat
from pathlib import Path

from plotindex.errors import UnusableDatabaseError
from plotindex.system.text import printable

SHARED_MODE = stat.S_ISGID | stat.S_IRGRP | stat.S_IXGRP


def shared_mode_bits(folder: Path) -> int:
    """The group's mode bits of a shared folder, or 0 of any other.

    A folder is shared when it is setgid, readable by its group and closed to others. The setgid bit alone does not
    count: a folder inherits it from its parent.
    """
    try:
        mode = stat.S_IMODE(folder.stat().st_mode)
    except OSError:
        return 0
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
            f"a user of the group {group_name(status.st_gid)}" if shared_mode_bits(folder) else user_name(status.st_uid)
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


def make_private_folder(folder: Path) -> None:
    """Create a folder if missing: private to its owner, or open to the group that shares its parent.

    Raises:
        OSError: the folder cannot be created.
    """
    if folder.is_dir():
        return
    bits = shared_mode_bits(folder.parent)
    folder.mkdir(mode=0o700 | bits, exist_ok=True)
    # By descriptor: the owner of the parent could have replaced the folder by a symlink.
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        # Undo the umask. Only where needed: RestrictSUIDSGID= forbids the call, and the kernel inherits setgid itself.
        if bits & ~os.fstat(fd).st_mode:
            os.fchmod(fd, 0o2700 | bits)
        _chown_to_folder_owner(fd, folder.parent)
    finally:
        os.close(fd)


def create_private(file: Path, shared: int) -> int:
    """Create a file of mode 0600, in a shared folder of mode `shared`; return a read-write descriptor.

    Raises:
        FileExistsError: the file exists.
        OSError: the file cannot be created.
    """
    fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    apply_shared_mode(fd, file, shared)
    _chown_to_folder_owner(fd, file.parent)
    return fd


def _chown_to_folder_owner(fd: int, folder: Path) -> None:
    """As root, give the file to the folder's owner: an operator's `sudo` must not lock the services out."""
    if os.geteuid() == 0 and (owner := folder.stat().st_uid) != 0:
        os.fchown(fd, owner, -1)


def apply_shared_mode(fd: int, file: Path, mode: int) -> None:
    """In a shared folder, set a new file's mode, limited to the group's bits of the folder."""
    bits = shared_mode_bits(file.parent)
    if bits:
        os.fchmod(fd, mode & (stat.S_IRWXU | bits))
