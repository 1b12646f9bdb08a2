"""Start a process that works behind the indexer: its settings are its environment, its argument is the indexer's id."""

import signal
import sys

from plotindex.config import Settings, load_settings
from plotindex.system import StopRequest, configure_logs, die_with_parent


def start_background() -> tuple[Settings, StopRequest]:
    """The settings, and what is set once the process is to end: by SIGTERM, or with the indexer."""
    stop = StopRequest()
    signal.signal(signal.SIGTERM, lambda _number, _frame: stop.set())
    # Ctrl-C also reaches the indexer, which ends this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent(signal.SIGTERM, int(sys.argv[1]))
    settings = load_settings({})
    configure_logs(settings.log_format)
    return settings, stop
