"""The HTTP service: its port, its workers, and the application in each of them."""

import logging
import multiprocessing
import os
import signal
from tempfile import TemporaryDirectory

from flask import Flask, Response

from plotindex.config import SettingsReloader, load_settings
from plotindex.ops.metrics import MULTIPROC_VARIABLE
from plotindex.system import SystemdNotifier, configure_logs, die_with_parent, host_port, printable
from plotindex.web.app import create_app
from plotindex.web.server.drain import Drain
from plotindex.web.server.master import Master
from plotindex.web.server.self_check import start_self_check
from plotindex.web.server.sockets import listen

log = logging.getLogger(__name__)


def serve(reloader: SettingsReloader, notifier: SystemdNotifier) -> None:
    """Serve until SIGTERM or SIGINT; on SIGHUP reload the settings.

    Raises:
        SettingsError: the address is in use or not available.
    """
    settings = reloader.settings
    with listen(settings) as listener, TemporaryDirectory(prefix="plotindex-") as metrics_folder:
        host, port = listener.getsockname()[:2]
        url = f"http://{host_port(host, port)}"
        log.info("Serving the plots below %s at %s.", printable(str(settings.root)), url)
        # Shared by the workers, so that each exports the metrics of all.
        os.environ[MULTIPROC_VARIABLE] = metrics_folder
        master = Master(listener, reloader, notifier)
        master.on_startup(lambda: start_self_check(listener, notifier, f"serving at {url}"))
        master.serve()


def load_application() -> Flask:
    """The application, in a worker process."""
    # A process group of its own: Ctrl-C reaches only the master. A background group must not stop on terminal output.
    os.setpgid(0, 0)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    master = multiprocessing.parent_process()
    die_with_parent(signal.SIGKILL, master.pid if master else None)
    settings = load_settings({})
    configure_logs(settings.log_format)
    drain = Drain()
    app = create_app(settings, drain.is_requested)

    @app.after_request
    def close_connection(response: Response) -> Response:
        if drain.has_stopped_accepting:
            response.headers["Connection"] = "close"
        return response

    return app
