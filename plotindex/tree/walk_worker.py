"""The child process of `parallel_walk` and `scanner`: reads requests from stdin, writes responses to stdout in order.

A request is a session to walk, or the session and filename of a key whose copies to find, with a slash between.
"""

import gc
import os
import signal
import sys
import time
from pathlib import Path
from typing import BinaryIO

from plotindex.system import die_with_parent
from plotindex.tree.grammar import Layout
from plotindex.tree.plots import PlotKey
from plotindex.tree.scopes import Scope
from plotindex.tree.tree import Tree
from plotindex.tree.walk_protocol import FOR_INDEX, FOR_REQUESTS, KEEPALIVE, LENGTH, pack, pack_copies

KEEPALIVE_SECONDS = 1.0
NICENESS = 10
"""Of a process that scans for requests: hits, which take no scan, go first."""


def main(purpose: str, root: str, pattern: str, suffixes: str, ignore: str, *limits: str) -> None:
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
    layout = Layout(pattern, frozenset(suffixes.split()), ignore, *map(int, limits))
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
        return pack_copies(tree.find(key))
    except OSError as error:
        return pack_copies([], error)
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
