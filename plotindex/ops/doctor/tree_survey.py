"""A survey of every folder that can hold plots: number, owners, newest change, and symlinks, which are not served."""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from plotindex.system import ABSENT_ERRNOS
from plotindex.tree import Layout, Tree

MAX_SYMLINKS = 1_000


class Symlink(NamedTuple):
    """A symlink below the root, what it stands for, and its target."""

    path: str
    kind: str
    target: str


@dataclass
class Survey:
    """The result of a survey."""

    folders: int = 0
    """Folders to watch: the root, sessions, projects, and folders of plots."""
    symlinks: list[Symlink] = field(default_factory=list)
    """At most MAX_SYMLINKS that stand for a session, a project, a plot or a folder of plots."""
    symlink_count: int = 0
    unreadable: dict[str, OSError] = field(default_factory=dict)
    """Folder -> the error when listing it."""
    owners: dict[int, set[int]] = field(default_factory=dict)
    """User id -> group ids of the sessions and projects that belong to that user."""
    ignored: int = 0
    """Folders and plots that `ignore` leaves out."""
    first_ignored: str = ""
    """One of them."""
    newest: tuple[int, str] = (0, "")
    """The latest ctime of a folder in ns, and that folder."""


def survey(tree: Tree, progress: Callable[[int, int], None] | None = None) -> Survey:
    """Survey the tree; `progress` is called with the sessions done and all sessions.

    Raises:
        OSError: the root cannot be listed.
    """
    seen = Survey()
    pending: list[tuple[str, ...]] = [()]
    sessions = done = 0
    while pending:
        parts = pending.pop()
        try:
            folders = _survey_folder(tree, parts, seen)
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


def _survey_folder(tree: Tree, parts: tuple[str, ...], seen: Survey) -> list[tuple[str, ...]]:
    """Add one folder to the survey; return its subfolders."""
    folders: list[tuple[str, ...]] = []
    links: list[Symlink] = []
    with tree.folder(parts) as fd, os.scandir(fd) as entries:
        seen.folders += 1
        seen.newest = max(seen.newest, (os.fstat(fd).st_ctime_ns, "/".join(parts)))
        for entry in entries:
            place = (*parts, entry.name)
            # The entry may vanish meanwhile, or lead where this user has no access.
            with suppress(OSError):
                if tree.layout.is_ignored(entry.name):
                    if _is_left_out(tree.layout, place, entry):
                        seen.ignored += 1
                        seen.first_ignored = seen.first_ignored or "/".join(place)
                elif not entry.is_symlink():
                    if entry.is_dir(follow_symlinks=False) and _may_hold_plots(tree.layout, place):
                        folders.append(place)
                        if len(place) <= 2:
                            status = entry.stat(follow_symlinks=False)
                            seen.owners.setdefault(status.st_uid, set()).add(status.st_gid)
                elif kind := _kind(tree.layout, place, entry):
                    links.append(Symlink("/".join(place), kind, os.readlink(entry.name, dir_fd=fd)))
    seen.symlink_count += len(links)
    seen.symlinks += sorted(links)[: MAX_SYMLINKS - len(seen.symlinks)]
    return folders


def _kind(layout: Layout, place: tuple[str, ...], entry: "os.DirEntry[str]") -> str | None:
    """What a symlink would be if symlinks were followed, or None."""
    if entry.is_dir():
        if not _may_hold_plots(layout, place):
            return None
        kinds = {1: "session", 2: "project" if layout.is_project(entry.name) else "folder of plots"}
        return kinds.get(len(place), "folder of plots")
    may_be_plot = len(place) > (1 if layout.has_session_project else 2)
    return "plot" if may_be_plot and entry.is_file() and layout.has_suffix(entry.name) else None


def _is_left_out(layout: Layout, place: tuple[str, ...], entry: "os.DirEntry[str]") -> bool:
    """Whether an ignored entry is a folder, or would be a plot."""
    if entry.is_dir(follow_symlinks=False):
        return True
    may_be_plot = len(place) > (1 if layout.has_session_project else 2)
    return may_be_plot and layout.has_suffix(entry.name) and entry.is_file(follow_symlinks=False)


def _may_hold_plots(layout: Layout, place: tuple[str, ...]) -> bool:
    if len(place) == 1:
        return layout.is_indexable(place[0])
    scope = layout.parse_scope("/".join(place))
    return scope is not None and not layout.is_beyond_limits(f"{scope.path}/" if scope.path else "")
