"""The tree on disk: walk, look, find, open. The only module that touches plot files.

Whoever writes plots is not trusted. Every path is opened beneath the root one component at a time,
refusing a symlink at each, so what cannot be served is never seen.
"""

import errno
import os
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from plotindex.system import (
    ABSENT_ERRNOS,
    FOLDER_FLAGS,
    FOLDER_PATH_FLAGS,
    RELIABLE_CTIME_FS_TYPES,
    closing_fd,
    find_mount,
    open_beneath,
    open_folder_beneath,
    stat_beneath,
)
from plotindex.tree.layout import Layout, is_name
from plotindex.tree.plots import Plot, PlotKey, newest_first
from plotindex.tree.scopes import Scope
from plotindex.tree.walk import NOT_UTF8, Enter, Stamp, Walk, plot_of, stamp_of

FS_TYPE_SECONDS = 1.0
"""For how long the type of a device's file system is believed: the number may be another one's afterwards."""


class OpenPlot(NamedTuple):
    """A plot and the descriptor it was looked at through: what is served is what was checked."""

    plot: Plot
    fd: int


class Tree:
    """The sessions, projects and plots below one root directory."""

    def __init__(self, root: Path, layout: Layout | None = None) -> None:
        self.root = root
        self._path = str(root)
        self.layout = layout or Layout()
        self._fs_types: dict[int, tuple[str, float]] = {}

    def identity(self) -> str:
        """File system type and inode of the directory that the root's path leads to now.

        `st_dev` is no part of it: it changes over reboots.

        Raises:
            OSError: nothing can be seen there.
        """
        status = self.root.stat()
        return f"{self._fs_type(status.st_dev)}:{status.st_ino}"

    def _fs_type(self, device: int) -> str:
        known, asked = self._fs_types.get(device, ("", -FS_TYPE_SECONDS))
        if time.monotonic() - asked >= FS_TYPE_SECONDS:
            mount = find_mount(self.root)
            known = mount.fs_type if mount else "unknown"
            self._fs_types = {device: (known, time.monotonic())}
        return known

    def stamping_device(self) -> int | None:
        """The device of the root, if a folder's times tell there of each new name and each that goes; or None."""
        try:
            device = self.root.stat().st_dev
        except OSError:
            return None
        return device if self._fs_type(device) in RELIABLE_CTIME_FS_TYPES else None

    def is_there(self) -> bool:
        """Whether the root's path leads to a directory now."""
        return self.root.is_dir()

    def refusal(self) -> OSError | None:
        """Why the root cannot be listed and entered now, or None when it can."""
        try:
            with self.folder(()) as fd:
                os.stat(".", dir_fd=fd)
        except OSError as error:
            return error
        return None

    def may_be_entered(self) -> bool:
        """Whether what lies in the root can be opened by this process, where its names are known."""
        try:
            # Not by a Path, which leaves the dot out that asks for leave to enter.
            os.stat(f"{self._path}/.")  # noqa: PTH116 - see above
        except OSError:
            return False
        return True

    def sessions(self, odd: dict[str, str] | None = None, enter: Enter | None = None) -> list[str]:
        """Names of the sessions, in byte order; directories that can be none go into `odd`.

        `enter` is called with the root, as `walking` does with each folder.

        Raises:
            OSError: the root cannot be listed.
        """
        names = []
        with self.folder(()) as fd:
            if enter is not None:
                enter("", fd)
            with os.scandir(fd) as entries:
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
            with self.folder((session,), FOLDER_PATH_FLAGS):
                return True
        except OSError as error:
            if error.errno in ABSENT_ERRNOS:
                return False
            raise

    def walk(self, scope: Scope) -> Walk:
        """Every plot within a scope that lies in one session.

        Says what it could not look at; never raises for it.
        """
        with self.looking() as glance:
            walk = glance.walking(scope)
            walk.go_on()
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
        """Many looks for the price of one, keeping the last folder open in between: not for long, it may move away."""
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
            with self.folder((key.session,)) as session_fd, os.scandir(session_fd) as entries:
                for entry in entries:
                    try:
                        # In most projects nothing is there: one call says so, whatever symlinks it went through.
                        os.stat(f"{entry.name}/{key.filename}", dir_fd=session_fd, follow_symlinks=False)
                        if not self._is_project(entry):
                            continue
                        status = stat_beneath((entry.name, *parts), session_fd)
                    except OSError as error:
                        if error.errno not in ABSENT_ERRNOS and self._is_project(entry):
                            refused = refused or error
                        continue
                    if stat.S_ISREG(status.st_mode):
                        copies.append(plot_of(key.session, entry.name, key.filename, status))
        except OSError as error:
            if error.errno not in ABSENT_ERRNOS:
                raise
        if refused and not copies:
            raise refused
        return newest_first(copies)

    def open(self, key: PlotKey, project: str) -> OpenPlot | None:
        """Open a project's copy of a key for reading, or None when it is absent or no plot. Close the descriptor.

        Raises:
            OSError: it cannot be opened.
        """
        session, filename = key
        if not self.layout.is_project(project):
            return None
        try:
            fd = open_beneath(self._path, (session, project, *filename.split("/")))
        except OSError as error:
            # A device may be refused only because it is one.
            if error.errno in ABSENT_ERRNOS or self.look(session, project, filename) is None:
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
        return OpenPlot(plot_of(session, project, filename, status), fd)

    @contextmanager
    def folder(self, parts: Sequence[str], flags: int = FOLDER_FLAGS) -> Iterator[int]:
        """A descriptor of the folder that `parts` lead to below the root; with FOLDER_PATH not for listing."""
        # The root's own path may lead through symlinks: the operator chose it. Nothing below it may.
        root_fd = os.open(self.root, (FOLDER_PATH_FLAGS if parts else flags) & ~os.O_NOFOLLOW)
        with closing_fd(root_fd), open_folder_beneath(parts, root_fd, flags) as fd:
            yield fd

    def _is_project(self, entry: "os.DirEntry[str]") -> bool:
        return self.layout.is_project(entry.name) and entry.is_dir(follow_symlinks=False)


class Glance:
    """A look at one plot after another, in the order of their folders. Made by `Tree.looking`."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self._place: tuple[str, ...] = ()
        self._opened: ExitStack = ExitStack()
        self._fd: int | OSError = OSError(errno.ENOENT, "no folder opened yet")

    def __call__(self, session: str, project: str, filename: str) -> Plot | None:
        """As `Tree.look`."""
        layout = self.tree.layout
        if not (layout.is_project(project) and layout.parse_key(session, filename)):
            return None
        try:
            status = self.status(session, project, filename)
        except OSError as error:
            if error.errno in ABSENT_ERRNOS:
                return None
            raise
        return plot_of(session, project, filename, status) if stat.S_ISREG(status.st_mode) else None

    def walking(self, scope: Scope, enter: Enter | None = None, most: int | None = None) -> Walk:
        """As `Tree.walk`, but the caller lets it go on, step by step; `enter` is called with each folder."""
        layout, opener, stamping = self.tree.layout, self.tree.folder, self.tree.stamping_device()
        return Walk(layout, opener, self.status, scope, enter=enter, most=most, stamping=stamping)

    def is_still(self, session: str, folder: str, stamp: Stamp) -> bool:
        """Whether a folder, from its project on, has the stamp that it had: then it has the same names."""
        self._go((session, *folder.split("/")))
        return not isinstance(self._fd, OSError) and stamp_of(self._fd) == stamp

    def status(self, session: str, project: str, filename: str) -> os.stat_result:
        """The status of that path, through no symlink. Raises OSError where it has none."""
        *folders, name = filename.split("/")
        self._go((session, project, *folders))
        if isinstance(self._fd, OSError):
            raise self._fd
        return os.stat(name, dir_fd=self._fd, follow_symlinks=False)

    def _go(self, place: tuple[str, ...]) -> None:
        if place == self._place:
            return
        self.close()
        self._place = place
        try:
            self._fd = self._opened.enter_context(self.tree.folder(place, FOLDER_PATH_FLAGS))
        except OSError as error:
            self._fd = error

    def close(self) -> None:
        """Let go of the folder that is kept open."""
        self._place = ()
        self._opened.close()
