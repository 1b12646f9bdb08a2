"""Plots with several names. Pure: no I/O.

A change through one name of a file is told for that name alone (inotify(7)), but it is a change of all of them: so
is a new name, and one that goes, since both set the file's ctime.
"""

from collections.abc import Iterable, Iterator

from plotindex.storage import Change
from plotindex.tree import HardLinkedPlot, Plot, Row

MOST_PATHS = 200_000
"""Beyond so many names only the rescan tells of the others."""
MANY_NAMES = 100
"""A file with more names than these stands for the sessions that they are in: each is looked at as a whole."""
YOUNG_SECONDS = 60.0


class HardLinks:
    """The names of each inode that was seen to have several."""

    def __init__(self) -> None:
        self._names: dict[int, set[str]] = {}
        self._count = 0
        self._loose: dict[str, float] = {}
        self.unknown: set[int] = set()
        """Inodes that were met for the first time: there are other names, and they may be in the catalogue."""

    def see(self, linked: Iterable[HardLinkedPlot], now: float, *, anew: bool) -> None:
        """Remember plots that were seen to have another name; `anew` when something was told of them."""
        for plot, count in linked:
            is_new = plot.inode not in self._names
            if is_new and self._count >= MOST_PATHS:
                continue
            self._remember(plot)
            if is_new and anew:
                self.unknown.add(plot.inode)
            if len(self._names[plot.inode]) < count:
                self._loose.setdefault(plot.path, now if anew else now - YOUNG_SECONDS)

    def loose(self, now: float, *, young: bool) -> list[str]:
        """Plots of which some names are none that is known; each is forgotten here, until it is seen so again.

        Nothing tells when such a name changes the file, or goes. `young` is for those seen so within a minute.
        """
        paths = [path for path, since in self._loose.items() if not young or now - since < YOUNG_SECONDS]
        for path in paths:
            del self._loose[path]
        return paths

    @property
    def loose_count(self) -> int:
        return len(self._loose)

    def ask_all(self) -> None:
        """Ask for all: while everything was looked at, one name may have come after another one's look."""
        self.unknown.update(self._names)

    def learn(self, plots: Iterable[Plot]) -> list[str]:
        """Remember what the catalogue says of the unknown ones; return the paths to look at.

        Names of one file that do not say the same of it are such: the older look is no longer true.
        """
        found: dict[int, list[Plot]] = {}
        for plot in plots:
            found.setdefault(plot.inode, []).append(plot)
        self.unknown.clear()
        paths: list[str] = []
        for same in found.values():
            for plot in same:
                self._remember(plot)
            if len({plot[3:] for plot in same}) > 1:
                paths += _told(plot.path for plot in same)
        return paths

    def affected(self, changes: Iterable[Change], added: Iterable[Row] = ()) -> list[str]:
        """Paths that may have changed with these, since they name the same files."""
        changed: dict[int, dict[str, tuple[int, ...]]] = {}
        new = [Change(None, Plot._make(row)) for row in added if row[6] in self._names] if self._names else []
        for before, after in (*changes, *new):
            if before is not None and before.inode in self._names and (after is None or after.inode != before.inode):
                changed.setdefault(before.inode, {})
                self._forget(before)
            if after is not None and after.inode in self._names:
                changed.setdefault(after.inode, {})[after.path] = after[3:]
        paths: list[str] = []
        for inode, told in changed.items():
            others = self._names.get(inode, set()) - told.keys()
            if len(set(told.values())) > 1:
                # Some of them were looked at before the last of them changed.
                others |= told.keys()
            paths += _told(others)
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


def _told(paths: Iterable[str]) -> Iterator[str]:
    """These paths or, when they are many, their sessions."""
    given = set(paths)
    yield from given if len(given) <= MANY_NAMES else {path.partition("/")[0] for path in given}
