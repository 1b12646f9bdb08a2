"""How a worker ends, so that nobody who has reached it is left without an answer.

First it turns away from the port, where others go on; some time later, when what had come by then has said what it
wants, it ends as Granian does: what is being answered is answered, and connections on which nothing goes on are closed.
"""

import os
import signal
import socket
from contextlib import suppress
from pathlib import Path

TURN_AWAY = signal.SIGUSR1
LEAVE_SECONDS = 0.5
ENDS = {TURN_AWAY, signal.SIGTERM, signal.SIGINT}


class Ending:
    """The end of this process. To be made in the main thread, and once."""

    def __init__(self) -> None:
        self.has_turned_away = False
        """Whether no more connections come: then each answer is the last one on its own."""
        self._is_near = False
        self._heard, told = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        # Also those signals that others handle: the number of each is written here first.
        signal.set_wakeup_fd(told, warn_on_full_buffer=False)
        signal.signal(TURN_AWAY, self._turn_away)
        signal.signal(signal.SIGALRM, self._leave)

    def is_near(self) -> bool:
        """Whether a signal came that asks for it. Safe to share between threads."""
        with suppress(BlockingIOError):
            self._is_near |= not ENDS.isdisjoint(os.read(self._heard, 64))
        return self._is_near

    def _turn_away(self, _number: int, _frame: object) -> None:
        self.has_turned_away = True
        # Whoever accepts goes on to do so, at a socket to which nobody comes. The port itself is shared: to close it
        # here would end nothing.
        with socket.socket(socket.AF_UNIX) as nowhere:
            nowhere.bind("")
            nowhere.listen()
            nowhere.setblocking(False)
            for fd in listening():
                os.dup2(nowhere.fileno(), fd, inheritable=False)
        signal.setitimer(signal.ITIMER_REAL, LEAVE_SECONDS)

    def _leave(self, _number: int, _frame: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)


def listening() -> list[int]:
    """The descriptors of this process at which connections of the network come in."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        # The one of the list itself is gone.
        with suppress(OSError):
            if Path(f"/proc/self/fd/{name}").readlink().name.startswith("socket:"):
                fd = os.dup(int(name))
                with socket.socket(fileno=fd) as copy:
                    is_of_network = copy.family in (socket.AF_INET, socket.AF_INET6)
                    if is_of_network and copy.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                        found.append(int(name))
    return found
