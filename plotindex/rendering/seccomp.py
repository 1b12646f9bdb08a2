"""A seccomp(2) filter that allows only the system calls of a process that computes."""

import ctypes
import errno
import os
from struct import pack

PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
RETURN_ALLOW, RETURN_ERROR = 0x7FFF0000, 0x00050000
INSTRUCTION_BYTES = 8
LOAD, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06
"""Instructions of classic BPF (<linux/filter.h>)."""
NUMBER_OFFSET, ARCHITECTURE_OFFSET = 0, 4

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""Machine -> AUDIT_ARCH value (<linux/audit.h>)."""
ALLOWED = {
    "write": (1, 64),
    "fstat": (5, 80),
    "mmap": (9, 222),
    "munmap": (11, 215),
    "brk": (12, 214),
    "mremap": (25, 216),
    "futex": (202, 98),
    "clock_gettime": (228, 113),
    "exit_group": (231, 94),
    "newfstatat": (262, 79),
    "preadv": (295, 69),
    "preadv2": (327, 286),
}
"""System call -> its number on each of ARCHITECTURES."""


def install_filter() -> None:
    """Let every system call that is not in ALLOWED fail with EPERM. Does nothing on other architectures.

    Raises:
        OSError: the kernel has no seccomp filters.
    """
    if _PROGRAM is None:
        return
    # struct sock_fprog: length, padding, address of the instructions.
    argument = pack("HxxxxxxP", len(_PROGRAM) // INSTRUCTION_BYTES, ctypes.addressof(_PROGRAM))
    if _libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, argument, 0, 0) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _filter_program() -> "ctypes.Array[ctypes.c_char] | None":
    """The filter's instructions; None on other architectures."""
    machine = os.uname().machine
    if machine not in ARCHITECTURES:
        return None
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
    content = b"".join(program)
    return ctypes.create_string_buffer(content, len(content))


def _instruction(code: int, value: int, skip: int = 0) -> bytes:
    return pack("HBBI", code, skip, 0, value)


_libc = ctypes.CDLL(None, use_errno=True)
_PROGRAM = _filter_program()
"""Made once: each job installs it."""
