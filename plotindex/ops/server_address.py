"""Where servers listen: each records its address in the state folder, and locks the record while it lives."""

import fcntl
import json
import logging
import os
import re
import secrets
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from plotindex.config import Settings
from plotindex.errors import SettingsError
from plotindex.system import make_private_folder, open_private, open_private_folder, opened_files

MAX_BYTES = 1024
MAX_PORT = 65_535
NAME = re.compile(r"\d+-[0-9a-f]{8}")
ADDRESS = re.compile(r"[0-9A-Fa-f.:]+(%[\w.-]+)?", re.ASCII)
"""An IP address, perhaps with the scope of IPv6."""

log = logging.getLogger(__name__)


class Record(NamedTuple):
    """The address that a server listens on, by its host's name and the time since the epoch at which it started."""

    started: float
    node: str
    host: str
    port: int


@contextmanager
def recorded(settings: Settings, host: str, port: int) -> Iterator[None]:
    """Record the address of this server, if the state folder is writable."""
    folder = settings.servers_folder
    name, fd = f"{os.getpid()}-{secrets.token_hex(4)}", -1
    try:
        settings.make_state_folder()
        make_private_folder(folder)
        _remove_dead(folder)
        fd = _create(folder / name, Record(time.time(), socket.gethostname(), host, port))
    except (OSError, SettingsError) as error:
        log.info("`plotindex status` and `token link` cannot see the address of this server: %s", error)
    try:
        yield
    finally:
        if fd >= 0:
            with suppress(OSError), open_private_folder(folder) as opened:
                opened.delete(name)
            os.close(fd)


def with_server_address(settings: Settings, options: Mapping[str, object | None]) -> Settings:
    """The settings, with the address of the latest server that lives on this host, unless an option names one."""
    if options.get("host") or options.get("port"):
        return settings
    records = [record for *_, fd in opened_files(settings.servers_folder, NAME) if (record := _read_living(fd))]
    here = [record for record in records if record.node == socket.gethostname()]
    return replace(settings, host=max(here).host, port=max(here).port) if here else settings


def _create(file: Path, record: Record) -> int:
    while True:
        fd = open_private(file)
        # Workers inherit the descriptor: the record is locked until the last of them has ended.
        fcntl.flock(fd, fcntl.LOCK_EX)
        if os.fstat(fd).st_nlink:
            os.pwrite(fd, json.dumps(record._asdict()).encode(), 0)
            return fd
        # Another server removed it as dead before it was locked.
        os.close(fd)


def _read_living(fd: int) -> Record | None:
    """The record of a server that lives."""
    with suppress(OSError):
        if _is_locked(fd, fcntl.LOCK_SH):
            return _parse(os.pread(fd, MAX_BYTES, 0))
    return None


def _parse(content: bytes) -> Record | None:
    """The record in a file; None if it is damaged. Another user may have written it to be shown to this one."""
    with suppress(ValueError, RecursionError):
        match json.loads(content):
            case {"started": float(started), "node": str(node), "host": str(host), "port": int(port)}:
                if ADDRESS.fullmatch(host) and ip_address(host) and 0 < port <= MAX_PORT:
                    return Record(started, node, host, port)
    return None


def _remove_dead(folder: Path) -> None:
    for opened, name, fd in opened_files(folder, NAME):
        with suppress(OSError):
            if not _is_locked(fd, fcntl.LOCK_EX):
                opened.delete(name)


def _is_locked(fd: int, operation: int) -> bool:
    """Whether another process holds the lock; takes it otherwise."""
    try:
        fcntl.flock(fd, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False
