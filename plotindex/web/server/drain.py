"""Graceful stop of a worker: stop accepting connections, finish the open requests, then exit."""

import asyncio
import os
import re
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

DRAIN_SIGNAL = signal.SIGUSR1
HANDLED = {DRAIN_SIGNAL, signal.SIGTERM}
DRAIN_SECONDS = 0.5
"""Between the end of accepting and the exit: connections accepted just before can still send their request."""
RETRY_SECONDS = 0.1


class Drain:
    """The graceful stop of this process, by signals that its event loop handles."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._is_requested = False
        self.on_stop_accepting: Callable[[], None] = lambda: None
        # A loop that does not run yet loses signals. Threads that start meanwhile inherit the mask.
        signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
        loop.call_soon(self._handle_signals)

    def is_requested(self) -> bool:
        """Whether a signal has asked this process to stop. Thread-safe."""
        return self._is_requested

    def _handle_signals(self) -> None:
        self._loop.add_signal_handler(DRAIN_SIGNAL, self._stop_accepting)
        # Granian has set its own handlers before the loop ran. It keeps SIGINT, which `_exit` raises.
        self._loop.add_signal_handler(signal.SIGTERM, self._exit)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)

    def _stop_accepting(self) -> None:
        self._is_requested = True
        fds = accepting_fds()
        if not fds:
            # Granian does not listen yet.
            self._loop.call_later(RETRY_SECONDS, self._stop_accepting)
            return
        # The port is shared with the other workers and must stay open: replace the descriptor by an unreachable socket.
        with socket.socket(socket.AF_UNIX) as unreachable:
            unreachable.bind("")
            unreachable.listen()
            unreachable.setblocking(False)
            for fd in fds:
                os.dup2(unreachable.fileno(), fd, inheritable=False)
        self.on_stop_accepting()
        self._loop.call_later(DRAIN_SECONDS, self._exit)

    def _exit(self) -> None:
        self._is_requested = True
        os.kill(os.getpid(), signal.SIGINT)


def accepting_fds() -> list[int]:
    """The descriptors of listening TCP sockets that this process polls (epoll; proc_pid_fdinfo(5))."""
    polled: set[int] = set()
    for fd, target in _open_fds():
        if target == "anon_inode:[eventpoll]":
            with suppress(OSError):
                polled.update(map(int, re.findall(r"^tfd: +(\d+)", Path(f"/proc/self/fdinfo/{fd}").read_text(), re.M)))
    return [fd for fd, target in _open_fds() if fd in polled and target.startswith("socket:") and _is_listening(fd)]


def _open_fds() -> Iterator[tuple[int, str]]:
    for name in os.listdir("/proc/self/fd"):
        # The descriptor of this listing itself is closed by now.
        with suppress(OSError):
            yield int(name), str(Path(f"/proc/self/fd/{name}").readlink())


def _is_listening(fd: int) -> bool:
    with suppress(OSError), socket.socket(fileno=os.dup(fd)) as copy:
        is_tcp = copy.family in (socket.AF_INET, socket.AF_INET6)
        return is_tcp and bool(copy.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    return False
