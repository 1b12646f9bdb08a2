"""Hard links: find the other names of a file that has changed. No I/O.

An event reports a change through one name only (inotify(7)), but the change applies to all names. So does a new name
or a removed one, since both set the file's ctime.
"""

from collections.abc import Iterable, Iterator

from plotindex.storage import Change
from plotindex.tree import HardLinkedPlot, Plot, Row

MAX_PATHS = 200_000
"""Names above this number are not tracked; only full scans keep these up to date."""
MAX_NAMES = 100
"""For a file with more names than this, the sessions of the names are rescanned as a whole."""
RECENT_SECONDS = 60.0


class HardLinks:
    """The names of each inode that was seen with several."""

    def __init__(self) -> None:
        self._names: dict[int, set[str]] = {}
        self._count = 0
        self._incomplete: dict[str, float] = {}
        self.unresolved: set[int] = set()
        """New inodes, whose other names may be in the catalogue."""

    def add(self, linked: Iterable[HardLinkedPlot], now: float, *, is_reported: bool) -> None:
        """Add plots with several names; `is_reported` if a change of them was reported."""
        for plot, count in linked:
            is_new = plot.inode not in self._names
            if is_new and self._count >= MAX_PATHS:
                continue
            self._remember(plot)
            if is_new and is_reported:
                self.unresolved.add(plot.inode)
            if len(self._names[plot.inode]) < count:
                self._incomplete.setdefault(plot.path, now if is_reported else now - RECENT_SECONDS)

    def take_incomplete(self, now: float, *, is_recent: bool) -> list[str]:
        """Remove and return the plots that have unknown names, or only those added within RECENT_SECONDS.

        No event reports a change through an unknown name, or its removal.
        """
        paths = [path for path, since in self._incomplete.items() if not is_recent or now - since < RECENT_SECONDS]
        for path in paths:
            del self._incomplete[path]
        return paths

    @property
    def incomplete_count(self) -> int:
        return len(self._incomplete)

    def resolve_all(self) -> None:
        """Mark all inodes as unresolved: during a full scan a name may have changed after the scan of another one."""
        self.unresolved.update(self._names)

    def resolve(self, plots: Iterable[Plot]) -> list[str]:
        """Add the catalogue's names of the unresolved inodes; return the paths to reconcile.

        These are names of one file with different sizes or times: some of the rows are outdated.
        """
        by_inode: dict[int, list[Plot]] = {}
        for plot in plots:
            by_inode.setdefault(plot.inode, []).append(plot)
        self.unresolved.clear()
        paths: list[str] = []
        for names in by_inode.values():
            for plot in names:
                self._remember(plot)
            if len({plot[3:] for plot in names}) > 1:
                paths += _few(plot.path for plot in names)
        return paths

    def affected(self, changes: Iterable[Change], added: Iterable[Row] = ()) -> list[str]:
        """The other names of the changed files: paths to reconcile."""
        changed: dict[int, dict[str, tuple[int, ...]]] = {}
        new = [Change(None, Plot._make(row)) for row in added if row[6] in self._names] if self._names else []
        for before, after in (*changes, *new):
            if before is not None and before.inode in self._names and (after is None or after.inode != before.inode):
                changed.setdefault(before.inode, {})
                self._forget(before)
            if after is not None and after.inode in self._names:
                changed.setdefault(after.inode, {})[after.path] = after[3:]
        paths: list[str] = []
        for inode, names in changed.items():
            others = self._names.get(inode, set()) - names.keys()
            if len(set(names.values())) > 1:
                # Some names were scanned before the last change.
                others |= names.keys()
            paths += _few(others)
        return paths

    def _remember(self, plot: Plot) -> None:
        names = self._names.setdefault(plot.inode, set())
        self._count += plot.path not in names
        names.add(plot.path)

    def _forget(self, plot: Plot) -> None:
        names = self._names[plot.inode]
        self._count -= plot.path in names
        names.discard(plot.path)
        if not names:
            del self._names[plot.inode]


def _few(paths: Iterable[str]) -> Iterator[str]:
    """These paths or, if there are many, their sessions."""
    given = set(paths)
    yield from given if len(given) <= MAX_NAMES else {path.partition("/")[0] for path in given}
