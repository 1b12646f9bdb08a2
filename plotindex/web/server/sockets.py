"""The listening socket: bound here, or passed by systemd (sd_listen_fds(3))."""

import os
import resource
import socket
from collections.abc import MutableMapping

from plotindex.config import Settings
from plotindex.errors import SettingsError

FILES = resource.RLIMIT_NOFILE
SD_LISTEN_FDS_START = 3
BACKLOG = 1024
STALL_MILLISECONDS = 20_000
"""Timeout for a client to acknowledge what was sent or, with a full window, to read (tcp(7), TCP_USER_TIMEOUT)."""
MAX_CONNECTIONS = 16_384
"""Open connections of one worker, the idle ones too; more wait in the backlog."""
OTHER_FILES = 256
"""Descriptors of a worker for everything but connections."""


def allow_connections() -> int:
    """Raise the limit of open files, if necessary and possible; return how many connections a worker may have."""
    wanted = MAX_CONNECTIONS + OTHER_FILES
    soft, hard = (wanted if limit == resource.RLIM_INFINITY else limit for limit in resource.getrlimit(FILES))
    if soft < wanted:
        soft = min(wanted, hard)
        resource.setrlimit(FILES, (soft, resource.getrlimit(FILES)[1]))
    return min(MAX_CONNECTIONS, max(soft - OTHER_FILES, soft // 2))


def listen(settings: Settings, environment: MutableMapping[str, str] = os.environ) -> socket.socket:
    """Listen on the socket passed by systemd, otherwise on the host and port of the settings.

    Removes systemd's variables from the environment, so that no child process uses them.

    Raises:
        SettingsError: the address is in use or not available, or systemd passed anything but one listening TCP socket.
    """
    count, pid, _ = (environment.pop(name, "") for name in ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"))
    if not count or pid != str(os.getpid()):
        return _bind(settings)
    try:
        listener = socket.socket(fileno=SD_LISTEN_FDS_START)
        is_listening = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError:
        is_listening = 0
    if count != "1" or not is_listening or listener.family not in (socket.AF_INET, socket.AF_INET6):
        raise SettingsError("The systemd socket unit must have exactly one ListenStream= with a port: fix the unit.")
    os.set_inheritable(SD_LISTEN_FDS_START, False)
    return _configure(listener)


def check_address(settings: Settings) -> None:
    """Check that the server can listen on the host and port.

    Raises:
        SettingsError: the address is in use or not available.
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
        reason = error.strerror if isinstance(error, OSError) else "not a valid host name"
        raise SettingsError(
            f"Cannot listen on {settings.host} port {settings.port} ({reason}). "
            "Stop the program that uses it, or choose another --host or --port."
        ) from None
    return _configure(listener)


def _configure(listener: socket.socket) -> socket.socket:
    listener.setblocking(False)
    # Inherited by accepted connections. Nagle's algorithm would delay a response body by 40 ms on a reused connection.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STALL_MILLISECONDS)
    return listener
