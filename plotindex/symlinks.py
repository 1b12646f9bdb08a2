"""Symlinks where sessions, projects and plots are looked for: none is followed, so what they lead to is not served."""

import os
from collections.abc import Iterator
from typing import NamedTuple

from plotindex.layout import Layout, is_name
from plotindex.tree import Tree


class Symlink(NamedTuple):
    """A symlink below the root, what it stands for, and where it leads."""

    path: str
    kind: str
    target: str


def find_symlinks(tree: Tree) -> Iterator[Symlink]:
    """Every symlink that stands for a session, a project, a plot or a folder of plots, of what can be seen."""
    pending: list[tuple[str, ...]] = [()]
    while pending:
        parts = pending.pop()
        links: list[Symlink] = []
        try:
            with tree.folder(parts) as fd, os.scandir(fd) as entries:
                for entry in entries:
                    place = (*parts, entry.name)
                    if not entry.is_symlink():
                        if entry.is_dir(follow_symlinks=False) and _may_hold_plots(tree.layout, place):
                            pending.append(place)
                    elif kind := _kind(tree.layout, place, entry):
                        links.append(Symlink("/".join(place), kind, os.readlink(entry.name, dir_fd=fd)))
        except OSError:
            continue
        yield from sorted(links)


def _kind(layout: Layout, place: tuple[str, ...], entry: "os.DirEntry[str]") -> str | None:
    """What the function that followed symlinks would have taken it for, or None."""
    if entry.is_dir():
        if not _may_hold_plots(layout, place):
            return None
        return {1: "session", 2: "project"}.get(len(place), "folder of plots")
    return "plot" if len(place) > 2 and entry.is_file() and layout.has_suffix(entry.name) else None


def _may_hold_plots(layout: Layout, place: tuple[str, ...]) -> bool:
    name = place[-1]
    return layout.is_project(name) if len(place) == 2 else is_name(name) and len(place) - 2 <= layout.max_depth
