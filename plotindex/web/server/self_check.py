"""Whether the server does what it is for: it asks itself, through its own port, and its supervisor is told."""

import socket
import threading
import time

from plotindex.ops.probe import is_served
from plotindex.system import SystemdNotifier

ASK_SECONDS = 5.0
AGAIN_SECONDS = 0.1
"""How soon it asks again when there was no answer."""
ANSWER_SECONDS = 30.0


def keep_telling(listener: socket.socket, notifier: SystemdNotifier, status: str) -> None:
    """Ask and tell, in a thread of its own, for as long as this process lives; nothing where nobody supervises it."""
    if notifier.is_connected:
        host, port = listener.getsockname()[:2]
        threading.Thread(target=_ask_on, args=(host, port, notifier, status), daemon=True).start()


def _ask_on(host: str, port: int, notifier: SystemdNotifier, status: str) -> None:
    while True:
        if is_served(host, port, ANSWER_SECONDS):
            notifier.notify_ready()
            notifier.notify_progress()
            notifier.notify_status(status)
            time.sleep(ASK_SECONDS)
        else:
            time.sleep(AGAIN_SECONDS)
