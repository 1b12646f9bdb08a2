"""Whoever started this service and wants to know how it is: systemd, by the protocol of sd_notify(3), or nobody."""

import os
import socket
import time
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Self

LEAST_SECONDS = 1.0
"""How often it is told at most that there is progress; how long it does without is for it to decide."""
MOST_SECONDS = 300
"""How long a start may go on without progress."""
SEND_SECONDS = 1.0


class Supervisor:
    """Is told when the service is ready, that it gets on, and what it does. Where nobody listens nothing is told."""

    @classmethod
    def of(cls, environment: MutableMapping[str, str] = os.environ) -> Self:
        """The one that the environment names. It is taken out of that: no child speaks for this process."""
        address, *_ = (environment.pop(name, "") for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"))
        return cls(address)

    def __init__(self, address: str = "") -> None:
        """`address` is that of its socket, or empty."""
        # A first character of @ stands for the abstract name space (unix(7)).
        self._address = address.replace("@", "\0", 1) if address.startswith("@") else address
        self._told_at = -LEAST_SECONDS
        self._said = ""
        self.is_ready = False

    @property
    def listens(self) -> bool:
        """Whether there is one."""
        return bool(self._address)

    def note_ready(self) -> None:
        """The service does what it is for."""
        if not self.is_ready:
            self.is_ready = True
            self._tell("READY=1")

    def note_progress(self) -> None:
        """The service gets on. Only who has just got on may say so: this keeps it alive."""
        now = time.monotonic()
        if now - self._told_at >= LEAST_SECONDS:
            self._told_at = now
            self._tell("WATCHDOG=1" if self.is_ready else f"EXTEND_TIMEOUT_USEC={MOST_SECONDS * 10**6}")

    def note_reload(self) -> None:
        """Settings are being read again; `note_reloaded` follows."""
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def note_reloaded(self) -> None:
        """They have been."""
        self._tell("READY=1")

    def note_stop(self) -> None:
        """The service is about to end."""
        self._tell("STOPPING=1")

    def say(self, status: str) -> None:
        """What `systemctl status` shows, on one line."""
        if status != self._said:
            self._said = status
            self._tell("STATUS=" + status)

    def _tell(self, message: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as speaker:
            speaker.settimeout(SEND_SECONDS)
            # It may be starting anew; what it has to know it is told again, or finds out by itself.
            with suppress(OSError):
                speaker.sendto(message.encode("utf-8", "replace"), self._address)
