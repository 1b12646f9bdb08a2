"""Start and supervise child processes of plotindex."""

import ctypes
import os
import signal
import sys
import weakref
from collections.abc import Callable
from pathlib import Path

PR_SET_PDEATHSIG = 1


def die_with_parent(number: signal.Signals = signal.SIGTERM, parent: int | None = None) -> None:
    """Have the kernel signal this process when its parent dies (prctl(2)). Linux only.

    `parent` is the expected parent's pid: if it has died already, this process signals itself.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)
        if parent is not None and os.getppid() != parent:
            os.kill(os.getpid(), number)


def has_terminal() -> bool:
    """Whether this process has a controlling terminal, so that SIGHUP means that it was closed."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def call_after_fork(method: Callable[[], None]) -> None:
    """Call a method in each forked child, as long as its object exists."""
    weak = weakref.WeakMethod(method)
    os.register_at_fork(after_in_child=lambda: (alive := weak()) and alive())


def python_interpreter() -> str:
    """Path of the running Python interpreter."""
    # In a server that embeds Python, sys.executable may be the server.
    if sys.executable and "python" in Path(sys.executable).name:
        return sys.executable
    return str(Path(sys.prefix) / "bin" / "python3")


def python_command(*words: str | bytes) -> list[str | bytes]:
    """Command line of this Python with `words`; imports from PYTHONPATH, never from the working directory (-P)."""
    return [python_interpreter(), "-P", *words]


def minimal_environment() -> dict[str, str]:
    """The variables that a child process without settings needs: library and import paths, no secrets."""
    inherited = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "PYTHONHOME") if name in os.environ}
    return {**inherited, "PYTHONPATH": python_path(), "LC_ALL": "C.UTF-8"}


def python_path() -> str:
    """This process's sys.path as a PYTHONPATH value, absolute entries only."""
    return os.pathsep.join(entry for entry in sys.path if Path(entry).is_absolute() and os.pathsep not in entry)


def is_alive(pid: int) -> bool:
    """Whether a process with that id is visible on this host."""
    return Path(f"/proc/{pid}").exists()
