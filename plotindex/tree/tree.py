"""Read the tree on disk: walk, stat, find and open plots. The only module that touches plot files.

Scripts that write plots are not trusted: every path is opened beneath the root one component at a time,
without following symlinks, so that only servable files are indexed.
"""

import errno
import os
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

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
from plotindex.tree.folder_stamps import FolderStamp, read_stamp
from plotindex.tree.grammar import Layout
from plotindex.tree.plots import SESSION_PROJECT, OpenPlot, Plot, PlotKey, newest_first, plot_from_stat
from plotindex.tree.scopes import Scope
from plotindex.tree.walk import NOT_UTF8, FolderCallback, Walk

IGNORED = "its name is ignored"
FS_TYPE_SECONDS = 1.0
"""How long a device's file system type is cached: device numbers are reused."""


class Tree:
    """The sessions, projects and plots below one root directory."""

    def __init__(self, root: Path, layout: Layout | None = None) -> None:
        self.root = root
        self._path = str(root)
        self.layout = layout or Layout()
        self._fs_types: dict[int, tuple[str, float]] = {}

    def identity(self) -> str:
        """File system type and inode of the root, resolved now. Excludes `st_dev`, which changes with a reboot.

        Raises:
            OSError: the root cannot be read.
        """
        status = self.root.stat()
        return f"{self._fs_type(status.st_dev)}:{status.st_ino}"

    def _fs_type(self, device: int) -> str:
        fs_type, read_at = self._fs_types.get(device, ("", -FS_TYPE_SECONDS))
        if time.monotonic() - read_at >= FS_TYPE_SECONDS:
            mount = find_mount(self.root)
            fs_type = mount.fs_type if mount else "unknown"
            self._fs_types = {device: (fs_type, time.monotonic())}
        return fs_type

    def reliable_ctime_device(self) -> int | None:
        """The root's device, if its folders' ctime changes with every entry; else None."""
        try:
            device = self.root.stat().st_dev
        except OSError:
            return None
        return device if self._fs_type(device) in RELIABLE_CTIME_FS_TYPES else None

    def exists(self) -> bool:
        """Whether the root is a directory now."""
        return self.root.is_dir()

    def access_error(self) -> OSError | None:
        """The error of listing and entering the root, or None."""
        try:
            with self.folder(()) as fd:
                os.stat(".", dir_fd=fd)
        except OSError as error:
            return error
        return None

    def can_enter(self) -> bool:
        """Whether this process may open entries of the root by name (search permission)."""
        try:
            # Not by a Path, which drops the dot that requires search permission.
            os.stat(f"{self._path}/.")  # noqa: PTH116 - see above
        except OSError:
            return False
        return True

    def sessions(self, left_out: dict[str, str] | None = None, on_folder: FolderCallback | None = None) -> list[str]:
        """Names of the sessions, sorted; other directories are added to `left_out`, with the reason.

        `on_folder` is called with the root before it is listed.

        Raises:
            OSError: the root cannot be listed.
        """
        names = []
        with self.folder(()) as fd:
            if on_folder is not None:
                on_folder("", fd)
            with os.scandir(fd) as entries:
                for entry in entries:
                    if not entry.is_dir(follow_symlinks=False):
                        continue
                    if self.layout.is_indexable(entry.name):
                        names.append(entry.name)
                    elif left_out is not None:
                        left_out[entry.name] = IGNORED if self.layout.is_ignored(entry.name) else NOT_UTF8
        return sorted(names)

    def has_session(self, session: str) -> bool:
        """Whether the session exists.

        Raises:
            OSError: for a reason other than absence.
        """
        try:
            with self.folder((session,), FOLDER_PATH_FLAGS):
                return not self.layout.is_ignored(session)
        except OSError as error:
            if error.errno in ABSENT_ERRNOS:
                return False
            raise

    def walk(self, scope: Scope) -> Walk:
        """Walk a scope within one session; errors are recorded in the walk, not raised."""
        with self.open_reader() as reader:
            walk = reader.start_walk(scope)
            walk.advance()
        return walk

    def stat_plot(self, session: str, project: str, filename: str) -> Plot | None:
        """The plot at that path now, or None if there is none.

        Raises:
            OSError: for a reason other than absence.
        """
        with self.open_reader() as reader:
            return reader.stat_plot(session, project, filename)

    @contextmanager
    def open_reader(self) -> Iterator["TreeReader"]:
        """A reader that keeps the last folder open between calls. Only for a short time: the folder may be moved."""
        with closing(TreeReader(self)) as reader:
            yield reader

    def find(self, key: PlotKey) -> list[Plot]:
        """Scan the session's projects for copies of a key; the current copy first.

        Raises:
            OSError: the session cannot be listed, or no copy was found and some project could not be read.
        """
        if self.layout.parse_key(*key) is None:
            return []
        parts = key.filename.split("/")
        copies: list[Plot] = []
        first_error: OSError | None = None
        try:
            if self.layout.has_session_project:
                copies += filter(None, [self.stat_plot(key.session, SESSION_PROJECT, key.filename)])
        except OSError as error:
            first_error = error
        try:
            with self.folder((key.session,)) as session_fd, os.scandir(session_fd) as entries:
                for entry in entries:
                    try:
                        # Most projects have no copy: rule them out with one call, which may follow symlinks.
                        os.stat(f"{entry.name}/{key.filename}", dir_fd=session_fd, follow_symlinks=False)
                        if not self._is_project(entry):
                            continue
                        status = stat_beneath((entry.name, *parts), session_fd)
                    except OSError as error:
                        if error.errno not in ABSENT_ERRNOS and self._is_project(entry):
                            first_error = first_error or error
                        continue
                    if stat.S_ISREG(status.st_mode):
                        copies.append(plot_from_stat(key.session, entry.name, key.filename, status))
        except OSError as error:
            if error.errno not in ABSENT_ERRNOS:
                raise
        if first_error and not copies:
            raise first_error
        return newest_first(copies)

    def open(self, key: PlotKey, project: str) -> OpenPlot | None:
        """Open a project's copy of a key for reading, or None if there is none. The caller closes the descriptor.

        Raises:
            OSError: it cannot be opened.
        """
        session, filename = key
        if not self.layout.can_hold(project, filename):
            return None
        try:
            fd = open_beneath(self._path, (session, project, *filename.split("/")))
        except OSError as error:
            # Opening a device file may fail although it is not a plot.
            if error.errno in ABSENT_ERRNOS or self.stat_plot(session, project, filename) is None:
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
        return OpenPlot(plot_from_stat(session, project, filename, status), fd)

    @contextmanager
    def folder(self, parts: Sequence[str], flags: int = FOLDER_FLAGS) -> Iterator[int]:
        """A descriptor of the folder at `parts` below the root; with FOLDER_PATH_FLAGS it cannot be listed."""
        # The root's own path may contain symlinks: the operator chose it.
        root_fd = os.open(self.root, (FOLDER_PATH_FLAGS if parts else flags) & ~os.O_NOFOLLOW)
        with closing_fd(root_fd), open_folder_beneath(parts, root_fd, flags) as fd:
            yield fd

    def _is_project(self, entry: "os.DirEntry[str]") -> bool:
        return self.layout.is_project(entry.name) and entry.is_dir(follow_symlinks=False)


class TreeReader:
    """Stats and walks plots, keeping the last folder open: fast if called folder by folder."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self._folder: tuple[str, ...] = ()
        self._opened: ExitStack = ExitStack()
        self._fd: int | OSError = OSError(errno.ENOENT, "no folder opened yet")

    def stat_plot(self, session: str, project: str, filename: str) -> Plot | None:
        """As `Tree.stat_plot`."""
        layout = self.tree.layout
        if not (layout.can_hold(project, filename) and layout.parse_key(session, filename)):
            return None
        try:
            status = self.stat(session, project, filename)
        except OSError as error:
            if error.errno in ABSENT_ERRNOS:
                return None
            raise
        return plot_from_stat(session, project, filename, status) if stat.S_ISREG(status.st_mode) else None

    def start_walk(self, scope: Scope, on_folder: FolderCallback | None = None, *, is_bounded: bool = False) -> Walk:
        """A walk for the caller to advance step by step; `on_folder` is called with each folder."""
        tree = self.tree
        return Walk(
            tree.layout,
            tree.folder,
            self.stat,
            scope,
            on_folder=on_folder,
            is_bounded=is_bounded,
            reliable_device=tree.reliable_ctime_device(),
        )

    def is_unchanged(self, session: str, folder: str, stamp: FolderStamp) -> bool:
        """Whether a folder, relative to the session, has that stamp: then it has the same entries."""
        self._open_folder((session, *folder.split("/")))
        return not isinstance(self._fd, OSError) and read_stamp(self._fd) == stamp

    def is_absent(self, session: str, folder: str) -> bool:
        """Whether a folder, relative to the session, is absent: then so are its entries."""
        self._open_folder((session, *folder.split("/")))
        return isinstance(self._fd, OSError) and self._fd.errno in ABSENT_ERRNOS

    def stat(self, session: str, project: str, filename: str) -> os.stat_result:
        """The status of that path, following no symlink.

        Raises:
            OSError: it is absent or cannot be read.
        """
        *folders, name = filename.split("/")
        self._open_folder((session, project, *folders))
        if isinstance(self._fd, OSError):
            raise self._fd
        return os.stat(name, dir_fd=self._fd, follow_symlinks=False)

    def _open_folder(self, parts: tuple[str, ...]) -> None:
        if parts == self._folder:
            return
        self.close()
        self._folder = parts
        try:
            self._fd = self._opened.enter_context(self.tree.folder(parts, FOLDER_PATH_FLAGS))
        except OSError as error:
            self._fd = error

    def close(self) -> None:
        """Close the open folder."""
        self._folder = ()
        self._opened.close()
