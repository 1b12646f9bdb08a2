"""Health checks through the server's own port, reported to its supervisor."""

import socket
import threading
import time

from plotindex.ops.probe import is_serving
from plotindex.system import SystemdNotifier

CHECK_SECONDS = 5.0
RETRY_SECONDS = 0.1
TIMEOUT_SECONDS = 30.0


def start_self_check(listener: socket.socket, notifier: SystemdNotifier, status: str) -> None:
    """Check and report in a daemon thread; without a notifier, do nothing."""
    if notifier.is_connected:
        host, port = listener.getsockname()[:2]
        threading.Thread(target=_run, args=(host, port, notifier, status), daemon=True).start()


def _run(host: str, port: int, notifier: SystemdNotifier, status: str) -> None:
    while True:
        if is_serving(host, port, TIMEOUT_SECONDS):
            notifier.notify_ready()
            notifier.notify_progress()
            notifier.notify_status(status)
            time.sleep(CHECK_SECONDS)
        else:
            time.sleep(RETRY_SECONDS)
