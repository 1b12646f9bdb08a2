"""Probe whether a plotindex server answers at an address. Any program may hold the port, even a hostile one."""

import re
import socket
import time

REQUEST = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
"""An endpoint that the access log leaves out."""
RESPONSE = re.compile(rb"HTTP/1\.[01] 200 .*\r\ncache-status: *plotindex[;\r]", re.IGNORECASE | re.DOTALL)
MAX_BYTES = 1 << 14


def connect_host(host: str) -> str:
    """The address to connect to for a server that listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "[::]": "::1"}.get(host, host)  # noqa: S104 - not bound here


def is_serving(host: str, port: int, timeout: float) -> bool:
    """Whether a plotindex server answers within `timeout` seconds, not counting name resolution."""
    deadline = time.monotonic() + timeout
    try:
        with socket.create_connection((connect_host(host).strip("[]"), port), timeout) as connection:
            connection.sendall(REQUEST)
            return bool(RESPONSE.match(_read_head(connection, deadline)))
    except (OSError, UnicodeError):
        return False


def _read_head(connection: socket.socket, deadline: float) -> bytes:
    """The response up to the end of its headers, cut at MAX_BYTES and at the deadline."""
    head = b""
    while b"\r\n\r\n" not in head and len(head) < MAX_BYTES and (left := deadline - time.monotonic()) > 0:
        connection.settimeout(left)
        received = connection.recv(MAX_BYTES - len(head))
        if not received:
            break
        head += received
    return head.partition(b"\r\n\r\n")[0] + b"\r\n"
