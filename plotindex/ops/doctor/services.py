"""The indexer, the server's port, and what thumbnails need."""

import errno
import os
import socket
from collections.abc import Iterator
from typing import NoReturn

from plotindex.errors import CatalogError
from plotindex.ops.doctor.context import Subject
from plotindex.ops.doctor.findings import Finding, bad, counted, ok, split, warn
from plotindex.ops.probe import is_served
from plotindex.ops.status import read_status
from plotindex.rendering.protocol import MAX_RESULT_BYTES
from plotindex.rendering.sandbox import ConfinementError, confine
from plotindex.storage import IndexerStats
from plotindex.system import escape

ANSWER_SECONDS = 3.0
ANSWER_FD = 3


def check_indexer(subject: Subject) -> Iterator[Finding]:
    """Whether an indexer is alive, and how fresh what it knows."""
    beat = subject.indexer
    if beat is None and subject.is_begun:
        # Why there is none to be heard of may be worth knowing.
        subject.catalog.heartbeats()
    if beat is None:
        yield warn("indexer", "No indexer has begun yet, so nobody follows what is drawn", "start `plotindex watch`")
        return
    measured = IndexerStats.load(beat.measured)
    if beat.is_recent and beat.is_healthy and measured.closed:
        which = f"{counted(measured.closed, 'folder')} that its user may not read"
        yield warn(
            "indexer",
            f"The indexer is {beat.state}, but not {which}; it looks at each every few seconds instead",
            "let that user read what root-folders names when that user asks",
        )
        return
    try:
        trouble = read_status(subject.catalog, subject.settings.layout, lock=subject.settings.indexer_lock).trouble
    except CatalogError as error:
        yield warn("indexer", *split(str(error)))
        return
    if trouble is None:
        rolled = counted(measured.rolled_folders, "folder")
        also = f"; {rolled} it looks at round and round" if measured.rolled_folders else ""
        yield ok("indexer", f"The indexer is {beat.state}: process {beat.pid} on {escape(beat.host)}{also}")
        return
    seen, remedy = split(trouble)
    told = bad if beat.state == "lost" else warn
    yield told("indexer", seen, remedy or "`plotindex status` says more")


def check_port(subject: Subject) -> Iterator[Finding]:
    """Whether the server can have its port, or has it."""
    settings = subject.settings
    where = f"{escape(settings.host)} port {settings.port}"
    other = "name another --host or --port"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            # Never listened on: nobody is answered here.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except UnicodeError:
        yield bad("port", f"{where} cannot be listened on (no name of a host)", other)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            yield bad("port", f"{where} cannot be listened on ({error.strerror})", other)
        elif is_served(settings.host, settings.port, ANSWER_SECONDS):
            yield ok("port", f"A server of plotindex answers at {where}")
        else:
            yield bad("port", f"{where} is in use by another program", f"stop it (`ss -ltnp` says which), or {other}")
    else:
        yield ok("port", f"{where} is free; no server runs there")


def check_drawing(_subject: Subject) -> Iterator[Finding]:
    """Whether a process can be shut in here to draw thumbnails: tried in a child, which ends."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _try_to_confine(writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        text = escape(told.read().decode(errors="replace"))
    _, status = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(status) == 0:
        yield ok("thumbnails", f"Thumbnails can be drawn by a process that is shut in ({text})")
        return
    yield warn(
        "thumbnails",
        f"No process can be shut in to draw thumbnails ({text}): plots are served in their place",
        "a kernel with Landlock (Linux 5.13), user namespaces, or a start as root",
    )


def _try_to_confine(descriptor: int) -> NoReturn:
    """In the child: shut it in, and end it. What it is told is written to the descriptor."""
    code = 1
    try:
        # It may have few files open afterwards.
        os.dup2(descriptor, ANSWER_FD)
        os.closerange(ANSWER_FD + 1, max(ANSWER_FD, descriptor, os.sysconf("SC_OPEN_MAX")) + 1)
        try:
            told = " and ".join(confine(MAX_RESULT_BYTES))
            code = 0
        except (ConfinementError, OSError) as error:
            told = str(error)
        os.write(ANSWER_FD, told.encode())
    finally:
        os._exit(code)
