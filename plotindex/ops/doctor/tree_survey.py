"""One look at every folder that can hold plots, for `plotindex doctor`: how many, whose, how new, and symlinks.

No symlink is followed, so what it leads to is not served.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from plotindex.system import ABSENT_ERRNOS
from plotindex.tree import Layout, Tree, is_name

MOST_NAMED = 1_000


class Symlink(NamedTuple):
    """A symlink below the root, what it stands for, and where it leads."""

    path: str
    kind: str
    target: str


@dataclass
class Survey:
    """What was seen."""

    folders: int = 0
    """How many can be watched: the root, sessions, projects and what is in these."""
    symlinks: list[Symlink] = field(default_factory=list)
    """Those that stand for a session, a project, a plot or a folder of plots; of very many only some."""
    linked: int = 0
    """How many there are."""
    unreadable: dict[str, OSError] = field(default_factory=dict)
    """Folder -> why it cannot be listed."""
    owners: dict[int, set[int]] = field(default_factory=dict)
    """User -> groups of the sessions and projects that are that user's, by their numbers."""
    newest: tuple[int, str] = (0, "")
    """When a folder was changed last, in nanoseconds by the clock of its file system, and which one."""


def survey(tree: Tree, progress: Callable[[int, int], None] | None = None) -> Survey:
    """Look at everything; `progress` is called with the number of sessions looked at and to look at.

    Raises:
        OSError: the root cannot be listed.
    """
    seen = Survey()
    pending: list[tuple[str, ...]] = [()]
    sessions = done = 0
    while pending:
        parts = pending.pop()
        try:
            folders = _look(tree, parts, seen)
        except OSError as error:
            if not parts:
                raise
            if error.errno not in ABSENT_ERRNOS:
                seen.unreadable["/".join(parts)] = error
            folders = []
        pending.extend(folders)
        if not parts:
            sessions = len(folders)
        elif progress and len(parts) == 1:
            done += 1
            progress(done, sessions)
    return seen


def _look(tree: Tree, parts: tuple[str, ...], seen: Survey) -> list[tuple[str, ...]]:
    """Note what is in one folder; return the folders in it."""
    folders: list[tuple[str, ...]] = []
    links: list[Symlink] = []
    with tree.folder(parts) as fd, os.scandir(fd) as entries:
        seen.folders += 1
        seen.newest = max(seen.newest, (os.fstat(fd).st_ctime_ns, "/".join(parts)))
        for entry in entries:
            place = (*parts, entry.name)
            # What vanishes meanwhile, or leads where this user may not look, stands for nothing.
            with suppress(OSError):
                if not entry.is_symlink():
                    if entry.is_dir(follow_symlinks=False) and _may_hold_plots(tree.layout, place):
                        folders.append(place)
                        if len(place) <= 2:
                            status = entry.stat(follow_symlinks=False)
                            seen.owners.setdefault(status.st_uid, set()).add(status.st_gid)
                elif kind := _kind(tree.layout, place, entry):
                    links.append(Symlink("/".join(place), kind, os.readlink(entry.name, dir_fd=fd)))
    seen.linked += len(links)
    seen.symlinks += sorted(links)[: MOST_NAMED - len(seen.symlinks)]
    return folders


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
