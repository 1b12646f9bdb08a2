"""The birth time of files, by statx(2), which Python does not offer yet."""

import ctypes
import os
import struct

AT_EMPTY_PATH = 0x1000
STATX_BTIME = 0x800
BUFFER_BYTES = 256
BIRTH = struct.Struct("=qI")
"""Seconds and nanoseconds, at BIRTH_OFFSET."""
BIRTH_OFFSET = 80


def birth_ns(fd: int) -> int | None:
    """When an open file or folder was created; None where the file system or the kernel does not say."""
    try:
        statx = ctypes.CDLL(None, use_errno=True).statx
    except AttributeError:
        return None
    buffer = ctypes.create_string_buffer(BUFFER_BYTES)
    if statx(fd, b"", AT_EMPTY_PATH, STATX_BTIME, buffer):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    (mask,) = struct.unpack_from("=I", buffer)
    if not mask & STATX_BTIME:
        return None
    seconds, nanoseconds = BIRTH.unpack_from(buffer, BIRTH_OFFSET)
    return int(seconds * 1_000_000_000 + nanoseconds)
