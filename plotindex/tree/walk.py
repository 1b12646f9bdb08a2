"""Walk one scope of the tree, in steps short enough to serve others in between."""

import os
import time
from bisect import bisect_right
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import AbstractContextManager
from itertools import accumulate, islice
from operator import attrgetter
from stat import S_ISDIR, S_ISREG

from plotindex.system import ABSENT_ERRNOS, FOLDER_FLAGS, is_encodable, open_folder_beneath
from plotindex.tree.grammar import Layout
from plotindex.tree.plots import (
    INT64_MAX,
    INT64_MIN,
    SESSION_PROJECT,
    SETTLE_NS,
    HardLinkedPlot,
    Plot,
    Row,
    filename_of,
    join_path,
    plot_from_stat,
    sum_names_bytes,
)
from plotindex.tree.scopes import Scope

NOT_UTF8 = "its name is not UTF-8"
TIME_OUT_OF_RANGE = "its time is beyond 64 bits and is indexed as the nearest valid one"
STEP_ENTRIES = 500
"""Entries of one folder read in one step."""

FolderOpener = Callable[[Sequence[str], int], AbstractContextManager[int]]
StatFunction = Callable[[str, str, str], os.stat_result]
"""(session, project, filename) -> status."""
FolderCallback = Callable[[str, int], None]
"""Called with each folder's path and descriptor, before it is listed."""

WalkSteps = Generator[bool, None, None]
"""Yields after each step: `WAITING` if only another process can make progress."""
WAITING = True
FolderStamp = tuple[int, int, int, int]
"""Device, inode, mtime and ctime of a folder; unchanged stamp, unchanged entries."""

NAME_MAX = 255
"""Bytes of one name, at most (limits.h)."""
LEAF_FOLDER_LINKS = 2
"""st_nlink of a folder without subfolders, on file systems that count their ".."."""


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
                projects = [SESSION_PROJECT] if self._layout.has_session_project else []
                yield from self._list_projects(session, projects)
                for project in projects:
                    yield from self._walk_project(session, project, "")
            elif scope.path is None:
                yield from self._walk_project(session, scope.project, "")
            else:
                yield from self._walk_entry(session, scope.project, scope.path)
        except OSError as error:
            self._record_folder_error(str(scope), error)
        self._truncate(final=True)

    def _list_projects(self, session: str, names: list[str]) -> WalkSteps:
        with self._opener((session,), FOLDER_FLAGS) as fd:
            self._call_on_folder(session, fd)
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
            yield from self._walk_project(session, project, path + "/")
        elif S_ISREG(status.st_mode) and self._layout.has_suffix(path.rpartition("/")[2]):
            if self._layout.is_beyond_limits(path):
                self.excluded += 1
            else:
                self._add(session, project, [(path, status)])

    def _walk_project(self, session: str, project: str, folder: str) -> WalkSteps:
        """Walk `folder`: "", or a path below the project with a trailing slash."""
        try:
            with self._opener((session, project), FOLDER_FLAGS) as project_fd:
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
                        self._record_folder_error(path, error)
        except OSError as error:
            self._record_folder_error(join_path(session, project, "").rstrip("/"), error)

    def _list_folder(self, session: str, project: str, folder: str, project_fd: int, folders: list[str]) -> WalkSteps:
        """Add the plots directly in `folder`; append its subfolders to `folders`."""
        path = join_path(session, project, folder)
        has_suffix, is_ignored, folders_only = self._layout.has_suffix, self._layout.is_ignored, self._folders_only
        has_others, is_project = project == SESSION_PROJECT and not folder, self._layout.is_project
        may_exceed = self._layout.is_beyond_limits(folder + "x" * NAME_MAX)
        with open_folder_beneath(folder.split("/")[:-1], project_fd) as fd:
            if not (has_others and self.scope.project is None):
                self._call_on_folder(path.rstrip("/"), fd)
            links = self._stamp(f"{project}/{folder}"[:-1] if folder else project, fd)
            if folders_only and links == LEAF_FOLDER_LINKS:
                return
            with os.scandir(fd) as entries:
                while step := list(islice(entries, STEP_ENTRIES)):
                    statuses: list[tuple[str, os.stat_result]] = []
                    for entry in step:
                        name = entry.name
                        is_folder = entry.is_dir(follow_symlinks=False)
                        if has_others and is_project(name) if is_folder else folders_only or not has_suffix(name):
                            continue
                        if is_ignored(name):
                            # Folders of a session are counted where its projects are listed.
                            self.ignored += not (is_folder and has_others)
                        elif not (name.isascii() or is_encodable(name)):
                            self.unsupported[path + name] = NOT_UTF8
                        elif is_folder:
                            folders.append(f"{folder}{name}/")
                        elif may_exceed and self._layout.is_beyond_limits(folder + name):
                            self.excluded += 1
                        else:
                            try:
                                statuses.append((folder + name, entry.stat(follow_symlinks=False)))
                            except OSError as error:
                                self._record_error(path + name, error)
                    self._add(session, project, statuses)
                    self._truncate()
                    yield not WAITING

    def _add(self, session: str, project: str, statuses: Iterable[tuple[str, os.stat_result]]) -> None:
        add = self.rows.append
        for filename, status in statuses:
            mode, links, size, mtime_ns, ctime_ns, inode = _fields_of(status)
            if not S_ISREG(mode):
                continue
            row: Row = (session, project, filename, size, mtime_ns, ctime_ns, inode)
            if not (INT64_MIN <= mtime_ns <= INT64_MAX and INT64_MIN <= ctime_ns <= INT64_MAX and inode <= INT64_MAX):
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
        rows, layout = self.rows, self._layout
        if len(rows) > layout.max_plots or names_bytes > layout.max_names_bytes:
            rows.sort(key=filename_of)
            sums = accumulate(len(row[2].encode()) for row in rows[: layout.max_plots])
            within = bisect_right(list(sums), layout.max_names_bytes)
            cutoff = rows[within][2]
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
            self.stamps[folder] = _stamp_of(status)
        else:
            self.unstamped.append(folder)
        return status.st_nlink if is_reliable else None

    def _call_on_folder(self, path: str, fd: int) -> None:
        if self._on_folder is not None:
            self._on_folder(path, fd)

    def _record_folder_error(self, path: str, error: OSError) -> None:
        if error.errno not in ABSENT_ERRNOS:
            self.unreadable[path] = self.unreadable_folders[path] = error

    def _record_error(self, path: str, error: OSError) -> None:
        if error.errno not in ABSENT_ERRNOS:
            self.unreadable[path] = error


_fields_of = attrgetter("st_mode", "st_nlink", "st_size", "st_mtime_ns", "st_ctime_ns", "st_ino")


def read_stamp(fd: int) -> FolderStamp:
    """The stamp of an open folder."""
    return _stamp_of(os.fstat(fd))


def _stamp_of(status: os.stat_result) -> FolderStamp:
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns
