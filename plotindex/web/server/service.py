"""The HTTP service: its port, its workers, and the application in each of them."""

import asyncio
import logging
import multiprocessing
import os
import signal
import sys
from multiprocessing.util import Finalize
from tempfile import TemporaryDirectory

from plotindex.config import Settings, SettingsReloader, load_settings
from plotindex.ops.metrics import MULTIPROC_VARIABLE
from plotindex.ops.server_address import recorded
from plotindex.system import (
    LOCAL_FS_TYPES,
    SystemdNotifier,
    configure_logs,
    die_with_parent,
    find_mount,
    host_port,
    printable,
)
from plotindex.web.app import create_app
from plotindex.web.direct_hits import Front
from plotindex.web.prerendering import Prerenderer
from plotindex.web.server.drain import Drain
from plotindex.web.server.gateway import Gateway
from plotindex.web.server.master import Master
from plotindex.web.server.self_check import start_self_check
from plotindex.web.server.sockets import listen

SWITCH_SECONDS = 0.0005
SCANS = 2
"""Threads that wait for scans, beside those of the setting `threads`."""

log = logging.getLogger(__name__)


def serve(reloader: SettingsReloader, notifier: SystemdNotifier) -> None:
    """Serve until SIGTERM or SIGINT. SIGHUP reloads the settings or, with a terminal, stops the server.

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
        with recorded(settings, host, port):
            master.serve()


def load_application() -> Gateway:
    """The application, in a worker process. Its event loop exists, and does not run yet."""
    # A process group of its own: Ctrl-C reaches only the master. A background group must not stop on terminal output.
    os.setpgid(0, 0)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    master = multiprocessing.parent_process()
    die_with_parent(signal.SIGKILL, master.pid if master else None)
    settings = load_settings({})
    configure_logs(settings.log_format)
    # A request thread yields the GIL to the event loop after this time.
    sys.setswitchinterval(SWITCH_SECONDS)
    drain = Drain(asyncio.get_event_loop())
    app = create_app(settings, drain.is_requested)
    front = app.wsgi_app
    assert isinstance(front, Front)
    gateway = Gateway(front, settings.threads + SCANS, app.config["MAX_CONTENT_LENGTH"], is_direct=_is_direct(settings))
    Prerenderer(settings, gateway.is_busy, drain.is_requested).start()
    drain.on_stop_accepting = gateway.close_connections
    # multiprocessing children do not run `atexit` handlers.
    Finalize(None, front.observer.flush, exitpriority=1)
    return gateway


def _is_direct(settings: Settings) -> bool:
    """Whether a hit depends only on this machine."""
    mount = find_mount(settings.root)
    return not settings.is_shared and mount is not None and mount.fs_type in LOCAL_FS_TYPES
