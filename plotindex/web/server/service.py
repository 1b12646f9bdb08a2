"""The HTTP service: its port, its workers, and the application in each of them."""

import logging
import multiprocessing
import os
import signal
from tempfile import TemporaryDirectory

from flask import Flask, Response

from plotindex.config import SettingsReloader, load_settings
from plotindex.ops.metrics import FOLDER
from plotindex.system import SystemdNotifier, configure_logs, die_with_parent, printable
from plotindex.web.app import create_app
from plotindex.web.server.drain import Ending
from plotindex.web.server.master import Master
from plotindex.web.server.self_check import keep_telling
from plotindex.web.server.sockets import listen

log = logging.getLogger(__name__)


def serve(rereading: SettingsReloader, notifier: SystemdNotifier) -> None:
    """Serve until SIGTERM or SIGINT; on SIGHUP with settings read again.

    Raises:
        SettingsError: the address cannot be had.
    """
    settings = rereading.settings
    with listen(settings) as listener, TemporaryDirectory(prefix="plotindex-") as numbers:
        host, port = listener.getsockname()[:2]
        url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        log.info("Serving the plots below %s at %s.", printable(str(settings.root)), url)
        # What each worker counts, so that any of them can tell of all.
        os.environ[FOLDER] = numbers
        master = Master(listener, rereading, notifier)
        master.on_startup(lambda: keep_telling(listener, notifier, f"serving at {url}"))
        master.serve()


def load_application() -> Flask:
    """The application, in a worker process."""
    # What Ctrl-C sends to all is for the master to tell. In a group of its own a terminal may stop it when it writes.
    os.setpgid(0, 0)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    master = multiprocessing.parent_process()
    die_with_parent(signal.SIGKILL, master.pid if master else None)
    settings = load_settings({})
    configure_logs(settings.log_format)
    ending = Ending()
    app = create_app(settings, ending.is_near)

    @app.after_request
    def part(response: Response) -> Response:
        if ending.has_turned_away:
            response.headers["Connection"] = "close"
        return response

    return app
