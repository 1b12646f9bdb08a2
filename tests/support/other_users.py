"""Run code as another user of the machine, in a folder that every user can reach, or without root's privileges."""

import ctypes
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from plotindex.ops.doctor.permissions import Credentials


def reachable_folder() -> Iterator[Path]:
    """A fixture: a folder that every user can reach; pytest's own are private."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@contextmanager
def without_privileges() -> Iterator[None]:
    """Let permissions apply to this thread, also of root (capset(2): CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH)."""
    libc = ctypes.CDLL(None, use_errno=True)
    # _LINUX_CAPABILITY_VERSION_3 of this thread; twice effective, permitted and inheritable.
    header, own = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert libc.capget(header, own) == 0
    reduced = (ctypes.c_uint32 * 6)(own[0] & ~0b110, *own[1:])
    assert libc.capset(header, reduced) == 0
    try:
        yield
    finally:
        assert libc.capset(header, own) == 0


def run_as_user(credentials: Credentials, question: Callable[[], str]) -> str:
    """The result of `question` in a child process with those credentials."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            groups = sorted(credentials.groups)
            os.setgroups(groups)
            os.setresgid(groups[0], groups[0], groups[0])
            assert credentials.user is not None
            os.setresuid(credentials.user, credentials.user, credentials.user)
            os.write(writing, question().encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return answer
