"""Whether the server does what it is for: it asks itself, through its own port, and its supervisor is told."""

import socket
import threading
import time
from typing import Any

from plotindex.supervisor import Supervisor

ASK_SECONDS = 5.0
AGAIN_SECONDS = 0.1
"""How soon it asks again when there was no answer."""
ANSWER_SECONDS = 30.0
QUESTION = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
Address = tuple[Any, ...]
"""As `socket.getsockname` has it, of whatever family."""
ANSWER = b"HTTP/1.1 200 "


def keep_telling(listener: socket.socket, supervisor: Supervisor, status: str) -> None:
    """Ask and tell, in a thread of its own, for as long as this process lives; nothing where nobody supervises it."""
    if supervisor.listens:
        address = listener.getsockname()
        threading.Thread(target=_ask_on, args=(listener.family, address, supervisor, status), daemon=True).start()


def _ask_on(family: int, address: Address, supervisor: Supervisor, status: str) -> None:
    while True:
        if answers(family, address):
            supervisor.note_ready()
            supervisor.note_progress()
            supervisor.say(status)
            time.sleep(ASK_SECONDS)
        else:
            time.sleep(AGAIN_SECONDS)


def answers(family: int, address: Address) -> bool:
    """Whether a worker answers a request that comes in as any other does."""
    with socket.socket(family, socket.SOCK_STREAM) as asking:
        asking.settimeout(ANSWER_SECONDS)
        try:
            # Of a socket that is bound to every address, that address leads to this machine.
            asking.connect(address)
            asking.sendall(QUESTION)
            return asking.recv(len(ANSWER), socket.MSG_WAITALL) == ANSWER
        except OSError:
            return False
