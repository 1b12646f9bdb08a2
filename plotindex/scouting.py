"""The process that looks at sessions ahead of one that writes, and how it tells what it saw.

It is asked by sessions' names on its standard input, and answers on its standard output in the same order.
"""

import gc
import json
import os
import signal
import struct
import sys
from array import array
from pathlib import Path
from typing import Any, BinaryIO

from plotindex.layout import POSITION, Layout, Plot, Row, Scope
from plotindex.processes import die_with_parent
from plotindex.tree import Tree
from plotindex.walk import Linked, Walk

LENGTH = struct.Struct("=Q")
"""Before each question and each part of an answer: how many bytes it has."""
NAMES = range(1, 3)
"""Of a row: project and filename. No name has a NUL."""
NUMBERS = range(3, 7)
"""Of a row: size, mtime_ns, ctime_ns, inode."""


def arguments_for(tree: Tree) -> list[str | bytes]:
    """What `main` is to be started with."""
    layout = tree.layout
    numbers = [str(layout.max_depth), str(layout.max_plots)]
    return [os.fsencode(tree.root), layout.project_pattern, " ".join(sorted(layout.suffixes)), *numbers]


def pack(walk: Walk) -> bytes:
    """What a walk of one session saw, its rows by filename and project."""
    rows: list[tuple[Any, ...]] = sorted(walk.rows, key=POSITION)
    told = {
        "unreadable": {path: error.errno for path, error in walk.unreadable.items()},
        "closed": list(walk.closed),
        "odd": walk.odd,
        "stamps": walk.stamps,
        "unstamped": walk.unstamped,
        "linked": [(linked.plot, linked.names) for linked in walk.linked],
        "deep": walk.deep,
        "cut": walk.cut,
        "left_out": walk.left_out,
        "rows": len(rows),
    }
    # A column at a time: making and reading a million rows one by one takes a second.
    columns = list(zip(*rows, strict=True)) or [()] * len(Plot._fields)
    names = ["\0".join(columns[number]).encode() for number in NAMES]
    numbers = [array("q", columns[number]).tobytes() for number in NUMBERS]
    parts = [json.dumps(told).encode(), *names, *numbers]
    return b"".join(piece for part in parts for piece in (LENGTH.pack(len(part)), part))


def unpack(answer: bytes, session: str, walk: Walk) -> None:
    """Let a walk of that session say what `pack` told."""
    parts = _parts(answer)
    told = json.loads(parts[0])
    errors = {path: OSError(number, os.strerror(number)) for path, number in told["unreadable"].items()}
    walk.unreadable.update(errors)
    walk.closed.update({path: errors[path] for path in told["closed"]})
    walk.odd.update(told["odd"])
    walk.stamps = {folder: (stamp[0], stamp[1], stamp[2], stamp[3]) for folder, stamp in told["stamps"].items()}
    walk.linked = [Linked(Plot._make(plot), names) for plot, names in told["linked"]]
    walk.unstamped = told["unstamped"]
    walk.deep, walk.cut, walk.left_out = told["deep"], told["cut"], told["left_out"]
    walk.rows = _rows(session, parts, told["rows"])


def _rows(session: str, parts: list[bytes], count: int) -> list[Row]:
    if not count:
        return []
    projects, filenames = (part.decode().split("\0") for part in parts[1:3])
    size, mtime, ctime, inode = (array("q", part).tolist() for part in parts[3:])
    return list(zip([session] * count, projects, filenames, size, mtime, ctime, inode, strict=True))


def _parts(answer: bytes) -> list[bytes]:
    parts = []
    position = 0
    while position < len(answer):
        (length,) = LENGTH.unpack_from(answer, position)
        position += LENGTH.size
        parts.append(answer[position : position + length])
        position += length
    return parts


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
            walk.go_on()
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
