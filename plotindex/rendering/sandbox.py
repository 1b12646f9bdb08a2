"""A process gives up all that it does not need, for good: files, the network, other processes, privileges."""

import ctypes
import os
import resource
import signal
import tempfile
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path
from struct import pack

from plotindex.rendering.seccomp import forbid_others

NOBODY = 65534
MOST_MEMORY = 1 << 30
"""Of the address space, in bytes: an image of 64 megapixels is decoded in less."""
MOST_DESCRIPTORS = 16
NICE = 10


# <linux/prctl.h>, <linux/sched.h>, <linux/capability.h>
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 1, 4, 38
CLONE_NEWUSER = 0x10000000
CAPABILITY_VERSION = 0x20080522


# <linux/landlock.h>; the numbers of these system calls are the same on every architecture.
LANDLOCK_CREATE_RULESET, LANDLOCK_RESTRICT_SELF = 444, 446
LANDLOCK_VERSION = 1
FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 5: 16}
"""From which version of Landlock on, how many rights over files there are: bits from the lowest."""
NET_RIGHTS, NET_SINCE = 0b11, 4
"""To bind and connect TCP."""
SCOPES, SCOPES_SINCE = 0b11, 6
"""Abstract sockets and signals of processes outside."""


class ConfinementError(Exception):
    """The system offers no way to shut a process in."""


def confine(most_bytes: int, ways: Mapping[str, Callable[[], None]] | None = None) -> list[str]:
    """Shut this process in, by every way that the system offers; `most_bytes` bounds each file that it writes.

    Returns the names of the ways. What it is to use must be loaded before: no file can be opened any more.

    Raises:
        ConfinementError: there is none.
    """
    _kill_me_first()
    _limit(most_bytes)
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    done, refused = [], []
    for name, way in (METHODS if ways is None else ways).items():
        try:
            way()
            done.append(name)
        except OSError as error:
            refused.append(f"{name}: {error.strerror}")
    if not done:
        raise ConfinementError("; ".join(refused))
    if os.geteuid() == 0:
        # Where it may not be nobody it goes on as a root without privileges.
        with suppress(OSError):
            _become_nobody()
    _drop_capabilities()
    # Not before: a change of the user sets it back (prctl(2)).
    _prctl(PR_SET_DUMPABLE, 0)
    return done


def confine_job(seconds: float, parent: int, keep: Collection[int] = ()) -> None:
    """In the child that does one job: so much CPU time, no other process, an end with `parent`, and no other calls.

    Of all descriptors it has those that it is to `keep`.

    Raises:
        ProcessLookupError: the parent is gone already.
    """
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise ProcessLookupError
    whole = int(seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (whole, whole + 1))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    # Also the socket, through which it would be handed others' plots.
    for fd in set(range(MOST_DESCRIPTORS)).difference(keep):
        with suppress(OSError):
            os.close(fd)
    # The other ways hold where the kernel has no such filter.
    with suppress(OSError):
        forbid_others()


def _kill_me_first() -> None:
    # When the machine has no memory left, this process is what it can best do without.
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")
    os.nice(NICE)


def _limit(most_bytes: int) -> None:
    for what, most in (
        (resource.RLIMIT_AS, MOST_MEMORY),
        (resource.RLIMIT_FSIZE, most_bytes),
        (resource.RLIMIT_NOFILE, MOST_DESCRIPTORS),
        (resource.RLIMIT_CORE, 0),
    ):
        _, highest = resource.getrlimit(what)
        least = most if highest == resource.RLIM_INFINITY else min(most, highest)
        resource.setrlimit(what, (least, least))


def enter_empty_folder() -> None:
    """Make an empty directory, which nobody can fill any more, the whole file system (chroot), as nobody.

    Who is not root is so in a user namespace of his own.

    Raises:
        OSError: the system refuses.
    """
    folder = Path(tempfile.mkdtemp(prefix="plotindex-"))
    try:
        os.chdir(folder)
    finally:
        folder.rmdir()
    is_root = os.geteuid() == 0
    if not is_root:
        _check(_libc.unshare(CLONE_NEWUSER))
    os.chroot(".")
    if is_root:
        _become_nobody()
    else:
        # The namespace gave all of them, and with them a chroot can be left.
        _drop_capabilities()


def forbid_all() -> None:
    """Landlock with no rule: nothing that it knows of is allowed (landlock(7)).

    Raises:
        OSError: the kernel has none.
    """
    version = _check(_libc.syscall(LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), LANDLOCK_VERSION))
    bits = max(bits for since, bits in FILE_RIGHTS.items() if since <= version)
    attributes = pack("Q", (1 << bits) - 1)
    if version >= NET_SINCE:
        attributes += pack("Q", NET_RIGHTS)
    if version >= SCOPES_SINCE:
        attributes += pack("Q", SCOPES)
    fd = _check(_libc.syscall(LANDLOCK_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0))
    try:
        _check(_libc.syscall(LANDLOCK_RESTRICT_SELF, fd, 0))
    finally:
        os.close(fd)


METHODS: dict[str, Callable[[], None]] = {"chroot": enter_empty_folder, "Landlock": forbid_all}
"""Each is enough; the first must come before the second, under which no directory can be made."""

_libc = ctypes.CDLL(None, use_errno=True)


def _become_nobody() -> None:
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


def _drop_capabilities() -> None:
    _check(_libc.capset(pack("Ii", CAPABILITY_VERSION, 0), bytes(24)))


def _prctl(option: int, value: int) -> None:
    _check(_libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0))


def _check(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
