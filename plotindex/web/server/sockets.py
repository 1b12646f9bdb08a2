"""The socket that the server listens on: made here, or handed over by systemd (sd_listen_fds(3))."""

import os
import socket
from collections.abc import MutableMapping

from plotindex.config import Settings
from plotindex.errors import SettingsError

FIRST_FD = 3
BACKLOG = 1024


def listen(settings: Settings, environment: MutableMapping[str, str] = os.environ) -> socket.socket:
    """Listen on the host and port of the settings, or on what this process was handed over.

    What names that is taken out of the environment: it is not for children.

    Raises:
        SettingsError: the address cannot be had, or what was handed over is not one socket that listens.
    """
    handed, owner, _ = (environment.pop(name, "") for name in ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"))
    if not handed or owner != str(os.getpid()):
        return _bind(settings)
    try:
        listener = socket.socket(fileno=FIRST_FD)
        listens = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError:
        listens = 0
    if handed != "1" or not listens or listener.family not in (socket.AF_INET, socket.AF_INET6):
        raise SettingsError(
            "systemd hands over something else than one ListenStream= with a port: mend the socket unit."
        )
    os.set_inheritable(FIRST_FD, False)
    return _made_ready(listener)


def check_address(settings: Settings) -> None:
    """Check that the host and port can be listened on.

    Raises:
        SettingsError: they cannot.
    """
    _bind(settings).close()


def _bind(settings: Settings) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(BACKLOG)
        except BaseException:
            listener.close()
            raise
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no name of a host"
        raise SettingsError(
            f"{settings.host} port {settings.port} cannot be listened on ({reason}): "
            "stop what uses it, or name another --host or --port."
        ) from None
    return _made_ready(listener)


def _made_ready(listener: socket.socket) -> socket.socket:
    listener.setblocking(False)
    # What is accepted inherits it. Else the body of an answer waits for the caller to have acknowledged its head, for
    # 40 ms on a connection that has been used before.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
