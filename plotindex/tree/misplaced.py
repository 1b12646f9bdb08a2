"""Why a root or session seems to have no plots: images that lie where the grammar does not look for them."""

import os
import time
from contextlib import suppress

from plotindex.system import printable
from plotindex.tree.tree import Tree

MAX_SECONDS = 0.5
"""Of one search; what is found until then is reported."""
MAX_DEPTH = 4
"""Folders below a session that are searched."""


def describe_misplaced(tree: Tree, session: str | None = None) -> str:
    """A sentence with the fix, for a root or a session without plots; empty if no images lie elsewhere."""
    pattern = printable(tree.layout.project_pattern)
    search = _Search(tree)
    try:
        sessions = [session] if session is not None else tree.sessions()
    except OSError:
        return ""
    if session is None and any(map(tree.layout.is_project, sessions)):
        return f"The root is a session itself, with folders that match {pattern}; set the root to the folder above it."
    if tree.layout.has_session_project:
        # Every image in a session is a plot.
        if session is not None or not search.images_in((), depth=-1):
            return ""
        return "The root is a session itself, with images in it; set the root to the folder above it."
    counts = [count for name in sessions if (count := search.images_in((name,)))]
    if not counts:
        return ""
    more = "" if search.is_complete else "More than "
    images, places = sum(counts), len(counts)
    where = "" if session is not None else f" in {places:,} session{'s' if places > 1 else ''}"
    return (
        f"{more}{images:,} image{'s' if images > 1 else ''}{where}, none below a folder that matches {pattern}; "
        "set project_pattern."
    )


class _Search:
    """Counts images until the time is over."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._deadline = time.monotonic() + MAX_SECONDS
        self.is_complete = True

    def images_in(self, folder: tuple[str, ...], depth: int = MAX_DEPTH) -> int:
        """Images in a session, outside its projects; or in the root."""
        images = 0
        pending = [folder]
        while pending and self.is_complete:
            place = pending.pop()
            with suppress(OSError), self._tree.folder(place) as fd, os.scandir(fd) as entries:
                for entry in entries:
                    if time.monotonic() > self._deadline:
                        self.is_complete = False
                        break
                    if self._tree.layout.is_ignored(entry.name):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        is_project = len(place) == 1 and self._tree.layout.is_project(entry.name)
                        if not is_project and len(place) <= depth:
                            pending.append((*place, entry.name))
                    elif self._tree.layout.has_suffix(entry.name) and entry.is_file(follow_symlinks=False):
                        images += 1
        return images
