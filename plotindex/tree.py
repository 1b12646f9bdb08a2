"""The tree on disk: walk, look, find, open. The only module that touches plot files.

Whoever writes plots is not trusted. Every path is opened beneath the root one component at a time,
refusing a symlink at each, so what cannot be served is never seen.
"""

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from plotindex.beneath import ABSENT, FILE, FOLDER, FOLDER_PATH, closing_descriptor, folder_beneath, status_beneath
from plotindex.layout import Layout, Plot, PlotKey, Scope, clamp, is_name, is_text, newest_first, signed
from plotindex.mounts import mount_of

NOT_UTF8 = "its name is not UTF-8"
OUT_OF_RANGE = "its time is beyond 64 bits and counts as the nearest that is not"


class Walk(NamedTuple):
    """What was found within one scope, what could not be looked at, and what can never be indexed."""

    plots: list[Plot]
    unreadable: dict[str, OSError]
    """Scope -> why: nothing is known about what lies at or below it."""
    odd: dict[str, str]
    """Path -> what is odd about it: a name that is not UTF-8, a time beyond 64 bits."""


class OpenPlot(NamedTuple):
    """A plot and the descriptor it was looked at through: what is served is what was checked."""

    plot: Plot
    fd: int


class Tree:
    """The sessions, projects and plots below one root directory."""

    def __init__(self, root: Path, layout: Layout | None = None) -> None:
        self.root = root
        self.layout = layout or Layout()

    def identity(self) -> str:
        """File system type and inode of the directory that the root's path leads to now.

        `st_dev` is no part of it: it changes over reboots.

        Raises:
            OSError: nothing can be seen there.
        """
        inode = self.root.stat().st_ino
        mount = mount_of(self.root)
        return f"{mount.fs_type if mount else 'unknown'}:{inode}"

    def is_there(self) -> bool:
        """Whether the root's path leads to a directory now."""
        return self.root.is_dir()

    def sessions(self, odd: dict[str, str] | None = None) -> list[str]:
        """Names of the sessions, in byte order; directories that can be none go into `odd`.

        Raises:
            OSError: the root cannot be listed.
        """
        names = []
        with self.folder(()) as fd, os.scandir(fd) as entries:
            for entry in entries:
                if not entry.is_dir(follow_symlinks=False):
                    continue
                if is_name(entry.name):
                    names.append(entry.name)
                elif odd is not None:
                    odd[entry.name] = NOT_UTF8
        return sorted(names)

    def has_session(self, session: str) -> bool:
        """Whether that session is there to be seen.

        Raises:
            OSError: for a reason other than absence.
        """
        try:
            with self.folder((session,), FOLDER_PATH):
                return True
        except OSError as error:
            if error.errno in ABSENT:
                return False
            raise

    def walk(self, scope: Scope) -> Walk:
        """Every plot within a scope that lies in one session.

        Says what it could not look at; never raises for it.
        """
        assert scope.session is not None, "the root is walked session by session"
        walk = Walk([], {}, {})
        try:
            if scope.project is None:
                for project in self._projects(scope.session, walk):
                    self._walk_folder(scope.session, project, "", walk)
            elif scope.path is None:
                self._walk_folder(scope.session, scope.project, "", walk)
            else:
                self._walk_entry(scope.session, scope.project, scope.path, walk)
        except OSError as error:
            if error.errno not in ABSENT:
                walk.unreadable[str(scope)] = error
        return walk

    def look(self, session: str, project: str, filename: str) -> Plot | None:
        """That one plot as it is now, or None when it is absent or no plot.

        Raises:
            OSError: it cannot be looked at.
        """
        with self.looking() as glance:
            return glance(session, project, filename)

    @contextmanager
    def looking(self) -> Iterator["Glance"]:
        """Many looks for the price of one: `look`, keeping the last folder open in between."""
        with closing(Glance(self)) as glance:
            yield glance

    def find(self, key: PlotKey) -> list[Plot]:
        """Every copy of a key, by looking into each project of its session; the current copy first.

        Raises:
            OSError: the session cannot be listed, or no copy was found and some project refused a look.
        """
        if self.layout.parse_key(*key) is None:
            return []
        parts = key.filename.split("/")
        copies = []
        refused: OSError | None = None
        try:
            with self.folder((key.session,)) as session_fd:
                for project in self._project_names(session_fd):
                    try:
                        status = status_beneath((project, *parts), session_fd)
                    except OSError as error:
                        refused = refused or (error if error.errno not in ABSENT else None)
                        continue
                    if stat.S_ISREG(status.st_mode):
                        copies.append(_plot(key.session, project, key.filename, status))
        except OSError as error:
            if error.errno not in ABSENT:
                raise
        if refused and not copies:
            raise refused
        return newest_first(copies)

    def open(self, session: str, project: str, filename: str) -> OpenPlot | None:
        """Open that plot for reading, or None when it is absent or no plot. The caller closes the descriptor.

        Raises:
            OSError: it cannot be opened.
        """
        if not (self.layout.is_project(project) and self.layout.parse_key(session, filename)):
            return None
        *folders, name = f"{session}/{project}/{filename}".split("/")
        try:
            with self.folder(folders, FOLDER_PATH) as folder_fd:
                fd = os.open(name, FILE, dir_fd=folder_fd)
        except OSError as error:
            if error.errno in ABSENT:
                return None
            raise
        try:
            status = os.fstat(fd)
        except OSError:
            os.close(fd)
            raise
        if not stat.S_ISREG(status.st_mode):
            os.close(fd)
            return None
        return OpenPlot(_plot(session, project, filename, status), fd)

    @contextmanager
    def folder(self, parts: Sequence[str], flags: int = FOLDER) -> Iterator[int]:
        """A descriptor of the folder that `parts` lead to below the root; with FOLDER_PATH not for listing."""
        # The root's own path may lead through symlinks: the operator chose it. Nothing below it may.
        root_fd = os.open(self.root, (FOLDER_PATH if parts else flags) & ~os.O_NOFOLLOW)
        with closing_descriptor(root_fd), folder_beneath(parts, root_fd, flags) as fd:
            yield fd

    def _projects(self, session: str, walk: Walk) -> list[str]:
        with self.folder((session,)) as fd:
            return self._project_names(fd, session, walk)

    def _project_names(self, session_fd: int, session: str = "", walk: Walk | None = None) -> list[str]:
        names = []
        with os.scandir(session_fd) as entries:
            for entry in entries:
                if self.layout.is_project(entry.name) and entry.is_dir(follow_symlinks=False):
                    names.append(entry.name)
                elif walk and not is_text(entry.name) and entry.is_dir(follow_symlinks=False):
                    walk.odd[f"{session}/{entry.name}"] = NOT_UTF8
        return names

    def _walk_entry(self, session: str, project: str, path: str, walk: Walk) -> None:
        *folders, name = f"{session}/{project}/{path}".split("/")
        with self.folder(folders, FOLDER_PATH) as fd:
            status = os.stat(name, dir_fd=fd, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            self._walk_folder(session, project, path + "/", walk)
        elif stat.S_ISREG(status.st_mode) and self.layout.has_suffix(path.rpartition("/")[2]):
            walk.plots.append(_plot(session, project, path, status, walk))

    def _walk_folder(self, session: str, project: str, folder: str, walk: Walk) -> None:
        """`folder` is "" or a path below the project that ends with a slash.

        Iterative: how deep a tree is, the script chooses.
        """
        try:
            with self.folder((session, project)) as project_fd:
                pending = [folder]
                while pending:
                    below = pending.pop()
                    try:
                        pending.extend(self._list_folder(session, project, below, project_fd, walk))
                    except OSError as error:
                        if error.errno not in ABSENT:
                            walk.unreadable[f"{session}/{project}/{below}".rstrip("/")] = error
        except OSError as error:
            if error.errno not in ABSENT:
                walk.unreadable[f"{session}/{project}"] = error

    def _list_folder(self, session: str, project: str, folder: str, project_fd: int, walk: Walk) -> list[str]:
        """Append the plots directly in `folder` to `walk`; return the folders in it."""
        folders = []
        parts = folder.split("/")[:-1]
        has_suffix, plots = self.layout.has_suffix, walk.plots
        with folder_beneath(parts, project_fd) as fd, os.scandir(fd) as entries:
            for entry in entries:
                name = entry.name
                is_folder = entry.is_dir(follow_symlinks=False)
                if not is_folder and not has_suffix(name):
                    continue
                if not is_text(name):
                    walk.odd[f"{session}/{project}/{folder}{name}"] = NOT_UTF8
                elif is_folder:
                    folders.append(f"{folder}{name}/")
                else:
                    try:
                        status = entry.stat(follow_symlinks=False)
                    except OSError as error:
                        if error.errno not in ABSENT:
                            walk.unreadable[f"{session}/{project}/{folder}{name}"] = error
                        continue
                    if stat.S_ISREG(status.st_mode):
                        plots.append(_plot(session, project, folder + name, status, walk))
        return folders


class Glance:
    """A look at one plot after another, in the order of their folders. Made by `Tree.looking`."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._place: tuple[str, ...] = ()
        self._opened: ExitStack = ExitStack()
        self._fd: int | OSError = OSError(errno.ENOENT, "no folder opened yet")

    def __call__(self, session: str, project: str, filename: str) -> Plot | None:
        """As `Tree.look`."""
        layout = self._tree.layout
        if not (layout.is_project(project) and layout.parse_key(session, filename)):
            return None
        *folders, name = filename.split("/")
        self._go((session, project, *folders))
        try:
            if isinstance(self._fd, OSError):
                raise self._fd
            status = os.stat(name, dir_fd=self._fd, follow_symlinks=False)
        except OSError as error:
            if error.errno in ABSENT:
                return None
            raise
        return _plot(session, project, filename, status) if stat.S_ISREG(status.st_mode) else None

    def _go(self, place: tuple[str, ...]) -> None:
        if place == self._place:
            return
        self.close()
        self._place = place
        try:
            self._fd = self._opened.enter_context(self._tree.folder(place, FOLDER_PATH))
        except OSError as error:
            self._fd = error

    def close(self) -> None:
        self._opened.close()


def _plot(session: str, project: str, filename: str, status: os.stat_result, walk: Walk | None = None) -> Plot:
    mtime_ns, ctime_ns = clamp(status.st_mtime_ns), clamp(status.st_ctime_ns)
    if walk is not None and mtime_ns != status.st_mtime_ns:
        walk.odd[f"{session}/{project}/{filename}"] = OUT_OF_RANGE
    return Plot(session, project, filename, status.st_size, mtime_ns, ctime_ns, signed(status.st_ino))
