"""Whether a server of plotindex answers at an address: whoever holds the port may be anything, and ill-willed."""

import re
import socket
import time

QUESTION = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
"""Of which a server writes no line into its log."""
ANSWER = re.compile(rb"HTTP/1\.[01] 200 .*\r\ncache-status: *plotindex[;\r]", re.IGNORECASE | re.DOTALL)
MOST_BYTES = 1 << 14


def reached_by(host: str) -> str:
    """The address by which this machine reaches what listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "[::]": "::1"}.get(host, host)  # noqa: S104 - not bound here


def is_served(host: str, port: int, seconds: float) -> bool:
    """Whether plotindex says so itself, all within `seconds`; the search for the host's name is not counted."""
    deadline = time.monotonic() + seconds
    try:
        with socket.create_connection((reached_by(host).strip("[]"), port), seconds) as asking:
            asking.sendall(QUESTION)
            return bool(ANSWER.match(_head(asking, deadline)))
    except (OSError, UnicodeError):
        return False


def _head(asking: socket.socket, deadline: float) -> bytes:
    """What was answered up to the empty line that ends the headers; what is longer, or takes longer, is cut."""
    head = b""
    while b"\r\n\r\n" not in head and len(head) < MOST_BYTES and (left := deadline - time.monotonic()) > 0:
        asking.settimeout(left)
        received = asking.recv(MOST_BYTES - len(head))
        if not received:
            break
        head += received
    return head.partition(b"\r\n\r\n")[0] + b"\r\n"
