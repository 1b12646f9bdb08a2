"""Confine this process for good: no privileges, and no files, TCP, abstract sockets or signals to other processes.

Files are denied by chroot or Landlock, the rest as far as the kernel's Landlock supports it.
"""

import ctypes
import os
import resource
import signal
import tempfile
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path
from struct import pack

from plotindex.rendering.seccomp import install_filter

NOBODY = 65534
MAX_ADDRESS_SPACE = 1 << 30
"""Bytes: enough to decode an image of 64 megapixels."""
MAX_DESCRIPTORS = 16
NICE = 10

# <linux/prctl.h>, <linux/sched.h>, <linux/capability.h>
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 1, 4, 38
CLONE_NEWUSER = 0x10000000
CAPABILITY_VERSION = 0x20080522

# <linux/landlock.h>; these system calls have the same numbers on every architecture.
LANDLOCK_CREATE_RULESET, LANDLOCK_RESTRICT_SELF = 444, 446
LANDLOCK_VERSION = 1
FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 5: 16}
"""Landlock version -> number of file access rights that it supports (lowest bits)."""
NET_RIGHTS, NET_VERSION = 0b11, 4
"""Bind and connect TCP."""
SCOPES, SCOPES_VERSION = 0b11, 6
"""Abstract sockets of, and signals to, processes outside."""


class ConfinementError(Exception):
    """The system supports no confinement method."""


def confine(max_file_bytes: int, methods: Mapping[str, Callable[[], None]] | None = None) -> list[str]:
    """Confine this process by every method that the system supports; return their names.

    Load all modules first: no file can be opened afterwards. `max_file_bytes` limits each file that it writes.

    Raises:
        ConfinementError: the system supports none.
    """
    _lower_priority()
    _limit_resources(max_file_bytes)
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    applied, failed = [], []
    for name, apply in (METHODS if methods is None else methods).items():
        try:
            apply()
            applied.append(name)
        except OSError as error:
            failed.append(f"{name}: {error.strerror}")
    if not applied:
        raise ConfinementError("; ".join(failed))
    if os.geteuid() == 0:
        # If the user cannot be changed, the process continues as root without capabilities.
        with suppress(OSError):
            _become_nobody()
    _drop_capabilities()
    # Last: changing the user resets this flag (prctl(2)).
    _prctl(PR_SET_DUMPABLE, 0)
    return applied


def confine_job(cpu_seconds: float, parent: int, keep: Collection[int] = ()) -> None:
    """Confine the child that runs one job: CPU time, no processes, only the descriptors in `keep`, few system calls.

    It is killed when `parent` ends.

    Raises:
        ProcessLookupError: the parent has ended already.
    """
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise ProcessLookupError
    limit = int(cpu_seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 1))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    # Including the socket, which receives other plots.
    first = 0
    for fd in [*sorted(keep), MAX_DESCRIPTORS]:
        os.closerange(first, fd)
        first = fd + 1
    # Without seccomp in the kernel, the methods of `confine` still hold.
    with suppress(OSError):
        install_filter()


def _lower_priority() -> None:
    # When memory runs out, the kernel kills this process first.
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")
    os.nice(NICE)


def _limit_resources(max_file_bytes: int) -> None:
    for kind, limit in (
        (resource.RLIMIT_AS, MAX_ADDRESS_SPACE),
        (resource.RLIMIT_FSIZE, max_file_bytes),
        (resource.RLIMIT_NOFILE, MAX_DESCRIPTORS),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        lower = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(kind, (lower, lower))


def enter_empty_chroot() -> None:
    """Change the root directory to a deleted, empty folder: as root becoming nobody, else in a user namespace.

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
        # A new user namespace grants all capabilities, and with them a process can leave a chroot.
        _drop_capabilities()


def apply_landlock() -> None:
    """Deny everything that this kernel's Landlock supports (landlock(7)).

    Raises:
        OSError: the kernel has no Landlock.
    """
    version = _check(_libc.syscall(LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), LANDLOCK_VERSION))
    bits = max(bits for first_version, bits in FILE_RIGHTS.items() if first_version <= version)
    attributes = pack("Q", (1 << bits) - 1)
    if version >= NET_VERSION:
        attributes += pack("Q", NET_RIGHTS)
    if version >= SCOPES_VERSION:
        attributes += pack("Q", SCOPES)
    fd = _check(_libc.syscall(LANDLOCK_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0))
    try:
        _check(_libc.syscall(LANDLOCK_RESTRICT_SELF, fd, 0))
    finally:
        os.close(fd)


METHODS: dict[str, Callable[[], None]] = {"chroot": enter_empty_chroot, "Landlock": apply_landlock}
"""One is required; chroot alone denies only files. In this order: Landlock forbids creating the folder."""

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
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
