"""What processes of one service owe each other."""

import ctypes
import os
import signal
import sys
import weakref
from collections.abc import Callable
from pathlib import Path

PR_SET_PDEATHSIG = 1


def die_with_parent(number: signal.Signals = signal.SIGTERM, parent: int | None = None) -> None:
    """Be sent a signal when the parent dies, however it dies (prctl(2)): nobody is left on its port. Linux only.

    `parent` is the process that it was, which may have died before.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)
        if parent is not None and os.getppid() != parent:
            os.kill(os.getpid(), number)


def has_terminal() -> bool:
    """Whether this process belongs to a terminal, so that SIGHUP says that somebody has closed it."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def call_in_forks(method: Callable[[], None]) -> None:
    """Call a method in each child that is forked from this process, for as long as its object lives."""
    weak = weakref.WeakMethod(method)
    os.register_at_fork(after_in_child=lambda: (alive := weak()) and alive())


def own_interpreter() -> str:
    """The Python that runs this."""
    # Of a server that has Python inside, sys.executable may be the server.
    if sys.executable and "python" in Path(sys.executable).name:
        return sys.executable
    return str(Path(sys.prefix) / "bin" / "python3")


def own_command(*words: str | bytes) -> list[str | bytes]:
    """What starts this Python; it imports from PYTHONPATH, `import_path`, and not from wherever somebody stands."""
    return [own_interpreter(), "-P", *words]


def bare_environment() -> dict[str, str]:
    """What a process of this program needs that reads no settings: it imports what is imported here."""
    # No key is handed on.
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "PYTHONHOME") if name in os.environ}
    return {**kept, "PYTHONPATH": import_path(), "LC_ALL": "C.UTF-8"}


def import_path() -> str:
    """Where this process imports from."""
    return os.pathsep.join(place for place in sys.path if Path(place).is_absolute() and os.pathsep not in place)


def is_alive(pid: int) -> bool:
    """Whether there is such a process on this host, as far as can be seen from here."""
    return Path(f"/proc/{pid}").exists()
