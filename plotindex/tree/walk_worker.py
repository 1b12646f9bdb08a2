"""The child process of `parallel_walk` and `scanner`: reads requests from stdin, writes responses to stdout in order.

A request is a session to walk, or the session and filename of a key whose copies to find, with a slash between.
"""

import gc
import marshal
import os
import signal
import struct
import sys
import time
from pathlib import Path
from typing import BinaryIO

from plotindex.system import die_with_parent
from plotindex.tree.layout import Layout
from plotindex.tree.plots import Plot, PlotKey, Row
from plotindex.tree.scopes import Scope
from plotindex.tree.tree import Tree
from plotindex.tree.walk import HardLinkedPlot, Walk

LENGTH = struct.Struct("=Q")
"""Precedes each request and response: its length in bytes."""
KEEPALIVE = 0
"""Instead of a response's length: a slow walk has made progress."""
KEEPALIVE_SECONDS = 1.0
FOR_INDEX, FOR_REQUESTS = "index", "requests"
"""The first argument of a process: walks for the index are bounded by the layout, those for requests are not."""
NICENESS = 10
"""Of a process that scans for requests: hits, which take no scan, go first."""


def arguments_for(tree: Tree, *, for_requests: bool) -> list[str | bytes]:
    """The command-line arguments for `main`."""
    layout = tree.layout
    limits = map(str, (layout.max_depth, layout.max_plots, layout.max_filename_bytes, layout.max_names_bytes))
    purpose = FOR_REQUESTS if for_requests else FOR_INDEX
    return [purpose, os.fsencode(tree.root), layout.project_pattern, " ".join(sorted(layout.suffixes)), *limits]


def pack(walk: Walk) -> bytes:
    """Serialize the walk of one session, with its rows in the order of `ROW_SORT_KEY`."""
    unreadable = {path: error.errno for path, error in walk.unreadable.items()}
    hard_linked = [(tuple(plot), links) for plot, links in walk.hard_linked]
    folders = unreadable, list(walk.unreadable_folders), walk.unsupported, walk.stamps, walk.unstamped, hard_linked
    return marshal.dumps((*folders, walk.excluded, walk.cutoff, walk.truncated, sorted(walk.rows, key=_sort_key)))


def unpack(response: bytes, walk: Walk) -> None:
    """Copy what `pack` serialized into a walk of the same session."""
    # Trusted: it comes from this program, through a private pipe.
    fields = marshal.loads(response)  # noqa: S302 - see above
    unreadable, folders, unsupported, walk.stamps, walk.unstamped, hard_linked, *results = fields
    errors = {path: OSError(number, os.strerror(number)) for path, number in unreadable.items()}
    walk.unreadable.update(errors)
    walk.unreadable_folders.update({path: errors[path] for path in folders})
    walk.unsupported.update(unsupported)
    walk.hard_linked = [HardLinkedPlot(Plot._make(plot), links) for plot, links in hard_linked]
    walk.excluded, walk.cutoff, walk.truncated, walk.rows = results


def unpack_copies(response: bytes) -> list[Plot]:
    """The result of `Tree.find`.

    Raises:
        OSError: as `Tree.find`.
    """
    # Trusted: see `unpack`.
    error, copies = marshal.loads(response)  # noqa: S302 - see above
    if error is not None:
        raise OSError(*error)
    return [Plot._make(copy) for copy in copies]


def _sort_key(row: Row) -> str:
    """Sorts as `ROW_SORT_KEY`, since no name contains NUL; quicker to compare."""
    return f"{row[2]}\0{row[1]}"


def main(purpose: str, root: str, pattern: str, suffixes: str, *limits: str) -> None:
    # The parent ends this process by closing its stdin, or by dying.
    if purpose == FOR_REQUESTS:
        # No signal: the kernel would send it when the thread ends that started this process.
        os.nice(NICENESS)
    else:
        die_with_parent(signal.SIGKILL)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # Nothing here makes reference cycles, and searching for them takes a tenth of the time.
    gc.disable()
    layout = Layout(pattern, frozenset(suffixes.split()), *map(int, limits))
    tree = Tree(Path(root), layout)
    serve_requests(tree, sys.stdin.buffer, sys.stdout.buffer, is_bounded=purpose == FOR_INDEX)


def serve_requests(tree: Tree, requests: BinaryIO, responses: BinaryIO, *, is_bounded: bool) -> None:
    """Walk each requested session and find each requested key, until `requests` ends."""
    while head := requests.read(LENGTH.size):
        session, slash, filename = requests.read(*LENGTH.unpack(head)).decode().partition("/")
        key = PlotKey(session, filename)
        response = _find(tree, key, responses) if slash else _walk(tree, session, responses, is_bounded=is_bounded)
        responses.write(LENGTH.pack(len(response)))
        responses.write(response)
        responses.flush()


def _walk(tree: Tree, session: str, responses: BinaryIO, *, is_bounded: bool) -> bytes:
    with tree.open_reader() as reader:
        walk = reader.start_walk(Scope(session), is_bounded=is_bounded)
        while not walk.advance(time.monotonic() + KEEPALIVE_SECONDS):
            _keep_alive(responses)
    return pack(walk)


def _find(tree: Tree, key: PlotKey, responses: BinaryIO) -> bytes:
    signal.signal(signal.SIGALRM, lambda *_: _keep_alive(responses))
    signal.setitimer(signal.ITIMER_REAL, KEEPALIVE_SECONDS, KEEPALIVE_SECONDS)
    try:
        return marshal.dumps((None, [tuple(copy) for copy in tree.find(key)]))
    except OSError as error:
        return marshal.dumps(((error.errno, error.strerror, error.filename), []))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _keep_alive(responses: BinaryIO) -> None:
    responses.write(LENGTH.pack(KEEPALIVE))
    responses.flush()


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except BrokenPipeError:
        # The parent has gone; skip flushing stdout at exit.
        os._exit(0)
