"""The HTTP service: Granian over WSGI. The only module that imports granian."""

import logging
import os
import signal
import socket
from tempfile import TemporaryDirectory

from flask import Flask
from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from plotindex.errors import SettingsError
from plotindex.layout import printable
from plotindex.logs import configure_logs
from plotindex.metrics import FOLDER
from plotindex.processes import die_with_parent
from plotindex.running import base_url
from plotindex.settings import Settings, load_settings
from plotindex.web.application import create_app

log = logging.getLogger(__name__)


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        SettingsError: the address cannot be had.
    """
    check_address(settings)
    log.info("Serving the plots below %s at %s.", printable(str(settings.root)), base_url(settings))
    # Workers are new processes: they read the same settings from the environment.
    os.environ.update(settings.as_environment())
    with TemporaryDirectory(prefix="plotindex-") as numbers:
        # What each worker counts, so that any of them can tell of all.
        os.environ[FOLDER] = numbers
        Granian(
            "plotindex.web.server:load_application",
            factory=True,
            interface=Interfaces.WSGI,
            address=settings.host,
            port=settings.port,
            workers=settings.workers,
            blocking_threads=settings.threads,
            log_level=LogLevels.warning,
            respawn_failed_workers=True,
            workers_kill_timeout=2,
        ).serve()


def load_application() -> Flask:
    """The application, in a worker process."""
    die_with_parent(signal.SIGKILL)
    settings = load_settings({})
    configure_logs(settings.log_format)
    return create_app(settings)


def check_address(settings: Settings) -> None:
    """Check that the host and port can be listened on.

    Raises:
        SettingsError: they cannot.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen()
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no name of a host"
        raise SettingsError(
            f"{settings.host} port {settings.port} cannot be listened on ({reason}): "
            "stop what uses it, or name another --host or --port."
        ) from None
