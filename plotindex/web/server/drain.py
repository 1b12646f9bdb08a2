"""How a worker ends, so that nobody who has reached it is left without an answer.

First it turns away from the port, where others go on; some time later, when what had come by then has said what it
wants, it ends as Granian does: what is being answered is answered, and connections on which nothing goes on are closed.
"""

import os
import re
import select
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

TURN_AWAY = signal.SIGUSR1
LEAVE_SECONDS = 0.5
WAKE = signal.SIGURG
ENDS = {TURN_AWAY, signal.SIGTERM, signal.SIGINT}


class Ending:
    """The end of this process. To be made in the main thread, and once."""

    def __init__(self) -> None:
        self.has_turned_away = False
        """Whether no more connections come: then each answer is the last one on its own."""
        self._signals: set[int] = set()
        self._main = threading.get_ident()
        self._heard, told = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        # Also those signals that others handle: the number of each is written here first.
        signal.set_wakeup_fd(told, warn_on_full_buffer=False)
        signal.signal(TURN_AWAY, self._turn_away)
        signal.signal(signal.SIGALRM, self._leave)
        signal.signal(WAKE, lambda *_: None)
        threading.Thread(target=self._listen, daemon=True).start()

    def is_near(self) -> bool:
        """Whether a signal came that asks for it. Safe to share between threads."""
        return not ENDS.isdisjoint(self._signals)

    def _listen(self) -> None:
        """Wake the main thread, which handles signals: the kernel may have given one to a thread of Granian's."""
        while True:
            select.select([self._heard], [], [])
            self._hear()

    def _hear(self) -> None:
        with suppress(BlockingIOError):
            came = {*os.read(self._heard, 64)} - {WAKE}
            self._signals |= came
            if came:
                signal.pthread_kill(self._main, WAKE)

    def _turn_away(self, _number: int, _frame: object) -> None:
        # Again and again, since Granian may not be ready for a signal; nor, so far, for another socket.
        signal.setitimer(signal.ITIMER_REAL, LEAVE_SECONDS, LEAVE_SECONDS)
        fds = accepting()
        if not fds:
            return
        self._hear()
        if not self._signals.isdisjoint({signal.SIGTERM, signal.SIGINT}):
            # All of the service's processes were asked to end: Granian lets go of the port by itself.
            return
        self.has_turned_away = True
        # Whoever accepts goes on to do so, at a socket to which nobody comes. The port itself is shared: to close it
        # here would end nothing.
        with socket.socket(socket.AF_UNIX) as nowhere:
            nowhere.bind("")
            nowhere.listen()
            nowhere.setblocking(False)
            for fd in fds:
                os.dup2(nowhere.fileno(), fd, inheritable=False)

    def _leave(self, _number: int, _frame: object) -> None:
        if self.has_turned_away or accepting():
            os.kill(os.getpid(), signal.SIGTERM)


def accepting() -> list[int]:
    """The descriptors at which this process waits for connections of the network."""
    watched: set[int] = set()
    for fd, what in _descriptors():
        if what == "anon_inode:[eventpoll]":
            with suppress(OSError):
                watched.update(map(int, re.findall(r"^tfd: +(\d+)", Path(f"/proc/self/fdinfo/{fd}").read_text(), re.M)))
    return [fd for fd, what in _descriptors() if fd in watched and what.startswith("socket:") and _is_listening(fd)]


def _descriptors() -> Iterator[tuple[int, str]]:
    for name in os.listdir("/proc/self/fd"):
        # The one of the list itself is gone.
        with suppress(OSError):
            yield int(name), str(Path(f"/proc/self/fd/{name}").readlink())


def _is_listening(fd: int) -> bool:
    with suppress(OSError), socket.socket(fileno=os.dup(fd)) as copy:
        is_of_network = copy.family in (socket.AF_INET, socket.AF_INET6)
        return is_of_network and bool(copy.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    return False
