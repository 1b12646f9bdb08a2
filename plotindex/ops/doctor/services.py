"""Checks of the indexer, the server's port, and the sandbox for thumbnails."""

import errno
import os
import socket
from collections.abc import Iterator
from typing import NoReturn

from plotindex.errors import CatalogError
from plotindex.ops.doctor.context import Context
from plotindex.ops.doctor.findings import Finding, bad, ok, quantity, split_remedy, warn
from plotindex.ops.probe import is_serving
from plotindex.ops.status import read_status
from plotindex.rendering.protocol import MAX_RESULT_BYTES
from plotindex.rendering.sandbox import ConfinementError, confine
from plotindex.storage import IndexerStats
from plotindex.system import escape

PROBE_SECONDS = 3.0
RESULT_FD = 3


def check_indexer(context: Context) -> Iterator[Finding]:
    """Check that an indexer runs and keeps the catalogue up to date."""
    beat = context.indexer
    if beat is None and context.has_database:
        # `context.indexer` hides errors: raise them here.
        context.catalog.heartbeats()
    if beat is None:
        yield warn("indexer", "No indexer has run yet, so new plots are not indexed", "start `plotindex watch`")
        return
    if beat.is_recent and beat.state == "lost" and not context.has_root:
        # Reported by the check `root`.
        return
    stats = IndexerStats.load(beat.measured)
    if beat.is_recent and beat.is_healthy and stats.closed:
        which = f"{quantity(stats.closed, 'folder')} that its user may not read"
        seen = f"The indexer is {beat.state}, except {which}; it retries each every few seconds"
        yield warn(
            "indexer",
            seen,
            "make the folders that root-folders lists, run as that user, readable for that user (chmod, setfacl)",
        )
        return
    try:
        trouble = read_status(context.catalog, context.settings.layout, lock=context.settings.indexer_lock).trouble
    except CatalogError as error:
        yield warn("indexer", *split_remedy(str(error)))
        return
    if trouble is None:
        polled = f"; it polls {quantity(stats.rolled_folders, 'folder')}" if stats.rolled_folders else ""
        yield ok("indexer", f"The indexer is {beat.state}: process {beat.pid} on {escape(beat.host)}{polled}")
        return
    seen, remedy = split_remedy(trouble)
    finding = bad if beat.state == "lost" else warn
    yield finding("indexer", seen, remedy or "see `plotindex status`")


def check_port(context: Context) -> Iterator[Finding]:
    """Check that the server's port is free, or used by plotindex."""
    settings = context.settings
    where = f"{escape(settings.host)} port {settings.port}"
    remedy = "set another --host or --port"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            # Bound without listen(2): accepts no connection.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except UnicodeError:
        yield bad("port", f"{where} cannot be used (invalid host name)", remedy)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            yield bad("port", f"{where} cannot be used ({error.strerror})", remedy)
        elif is_serving(settings.host, settings.port, PROBE_SECONDS):
            yield ok("port", f"A plotindex server answers at {where}")
        else:
            yield bad("port", f"{where} is in use by another program", f"stop it (`ss -ltnp` shows it), or {remedy}")
    else:
        yield ok("port", f"{where} is free; no server runs there")


def check_sandbox(_context: Context) -> Iterator[Finding]:
    """Check in a child process that the renderer, which makes thumbnails, can be sandboxed."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _try_to_confine(writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as result:
        text = escape(result.read().decode(errors="replace"))
    _, status = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(status) == 0:
        yield ok("thumbnails", f"Thumbnails can be made in a sandbox ({text})")
        return
    yield warn(
        "thumbnails",
        f"No sandbox to make thumbnails in ({text}): plots are served in their place",
        "use a kernel with Landlock (Linux 5.13), allow user namespaces, or start as root",
    )


def _try_to_confine(descriptor: int) -> NoReturn:
    """In the child: enter the sandbox, write the result to the descriptor, and exit."""
    code = 1
    try:
        # The sandbox may limit open files.
        os.dup2(descriptor, RESULT_FD)
        os.closerange(RESULT_FD + 1, max(RESULT_FD, descriptor, os.sysconf("SC_OPEN_MAX")) + 1)
        try:
            result = " and ".join(confine(MAX_RESULT_BYTES))
            code = 0
        except (ConfinementError, OSError) as error:
            result = str(error)
        os.write(RESULT_FD, result.encode())
    finally:
        os._exit(code)
