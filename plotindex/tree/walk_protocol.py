"""What `parallel_walk` and `scanner` exchange with their child process, `walk_worker`."""

import marshal
import os
import struct

from plotindex.tree.plots import HardLinkedPlot, Plot, Row
from plotindex.tree.tree import Tree
from plotindex.tree.walk import Walk

LENGTH = struct.Struct("=Q")
"""Precedes each request and response: its length in bytes."""
KEEPALIVE = 0
"""Instead of a response's length: a slow walk has made progress."""
FOR_INDEX, FOR_REQUESTS = "index", "requests"
"""The first argument of a process: walks for the index are bounded by the layout, those for requests are not."""


def arguments_for(tree: Tree, *, for_requests: bool) -> list[str | bytes]:
    """The command-line arguments for `main`."""
    layout = tree.layout
    limits = map(str, (layout.max_depth, layout.max_plots, layout.max_filename_bytes, layout.max_names_bytes))
    purpose = FOR_REQUESTS if for_requests else FOR_INDEX
    grammar = layout.project_pattern, " ".join(sorted(layout.suffixes)), layout.ignore
    return [purpose, os.fsencode(tree.root), *grammar, *limits]


def pack(walk: Walk) -> bytes:
    """Serialize the walk of one session, with its rows in the order of `ROW_SORT_KEY`."""
    unreadable = {path: error.errno for path, error in walk.unreadable.items()}
    hard_linked = [(tuple(plot), links) for plot, links in walk.hard_linked]
    folders = unreadable, list(walk.unreadable_folders), walk.unsupported, walk.stamps, walk.unstamped, hard_linked
    rows = sorted(walk.rows, key=_sort_key)
    return marshal.dumps((*folders, walk.excluded, walk.ignored, walk.cutoff, walk.truncated, rows))


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
    walk.excluded, walk.ignored, walk.cutoff, walk.truncated, walk.rows = results


def pack_copies(copies: list[Plot], error: OSError | None = None) -> bytes:
    """Serialize the result of `Tree.find`."""
    reason = None if error is None else (error.errno, error.strerror, error.filename)
    return marshal.dumps((reason, [tuple(copy) for copy in copies]))


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
