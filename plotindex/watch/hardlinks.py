"""Hard links: find the other names of a file that has changed. No I/O.

An event reports a change through one name only (inotify(7)), but the change applies to all names. So does a new name
or a removed one, since both set the file's ctime.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import NamedTuple

from plotindex.storage import Change
from plotindex.tree import HardLinkedPlot, Plot, Row, Scope

MAX_NAMES = 100_000
"""With more names, the sessions of further ones are not tracked."""
MAX_NAMES_PER_SESSION = 10_000
"""A session with more names is not tracked, until a scan finds less than half as many."""
MAX_SCOPES = 1_000
"""A session with more names to reconcile at once is rescanned as a whole."""
RECENT_SECONDS = 60.0


class LinkScan(NamedTuple):
    """The plots with several names that one scan has found."""

    scope: Scope
    plots: list[HardLinkedPlot]
    is_reported: bool
    """Whether a change of them was reported."""


@dataclass(slots=True)
class LinkedFile:
    """The known names of one file."""

    names: dict[str, set[str]] = field(default_factory=dict)
    """Session -> paths."""
    link_count: int = 0
    reported_at: float = float("-inf")
    """When a new name, or another number of links, was last reported."""

    @property
    def is_complete(self) -> bool:
        return sum(map(len, self.names.values())) >= self.link_count


class HardLinks:
    """The names of each inode that was seen with several, except those in untracked sessions."""

    def __init__(self) -> None:
        self._files: dict[int, LinkedFile] = {}
        self._counts: dict[str, int] = {}
        """Session -> number of its names."""
        self._total = 0
        self._incomplete: dict[str, float] = {}
        self.unresolved: set[int] = set()
        """Inodes whose other names may be in the catalogue."""
        self.untracked: set[str] = set()
        """Sessions with too many names: they are polled."""
        self._switched: set[str] = set()

    def add(self, scan: LinkScan, now: float) -> None:
        """Add the findings of a scan; decide whether its session is tracked."""
        session, is_reported = scan.scope.session or "", scan.is_reported
        is_whole = scan.scope.project is None
        if session in self.untracked:
            has_few = len(scan.plots) <= min(MAX_NAMES_PER_SESSION // 2, MAX_NAMES - self._total)
            if not is_whole or not has_few:
                return
            self.untracked.discard(session)
            self._switched.add(session)
            is_reported = True
        if is_whole and len(scan.plots) > MAX_NAMES_PER_SESSION:
            self._untrack(session)
        for plot, link_count in scan.plots:
            is_new = plot.inode not in self._files
            is_new_name = self._remember(plot)
            if session in self.untracked:
                return
            file = self._files[plot.inode]
            if is_reported and (is_new_name or file.link_count != link_count):
                file.reported_at = now
            if is_reported and is_new:
                self.unresolved.add(plot.inode)
            file.link_count = link_count
            if not file.is_complete:
                self._incomplete[plot.path] = file.reported_at

    def take_switched(self) -> set[str]:
        """Remove and return the sessions whose tracking has started or ended: the watcher must see their folders."""
        switched, self._switched = self._switched, set()
        return switched

    def take_incomplete(self, most: int) -> list[str]:
        """Remove and return up to `most` plots that have unknown names, the oldest first.

        No event reports a change through an unknown name, or its removal. A scan adds them again.
        """
        paths = list(islice(self._incomplete, most))
        for path in paths:
            del self._incomplete[path]
        return paths

    def take_recent(self, now: float) -> list[str]:
        """Remove the plots that have unknown names and were reported within RECENT_SECONDS; return their scopes."""
        paths = [path for path, reported_at in self._incomplete.items() if now - reported_at < RECENT_SECONDS]
        for path in paths:
            del self._incomplete[path]
        return list(_by_session(paths))

    @property
    def incomplete_count(self) -> int:
        return len(self._incomplete)

    def resolve_all(self) -> None:
        """Mark all inodes as unresolved: during a full scan a name may have changed after the scan of another one."""
        self.unresolved.update(self._files)

    def resolve(self, plots: Iterable[Plot]) -> list[str]:
        """Add the catalogue's names of the unresolved inodes; return the scopes to reconcile.

        These are names of one file with different sizes or times: some of the rows are outdated.
        """
        by_inode: dict[int, list[Plot]] = {}
        for plot in plots:
            by_inode.setdefault(plot.inode, []).append(plot)
        self.unresolved.clear()
        paths: list[str] = []
        for names in by_inode.values():
            if len(names) > 1:
                for plot in names:
                    self._remember(plot)
            if len({plot[3:] for plot in names}) > 1:
                paths += [plot.path for plot in names if plot.session not in self.untracked]
        return list(_by_session(paths))

    def affected(self, changes: Iterable[Change], added: Iterable[Row] = ()) -> list[str]:
        """The other names of the changed files: scopes to reconcile."""
        changed: dict[int, dict[str, tuple[int, ...]]] = {}
        files, untracked = self._files, self.untracked
        new = [Change(None, Plot._make(row)) for row in added if row[6] in files or row[0] in untracked]
        for before, after in (*changes, *new):
            if before is not None and before.inode in files and (after is None or after.inode != before.inode):
                changed.setdefault(before.inode, {})
                self._forget(before)
            if after is not None and after.inode in files:
                changed.setdefault(after.inode, {})[after.path] = after[3:]
            elif after is not None and after.session in untracked:
                self.unresolved.add(after.inode)
        scopes: set[str] = set()
        for inode, names in changed.items():
            # Otherwise, some names were scanned before the last change.
            known = names if len(set(names.values())) <= 1 else ()
            scopes.update(self._others(inode, known))
        return list(scopes)

    def _others(self, inode: int, known: Collection[str]) -> Iterator[str]:
        """The names of a file except the `known` ones; the session instead of very many."""
        file = self._files.get(inode)
        for session, paths in file.names.items() if file else ():
            if len(paths) > MAX_SCOPES:
                yield session
            else:
                yield from paths.difference(known)

    def _remember(self, plot: Plot) -> bool:
        """Add a name; return whether it is new. Untracks its session if that has too many."""
        session = plot.session
        if session in self.untracked:
            return False
        file = self._files.get(plot.inode)
        if file is not None and plot.path in file.names.get(session, ()):
            return False
        count = self._counts.get(session, 0)
        if count >= MAX_NAMES_PER_SESSION or self._total >= MAX_NAMES:
            self._untrack(session)
            return False
        self._files.setdefault(plot.inode, LinkedFile()).names.setdefault(session, set()).add(plot.path)
        self._counts[session] = count + 1
        self._total += 1
        return True

    def _forget(self, plot: Plot) -> None:
        file = self._files[plot.inode]
        paths = file.names.get(plot.session, set())
        if plot.path in paths:
            paths.discard(plot.path)
            self._subtract(plot.session, 1)
        if not paths:
            self._drop(plot.inode, plot.session)

    def _untrack(self, session: str) -> None:
        self.untracked.add(session)
        self._switched.add(session)
        for inode in [inode for inode, file in self._files.items() if session in file.names]:
            self._drop(inode, session)
        self._subtract(session, self._counts.get(session, 0))
        self._incomplete = {
            path: reported_at for path, reported_at in self._incomplete.items() if path.partition("/")[0] != session
        }

    def _drop(self, inode: int, session: str) -> None:
        names = self._files[inode].names
        names.pop(session, None)
        if not names:
            del self._files[inode]

    def _subtract(self, session: str, names: int) -> None:
        self._total -= names
        self._counts[session] = self._counts.get(session, 0) - names
        if not self._counts[session]:
            del self._counts[session]


def _by_session(paths: Iterable[str]) -> Iterator[str]:
    """These paths, or their session where it has very many of them."""
    for session, group in groupby(sorted(set(paths)), key=lambda path: path.partition("/")[0]):
        own = list(group)
        yield from own if len(own) <= MAX_SCOPES else [session]
