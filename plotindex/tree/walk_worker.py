"""The process that looks at sessions ahead of one that writes, and how it tells what it saw.

It is asked by sessions' names on its standard input, and answers on its standard output in the same order.
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
from plotindex.tree.plots import Plot, Row
from plotindex.tree.scopes import Scope
from plotindex.tree.tree import Tree
from plotindex.tree.walk import Linked, Walk

LENGTH = struct.Struct("=Q")
"""Before each question and each answer: how many bytes it has."""
STILL_LOOKING = 0
"""In place of that of an answer: it is slow, and not stuck."""
SIGN_SECONDS = 1.0
"""How often it says so."""


def arguments_for(tree: Tree) -> list[str | bytes]:
    """What `main` is to be started with."""
    layout = tree.layout
    numbers = [str(layout.max_depth), str(layout.max_plots)]
    return [os.fsencode(tree.root), layout.project_pattern, " ".join(sorted(layout.suffixes)), *numbers]


def pack(walk: Walk) -> bytes:
    """What a walk of one session saw, its rows by filename and project."""
    unreadable = {path: error.errno for path, error in walk.unreadable.items()}
    linked = [(tuple(linked.plot), linked.names) for linked in walk.linked]
    seen = unreadable, list(walk.closed), walk.odd, walk.stamps, walk.unstamped, linked
    return marshal.dumps((*seen, walk.deep, walk.cut, walk.left_out, sorted(walk.rows, key=_place)))


def unpack(answer: bytes, walk: Walk) -> None:
    """Let a walk of the same session say what `pack` told."""
    # It comes from this program itself, by a pipe that nobody else has.
    unreadable, closed, odd, walk.stamps, walk.unstamped, linked, *numbers = marshal.loads(answer)  # noqa: S302 - see above
    errors = {path: OSError(number, os.strerror(number)) for path, number in unreadable.items()}
    walk.unreadable.update(errors)
    walk.closed.update({path: errors[path] for path in closed})
    walk.odd.update(odd)
    walk.linked = [Linked(Plot._make(plot), names) for plot, names in linked]
    walk.deep, walk.cut, walk.left_out, walk.rows = numbers


def _place(row: Row) -> str:
    """In the order of `POSITION`, since no name has a NUL, and quicker to compare."""
    return f"{row[2]}\0{row[1]}"


def main(root: str, pattern: str, suffixes: str, max_depth: str, max_plots: str) -> None:
    # Whoever started it ends it, by closing what it reads; or dies, while this one waits for a disk.
    die_with_parent(signal.SIGKILL)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # Nothing here refers to itself in a circle, and looking for such things takes a tenth of the time.
    gc.disable()
    layout = Layout(pattern, frozenset(suffixes.split()), int(max_depth), int(max_plots))
    answer_all(Tree(Path(root), layout), sys.stdin.buffer, sys.stdout.buffer)


def answer_all(tree: Tree, questions: BinaryIO, answers: BinaryIO) -> None:
    """Look at each session that is asked for, until nobody asks any more."""
    while head := questions.read(LENGTH.size):
        session = questions.read(*LENGTH.unpack(head)).decode()
        with tree.looking() as glance:
            walk = glance.walking(Scope(session), most=tree.layout.max_plots)
            while not walk.go_on(time.monotonic() + SIGN_SECONDS):
                answers.write(LENGTH.pack(STILL_LOOKING))
                answers.flush()
        answer = pack(walk)
        answers.write(LENGTH.pack(len(answer)))
        answers.write(answer)
        answers.flush()


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except BrokenPipeError:
        # Nobody waits for it any more; nor is there anything left to be written.
        os._exit(0)
