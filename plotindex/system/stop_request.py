"""Whether a process is to end, as signals ask for."""

import os
import select


class StopRequest:
    """As a `threading.Event`, but a signal's handler may also set it while its own thread waits.

    An event would wait for ever for the lock that its `wait` holds at that moment. One lasts as long as its process.
    """

    def __init__(self) -> None:
        self._is_set = False
        self._fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)

    def set(self) -> None:
        self._is_set = True
        os.eventfd_write(self._fd, 1)

    def is_set(self) -> bool:
        return self._is_set

    def wait(self, seconds: float) -> bool:
        """Wait until it is set, for so many seconds at most; return whether it is."""
        if not self._is_set:
            self._poll.poll(seconds * 1000)
        return self._is_set
