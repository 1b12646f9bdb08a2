"""Graceful stop of a worker: stop accepting connections, finish the open requests, then exit."""

import os
import re
import select
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

DRAIN_SIGNAL = signal.SIGUSR1
DRAIN_SECONDS = 0.5
"""Between the end of accepting and the exit: connections accepted just before can still send their request."""
WAKE_SIGNAL = signal.SIGURG
STOP_SIGNALS = {DRAIN_SIGNAL, signal.SIGTERM, signal.SIGINT}


class Drain:
    """The graceful stop of this process. Create it once, in the main thread."""

    def __init__(self) -> None:
        self.has_stopped_accepting = False
        self._received: set[int] = set()
        self._main_thread = threading.get_ident()
        self._wakeup_fd, write_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        # Gets the number of every signal, including those with a handler of Granian.
        signal.set_wakeup_fd(write_fd, warn_on_full_buffer=False)
        signal.signal(DRAIN_SIGNAL, self._stop_accepting)
        signal.signal(signal.SIGALRM, self._exit)
        signal.signal(WAKE_SIGNAL, lambda *_: None)
        threading.Thread(target=self._forward_signals, daemon=True).start()

    def is_requested(self) -> bool:
        """Whether a signal has asked this process to stop. Thread-safe."""
        return not STOP_SIGNALS.isdisjoint(self._received)

    def _forward_signals(self) -> None:
        """Wake the main thread, which runs the handlers: the kernel may deliver a signal to a thread of Granian."""
        while True:
            select.select([self._wakeup_fd], [], [])
            self._read_signals()

    def _read_signals(self) -> None:
        with suppress(BlockingIOError):
            received = {*os.read(self._wakeup_fd, 64)} - {WAKE_SIGNAL}
            self._received |= received
            if received:
                signal.pthread_kill(self._main_thread, WAKE_SIGNAL)

    def _stop_accepting(self, _number: int, _frame: object) -> None:
        # Repeated: Granian may not yet listen, nor handle SIGTERM.
        signal.setitimer(signal.ITIMER_REAL, DRAIN_SECONDS, DRAIN_SECONDS)
        fds = accepting_fds()
        if not fds:
            return
        self._read_signals()
        if not self._received.isdisjoint({signal.SIGTERM, signal.SIGINT}):
            # The whole service stops: Granian closes the port itself.
            return
        self.has_stopped_accepting = True
        # The port is shared with the other workers and must stay open: replace the descriptor by an unreachable socket.
        with socket.socket(socket.AF_UNIX) as unreachable:
            unreachable.bind("")
            unreachable.listen()
            unreachable.setblocking(False)
            for fd in fds:
                os.dup2(unreachable.fileno(), fd, inheritable=False)

    def _exit(self, _number: int, _frame: object) -> None:
        if self.has_stopped_accepting or accepting_fds():
            os.kill(os.getpid(), signal.SIGTERM)


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
