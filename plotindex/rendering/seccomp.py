"""A seccomp(2) filter that allows only the system calls of a process that computes."""

import ctypes
import errno
import os
from struct import pack

PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
RETURN_ALLOW, RETURN_ERROR = 0x7FFF0000, 0x00050000
LOAD, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06
"""Instructions of classic BPF (<linux/filter.h>)."""
NUMBER_OFFSET, ARCHITECTURE_OFFSET = 0, 4

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""Machine -> AUDIT_ARCH value (<linux/audit.h>)."""
ALLOWED = {
    "read": (0, 63),
    "write": (1, 64),
    "close": (3, 57),
    "fstat": (5, 80),
    "lseek": (8, 62),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "munmap": (11, 215),
    "brk": (12, 214),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "pread64": (17, 67),
    "readv": (19, 65),
    "writev": (20, 66),
    "sched_yield": (24, 124),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "nanosleep": (35, 101),
    "getpid": (39, 172),
    "exit": (60, 93),
    "fcntl": (72, 25),
    "ftruncate": (77, 46),
    "sigaltstack": (131, 132),
    "gettid": (186, 178),
    "futex": (202, 98),
    "sched_getaffinity": (204, 123),
    "clock_gettime": (228, 113),
    "clock_nanosleep": (230, 115),
    "exit_group": (231, 94),
    "newfstatat": (262, 79),
    "preadv": (295, 69),
    "getrandom": (318, 278),
    "preadv2": (327, 286),
    "rseq": (334, 293),
}
"""System call -> its number on each of ARCHITECTURES."""


def install_filter() -> None:
    """Let every system call that is not in ALLOWED fail with EPERM. Does nothing on other architectures.

    Raises:
        OSError: the kernel has no seccomp filters.
    """
    machine = os.uname().machine
    if machine not in ARCHITECTURES:
        return
    numbers = [by_machine[list(ARCHITECTURES).index(machine)] for by_machine in ALLOWED.values()]
    refuse = _instruction(RETURN, RETURN_ERROR | errno.EPERM)
    program = [
        _instruction(LOAD, ARCHITECTURE_OFFSET),
        # A 32-bit system call has another meaning for the same number.
        _instruction(JUMP_EQUAL, ARCHITECTURES[machine], skip=1),
        refuse,
        _instruction(LOAD, NUMBER_OFFSET),
        *(_instruction(JUMP_EQUAL, number, skip=len(numbers) - index) for index, number in enumerate(numbers)),
        refuse,
        _instruction(RETURN, RETURN_ALLOW),
    ]
    instructions = ctypes.create_string_buffer(b"".join(program))
    # struct sock_fprog: length, padding, address of the instructions.
    argument = pack("HxxxxxxP", len(program), ctypes.addressof(instructions))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, argument, 0, 0) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _instruction(code: int, value: int, skip: int = 0) -> bytes:
    return pack("HBBI", code, skip, 0, value)
