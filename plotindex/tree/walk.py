"""Walk one scope of the tree, in steps short enough to serve others in between."""

import os
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from stat import S_ISDIR, S_ISREG

from plotindex.system import ABSENT_ERRNOS, FOLDER_FLAGS, is_encodable, open_folder_beneath
from plotindex.tree.folder_stamps import LEAF_FOLDER_LINKS, FolderStamp, stamp_of
from plotindex.tree.grammar import Layout
from plotindex.tree.plots import (
    INT64_MAX,
    INT64_MIN,
    SESSION_PROJECT,
    SETTLE_NS,
    HardLinkedPlot,
    Plot,
    Row,
    first_beyond,
    join_path,
    plot_from_stat,
    stat_fields,
    sum_names_bytes,
)
from plotindex.tree.scopes import Scope

NOT_UTF8 = "its name is not UTF-8"
TIME_OUT_OF_RANGE = "its time is beyond 64 bits and is indexed as the nearest valid one"
STEP_ENTRIES = 500
"""Entries of one folder read in one step."""

OpenFolder = AbstractContextManager[int]
FolderOpener = Callable[[Sequence[str], int], OpenFolder]
StatFunction = Callable[[str, str, str], os.stat_result]
"""(session, project, filename) -> status."""
FolderCallback = Callable[[str, int], None]
"""Called with each folder's path and descriptor, before it is listed."""

WalkSteps = Generator[bool, None, None]
"""Yields after each step: `WAITING` if only another process can make progress."""
WAITING = True

MAX_KNOWN_NAMES = 1_000


class Walk:
    """The plots within one scope of a session. Iterative, since scripts choose how deep and wide the tree is."""

    def __init__(
        self,
        layout: Layout,
        opener: FolderOpener,
        stat_function: StatFunction,
        scope: Scope,
        *,
        on_folder: FolderCallback | None = None,
        is_bounded: bool = False,
        reliable_device: int | None = None,
    ) -> None:
        """If bounded, keep the first filenames of the session, each with all its copies: see `Layout`.

        `reliable_device` is the device where a folder's ctime changes with every entry.
        """
        assert scope.session is not None, "the root is walked session by session"
        self.scope = scope
        self.rows: list[Row] = []
        self.stamps: dict[str, FolderStamp] = {}
        """Folder, relative to the session -> its stamp before it was listed; settled folders only."""
        self.unstamped: list[str] = []
        """Folders without a stamp."""
        self.unreadable: dict[str, OSError] = {}
        """Path -> error; nothing is known of entries at or below it."""
        self.unreadable_folders: dict[str, OSError] = {}
        """The subset of `unreadable` that are or may be folders."""
        self.unsupported: dict[str, str] = {}
        """Path -> reason: a name that is not UTF-8, a time beyond 64 bits."""
        self.hard_linked: list[HardLinkedPlot] = []
        self.excluded = 0
        """Number of folders and plots beyond `max_depth` or `max_filename_bytes`."""
        self.ignored = 0
        """Number of folders and plots that `ignore` leaves out."""
        self.cutoff: str | None = None
        """The first filename that was dropped, beyond `max_plots` or `max_names_bytes`."""
        self.truncated = 0
        """Number of plots dropped."""
        self._layout = layout
        self._opener = opener
        self._stat = stat_function
        self._on_folder = on_folder
        self._is_bounded = is_bounded
        self._truncate_at = 0
        """Number of rows at which to truncate next."""
        self._folders_only = False
        self._known_names: set[str] = set()
        """Valid names of plots: most are in several projects."""
        self._reliable_device = reliable_device
        self._steps = self._walk(scope.session, scope)

    @property
    def plots(self) -> list[Plot]:
        return list(map(Plot._make, self.rows))

    def advance(self, until: float = float("inf")) -> bool:
        """Walk until done or until `until` (monotonic), one step at least; return whether done.

        With a deadline, do not wait for another process.
        """
        has_deadline = until < float("inf")
        return not any(time.monotonic() >= until or (is_waiting and has_deadline) for is_waiting in self._steps)

    def close(self) -> None:
        """Close what an unfinished walk holds open."""
        self._steps.close()

    def _walk(self, session: str, scope: Scope) -> WalkSteps:
        try:
            if self._layout.is_ignored(session):  # of a catalogue with another `ignore`
                return
            if scope.project is None:
                yield from self._walk_session(session)
            elif scope.path is None:
                opened = self._opener((session, scope.project), FOLDER_FLAGS)
                yield from self._walk_project(session, scope.project, opened)
            else:
                yield from self._walk_entry(session, scope.project, scope.path)
        except OSError as error:
            self._record_error(str(scope), error, is_folder=True)
        self._truncate(final=True)

    def _walk_session(self, session: str) -> WalkSteps:
        with self._opener((session,), FOLDER_FLAGS) as fd:
            if self._on_folder is not None:
                self._on_folder(session, fd)
            projects = [SESSION_PROJECT] if self._layout.has_session_project else []
            yield from self._list_projects(session, fd, projects)
            for project in projects:
                yield from self._walk_project(session, project, open_folder_beneath((project,), fd))

    def _list_projects(self, session: str, fd: int, names: list[str]) -> WalkSteps:
        with os.scandir(fd) as entries:
            for number, entry in enumerate(entries, 1):
                if number % STEP_ENTRIES == 0:
                    yield not WAITING
                if self._layout.is_project(entry.name) and entry.is_dir(follow_symlinks=False):
                    names.append(entry.name)
                elif self._layout.is_ignored(entry.name):
                    self.ignored += entry.is_dir(follow_symlinks=False)
                elif not is_encodable(entry.name) and entry.is_dir(follow_symlinks=False):
                    self.unsupported[f"{session}/{entry.name}"] = NOT_UTF8

    def _walk_entry(self, session: str, project: str, path: str) -> WalkSteps:
        status = self._stat(session, project, path)
        if S_ISDIR(status.st_mode) and self._layout.can_hold(project, path + "/"):
            yield from self._walk_project(session, project, self._opener((session, project), FOLDER_FLAGS), path + "/")
        elif S_ISREG(status.st_mode) and self._layout.has_suffix(path.rpartition("/")[2]):
            if self._layout.is_beyond_limits(path):
                self.excluded += 1
            else:
                self._add(session, project, [(path, status)])

    def _walk_project(self, session: str, project: str, opened: OpenFolder, folder: str = "") -> WalkSteps:
        """Walk `folder`, a path below the project with a trailing slash, or all of it."""
        try:
            with opened as project_fd:
                pending = [folder]
                while pending:
                    below = pending.pop()
                    if self._layout.is_beyond_limits(below):
                        self.excluded += 1
                        continue
                    path = join_path(session, project, below).rstrip("/")
                    try:
                        yield from self._list_folder(session, project, below, project_fd, pending)
                    except OSError as error:
                        self._record_error(path, error, is_folder=True)
        except OSError as error:
            self._record_error(join_path(session, project, "").rstrip("/"), error, is_folder=True)

    def _list_folder(self, session: str, project: str, folder: str, project_fd: int, folders: list[str]) -> WalkSteps:
        """Add the plots directly in `folder`; append its subfolders to `folders`."""
        path = join_path(session, project, folder)
        known, folders_only = self._known_names, self._folders_only
        has_others, is_project = project == SESSION_PROJECT and not folder, self._layout.is_project
        may_exceed = self._layout.may_exceed_limits(folder)
        with open_folder_beneath(folder.split("/")[:-1], project_fd) as fd:
            if self._on_folder is not None and not (has_others and self.scope.project is None):
                self._on_folder(path.rstrip("/"), fd)
            links = self._stamp(f"{project}/{folder}"[:-1] if folder else project, fd)
            if folders_only and links == LEAF_FOLDER_LINKS:
                return
            with os.scandir(fd) as entries:
                while step := list(islice(entries, STEP_ENTRIES)):
                    statuses: list[tuple[str, os.stat_result]] = []
                    for entry in step:
                        name = entry.name
                        if entry.is_dir(follow_symlinks=False):
                            if has_others and is_project(name):
                                continue
                            # Folders of a session are counted where its projects are listed.
                            if self._is_valid(path, name, is_counted=not has_others):
                                folders.append(f"{folder}{name}/")
                            continue
                        if folders_only or (name not in known and not self._is_plot(path, name)):
                            continue
                        if may_exceed and self._layout.is_beyond_limits(folder + name):
                            self.excluded += 1
                            continue
                        try:
                            statuses.append((folder + name, entry.stat(follow_symlinks=False)))
                        except OSError as error:
                            self._record_error(path + name, error)
                    self._add(session, project, statuses)
                    self._truncate()
                    yield not WAITING

    def _is_plot(self, path: str, name: str) -> bool:
        """Whether a file in the folder at `path` is a plot, by its name."""
        if not (self._layout.has_suffix(name) and self._is_valid(path, name)):
            return False
        if len(self._known_names) < MAX_KNOWN_NAMES:
            self._known_names.add(name)
        return True

    def _is_valid(self, path: str, name: str, *, is_counted: bool = True) -> bool:
        """Whether an entry of the folder at `path` may be indexed, by its name."""
        if self._layout.is_ignored(name):
            self.ignored += is_counted
            return False
        if not (name.isascii() or is_encodable(name)):
            self.unsupported[path + name] = NOT_UTF8
            return False
        return True

    def _add(self, session: str, project: str, statuses: Iterable[tuple[str, os.stat_result]]) -> None:
        # Local names, since this is run for every plot.
        add, least, most = self.rows.append, INT64_MIN, INT64_MAX
        for filename, status in statuses:
            mode, links, size, mtime_ns, ctime_ns, inode = stat_fields(status)
            if not S_ISREG(mode):
                continue
            row: Row = (session, project, filename, size, mtime_ns, ctime_ns, inode)
            if not (least <= mtime_ns <= most and least <= ctime_ns <= most and inode <= most):
                row = plot_from_stat(session, project, filename, status)
                if row[4] != mtime_ns:
                    self.unsupported[join_path(session, project, filename)] = TIME_OUT_OF_RANGE
            add(row)
            if links > 1:
                self.hard_linked.append(HardLinkedPlot(Plot._make(row), links))

    def _truncate(self, *, final: bool = False) -> None:
        """Drop the last filenames beyond the bounds; before the end, only when twice as many are held."""
        rows, layout = self.rows, self._layout
        if not self._is_bounded or (len(rows) <= self._truncate_at and not final):
            return
        is_within = layout.is_within_names(len(rows))
        names_bytes = len(rows) * layout.max_filename_bytes if is_within else sum_names_bytes(rows)
        if final or len(rows) > 2 * layout.max_plots or names_bytes > 2 * layout.max_names_bytes:
            self._cut(names_bytes)
            names_bytes = min(names_bytes, layout.max_names_bytes)
        room = max(STEP_ENTRIES, (2 * layout.max_names_bytes - names_bytes) // layout.max_filename_bytes)
        self._truncate_at = min(2 * layout.max_plots, len(self.rows) + room)

    def _cut(self, names_bytes: int) -> None:
        """Drop the rows from the first filename on that is beyond the bounds of a session."""
        if len(self.rows) > self._layout.max_plots or names_bytes > self._layout.max_names_bytes:
            cutoff = first_beyond(self.rows, self._layout.max_plots, self._layout.max_names_bytes)
            self.cutoff = cutoff if self.cutoff is None else min(cutoff, self.cutoff)
        if self.cutoff is not None:
            kept = [row for row in self.rows if row[2] < self.cutoff]
            self.truncated += len(self.rows) - len(kept)
            self.rows = kept
        if self.truncated:
            self.hard_linked = [
                each for each in self.hard_linked if self.cutoff is None or each.plot.filename < self.cutoff
            ]

    @property
    def folders(self) -> set[str]:
        """All folders listed, relative to the session."""
        return {*self.stamps, *self.unstamped}

    def _stamp(self, folder: str, fd: int) -> int | None:
        """Record a folder's stamp; return its link count, where that is meaningful."""
        status = os.fstat(fd)
        is_reliable = status.st_dev == self._reliable_device
        # A recent change may be followed by another within the same clock tick.
        if is_reliable and time.time_ns() - status.st_ctime_ns > SETTLE_NS:
            self.stamps[folder] = stamp_of(status)
        else:
            self.unstamped.append(folder)
        return status.st_nlink if is_reliable else None

    def _record_error(self, path: str, error: OSError, *, is_folder: bool = False) -> None:
        if error.errno not in ABSENT_ERRNOS:
            self.unreadable[path] = error
            if is_folder:
                self.unreadable_folders[path] = error
