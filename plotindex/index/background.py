"""Start a process that works behind the indexer: its settings are its environment, its argument is the indexer's id."""

import signal
import sys
import threading

from plotindex.config import Settings, load_settings
from plotindex.system import configure_logs, die_with_parent


def start_background() -> tuple[Settings, threading.Event]:
    """The settings, and an event that is set once the process is to end: by SIGTERM, or with the indexer."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda _number, _frame: stop.set())
    # Ctrl-C also reaches the indexer, which ends this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent(signal.SIGTERM, int(sys.argv[1]))
    settings = load_settings({})
    configure_logs(settings.log_format)
    return settings, stop
