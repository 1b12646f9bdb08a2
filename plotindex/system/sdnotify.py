"""Notify systemd about a service's state, by the protocol of sd_notify(3)."""

import os
import socket
import time
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Self

MIN_INTERVAL_SECONDS = 1.0
"""Between two progress messages; the watchdog's timeout is systemd's setting."""
START_TIMEOUT_SECONDS = 300
"""Without progress, before systemd considers the start failed."""
SEND_TIMEOUT_SECONDS = 1.0


class SystemdNotifier:
    """Sends readiness, progress and status to systemd; does nothing without a socket address."""

    @classmethod
    def from_environment(cls, environment: MutableMapping[str, str] = os.environ) -> Self:
        """Build from NOTIFY_SOCKET, and remove systemd's variables: child processes must not notify."""
        address, *_ = (environment.pop(name, "") for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"))
        return cls(address)

    def __init__(self, address: str = "") -> None:
        # A leading @ stands for the abstract name space (unix(7)).
        self._address = address.replace("@", "\0", 1) if address.startswith("@") else address
        self._sent_progress_at = -MIN_INTERVAL_SECONDS
        self._status = ""
        self.is_ready = False

    @property
    def is_connected(self) -> bool:
        """Whether there is a socket address to send to."""
        return bool(self._address)

    def notify_ready(self) -> None:
        """The service has started."""
        if not self.is_ready:
            self.is_ready = True
            self._send("READY=1")

    def notify_progress(self) -> None:
        """Reset the watchdog, or extend the start timeout. Call only after real work: this keeps the service alive."""
        now = time.monotonic()
        if now - self._sent_progress_at >= MIN_INTERVAL_SECONDS:
            self._sent_progress_at = now
            self._send("WATCHDOG=1" if self.is_ready else f"EXTEND_TIMEOUT_USEC={START_TIMEOUT_SECONDS * 10**6}")

    def notify_reloading(self) -> None:
        """Settings are being reloaded; `notify_reloaded` must follow."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def notify_reloaded(self) -> None:
        """Settings were reloaded."""
        self._send("READY=1")

    def notify_stopping(self) -> None:
        """The service is about to exit."""
        self._send("STOPPING=1")

    def notify_status(self, status: str) -> None:
        """Set the one-line status that `systemctl status` shows."""
        if status != self._status:
            self._status = status
            self._send("STATUS=" + status)

    def _send(self, message: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.settimeout(SEND_TIMEOUT_SECONDS)
            # systemd may be restarting; a lost message is repeated or superseded.
            with suppress(OSError):
                sender.sendto(message.encode("utf-8", "replace"), self._address)
