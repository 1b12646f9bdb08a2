"""A look at everything within one scope, in steps so short that others can be served in between."""

import os
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from operator import attrgetter, itemgetter
from stat import S_ISDIR, S_ISREG
from typing import NamedTuple

from plotindex.system import ABSENT_ERRNOS, FOLDER_FLAGS, is_encodable, open_folder_beneath
from plotindex.tree.layout import Layout
from plotindex.tree.plots import INT64_MAX, INT64_MIN, SETTLED_NS, Plot, Row, clamp, signed
from plotindex.tree.scopes import Scope

NOT_UTF8 = "its name is not UTF-8"
OUT_OF_RANGE = "its time is beyond 64 bits and counts as the nearest that is not"
STEP_ENTRIES = 500
"""Entries of one folder that are looked at in one step."""

Opener = Callable[[Sequence[str], int], AbstractContextManager[int]]
Peek = Callable[[str, str, str], os.stat_result]
"""(session, project, path below it) -> its status."""
Enter = Callable[[str, int], None]
"""Called with each folder's path and descriptor, before it is listed."""


Steps = Generator[bool, None, None]
"""Yields after each step whether nothing can be done now but wait."""
WAITING = True
Stamp = tuple[int, int, int, int]
"""Device, inode, mtime and ctime of a folder: as long as they stay, so do the names in it."""


NO_FOLDERS = 2
"""Names of a folder in which there is none, on file systems that count the ".." of those in it."""


class Linked(NamedTuple):
    """A plot that has more names than one, plots or not, and how many."""

    plot: Plot
    names: int


class Walk:
    """What lies within a scope of one session. Iterative: how deep and wide a tree is, the script chooses."""

    def __init__(
        self,
        layout: Layout,
        opener: Opener,
        peek: Peek,
        scope: Scope,
        *,
        enter: Enter | None = None,
        most: int | None = None,
        stamping: int | None = None,
    ) -> None:
        """Of more than `most` plots only the first by filename are kept, but each filename's copies all or none.

        `stamping` is the device on which a folder's times tell of each new name and each that goes.
        """
        assert scope.session is not None, "the root is walked session by session"
        self.scope = scope
        self.rows: list[Row] = []
        self.stamps: dict[str, Stamp] = {}
        """Folder of plots, from its project on -> what it was when it was listed; only of those long unchanged."""
        self.unstamped: list[str] = []
        """The folders that have none."""
        self.unreadable: dict[str, OSError] = {}
        """Path -> why it could not be looked at: nothing is known about what lies at or below it."""
        self.closed: dict[str, OSError] = {}
        """Those of them that are folders, or may be."""
        self.odd: dict[str, str] = {}
        """Path -> what is odd about it: a name that is not UTF-8, a time beyond 64 bits."""
        self.linked: list[Linked] = []
        self.deep = 0
        """Folders that lie too deep to be looked into."""
        self.cut: str | None = None
        """The first filename that was left out, since there were too many."""
        self.left_out = 0
        self.finished = False
        self._layout = layout
        self._opener = opener
        self._peek = peek
        self._enter = enter
        self._most = most
        self._skips_plots = False
        self._stamping = stamping
        self._steps = self._walk(scope.session, scope)

    @property
    def plots(self) -> list[Plot]:
        return list(map(Plot._make, self.rows))

    def go_on(self, until: float = float("inf")) -> bool:
        """Look on until done or `time.monotonic()` is past `until`, but one step at least; return whether done.

        With a bound it does not wait for another process.
        """
        for is_waiting in self._steps:
            if time.monotonic() >= until or (is_waiting and until < float("inf")):
                return False
        self.finished = True
        return True

    def close(self) -> None:
        """Let go of what an unfinished look holds open."""
        self._steps.close()

    def _walk(self, session: str, scope: Scope) -> Steps:
        try:
            if scope.project is None:
                projects: list[str] = []
                yield from self._list_projects(session, projects)
                for project in projects:
                    yield from self._walk_project(session, project, "")
            elif scope.path is None:
                yield from self._walk_project(session, scope.project, "")
            else:
                yield from self._walk_entry(session, scope.project, scope.path)
        except OSError as error:
            self._refuse_folder(str(scope), error)
        self._keep_most(final=True)

    def _list_projects(self, session: str, names: list[str]) -> Steps:
        with self._opener((session,), FOLDER_FLAGS) as fd:
            self._enter_folder(session, fd)
            with os.scandir(fd) as entries:
                for number, entry in enumerate(entries, 1):
                    if number % STEP_ENTRIES == 0:
                        yield not WAITING
                    if self._layout.is_project(entry.name) and entry.is_dir(follow_symlinks=False):
                        names.append(entry.name)
                    elif not is_encodable(entry.name) and entry.is_dir(follow_symlinks=False):
                        self.odd[f"{session}/{entry.name}"] = NOT_UTF8

    def _walk_entry(self, session: str, project: str, path: str) -> Steps:
        status = self._peek(session, project, path)
        if S_ISDIR(status.st_mode):
            yield from self._walk_project(session, project, path + "/")
        elif S_ISREG(status.st_mode) and self._layout.has_suffix(path.rpartition("/")[2]):
            if self._layout.is_too_deep(path):
                self.deep += 1
            else:
                self._add(session, project, [(path, status)])

    def _walk_project(self, session: str, project: str, folder: str) -> Steps:
        """`folder` is "" or a path below the project that ends with a slash."""
        try:
            with self._opener((session, project), FOLDER_FLAGS) as project_fd:
                pending = [folder]
                while pending:
                    below = pending.pop()
                    if self._layout.is_too_deep(below):
                        self.deep += 1
                        continue
                    path = f"{session}/{project}/{below}".rstrip("/")
                    try:
                        yield from self._list_folder(session, project, below, project_fd, pending)
                    except OSError as error:
                        self._refuse_folder(path, error)
        except OSError as error:
            self._refuse_folder(f"{session}/{project}", error)

    def _list_folder(self, session: str, project: str, folder: str, project_fd: int, folders: list[str]) -> Steps:
        """Add the plots directly in `folder`, and append the folders in it to `folders`."""
        path = f"{session}/{project}/{folder}"
        has_suffix, skips_plots = self._layout.has_suffix, self._skips_plots
        with open_folder_beneath(folder.split("/")[:-1], project_fd) as fd:
            self._enter_folder(path.rstrip("/"), fd)
            links = self._stamp(f"{project}/{folder}"[:-1] if folder else project, fd)
            if skips_plots and links == NO_FOLDERS:
                return
            with os.scandir(fd) as entries:
                while step := list(islice(entries, STEP_ENTRIES)):
                    statuses: list[tuple[str, os.stat_result]] = []
                    for entry in step:
                        name = entry.name
                        if entry.is_dir(follow_symlinks=False):
                            if name.isascii() or is_encodable(name):
                                folders.append(f"{folder}{name}/")
                            else:
                                self.odd[path + name] = NOT_UTF8
                        elif not skips_plots and has_suffix(name):
                            if not (name.isascii() or is_encodable(name)):
                                self.odd[path + name] = NOT_UTF8
                                continue
                            try:
                                statuses.append((folder + name, entry.stat(follow_symlinks=False)))
                            except OSError as error:
                                self._refuse(path + name, error)
                    self._add(session, project, statuses)
                    self._keep_most()
                    yield not WAITING

    def _add(self, session: str, project: str, statuses: Iterable[tuple[str, os.stat_result]]) -> None:
        add = self.rows.append
        for filename, status in statuses:
            mode, links, size, mtime_ns, ctime_ns, inode = _fields_of(status)
            if not S_ISREG(mode):
                continue
            row: Row = (session, project, filename, size, mtime_ns, ctime_ns, inode)
            if not (INT64_MIN <= mtime_ns <= INT64_MAX and INT64_MIN <= ctime_ns <= INT64_MAX and inode <= INT64_MAX):
                row = plot_of(session, project, filename, status)
                if row[4] != mtime_ns:
                    self.odd[f"{session}/{project}/{filename}"] = OUT_OF_RANGE
            add(row)
            if links > 1:
                self.linked.append(Linked(Plot._make(row), links))

    def _keep_most(self, *, final: bool = False) -> None:
        """Drop the last filenames beyond so many plots, however many are still to come."""
        if self._most is None or (len(self.rows) <= 2 * self._most and not final):
            return
        if len(self.rows) > self._most:
            self.rows.sort(key=_FILENAME)
            cut = self.rows[self._most][2]
            self.cut = cut if self.cut is None else min(cut, self.cut)
        if self.cut is not None:
            kept = [row for row in self.rows if row[2] < self.cut]
            self.left_out += len(self.rows) - len(kept)
            self.rows = kept
        if final and self.left_out:
            self.linked = [linked for linked in self.linked if self.cut is None or linked.plot.filename < self.cut]

    @property
    def folders(self) -> set[str]:
        """All that may hold plots, each from its project on."""
        return {*self.stamps, *self.unstamped}

    def _stamp(self, folder: str, fd: int) -> int | None:
        """Note a folder's stamp; return how many links it has, where that says something."""
        status = os.fstat(fd)
        is_stamping = status.st_dev == self._stamping
        # What was changed a moment ago may change again within one tick of its clock.
        if is_stamping and time.time_ns() - status.st_ctime_ns > SETTLED_NS:
            self.stamps[folder] = _stamp_of(status)
        else:
            self.unstamped.append(folder)
        return status.st_nlink if is_stamping else None

    def _enter_folder(self, path: str, fd: int) -> None:
        if self._enter is not None:
            self._enter(path, fd)

    def _refuse_folder(self, path: str, error: OSError) -> None:
        if error.errno not in ABSENT_ERRNOS:
            self.unreadable[path] = self.closed[path] = error

    def _refuse(self, path: str, error: OSError) -> None:
        if error.errno not in ABSENT_ERRNOS:
            self.unreadable[path] = error


_FILENAME = itemgetter(2)
_fields_of = attrgetter("st_mode", "st_nlink", "st_size", "st_mtime_ns", "st_ctime_ns", "st_ino")


def stamp_of(fd: int) -> Stamp:
    """The stamp of an open folder."""
    return _stamp_of(os.fstat(fd))


def _stamp_of(status: os.stat_result) -> Stamp:
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns


def plot_of(session: str, project: str, filename: str, status: os.stat_result) -> Plot:
    """The plot of that status, its numbers as SQL can store them."""
    mtime_ns, ctime_ns = clamp(status.st_mtime_ns), clamp(status.st_ctime_ns)
    return Plot(session, project, filename, status.st_size, mtime_ns, ctime_ns, signed(status.st_ino))
