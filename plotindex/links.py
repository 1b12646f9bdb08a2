"""Plots with several names. Pure: no I/O.

A change through one name of a file is told for that name alone (inotify(7)), but it is a change of all of them: so
is a new name, and one that goes, since both set the file's ctime.
"""

from collections.abc import Iterable

from plotindex.layout import Plot
from plotindex.writer import Change

MOST_PATHS = 200_000
"""Beyond so many names only the rescan tells of the others."""


class Links:
    """The names of each inode that was seen to have several."""

    def __init__(self) -> None:
        self._names: dict[int, set[str]] = {}
        self._count = 0
        self.unknown: set[int] = set()
        """Inodes that were met for the first time: there are other names, and they may be in the catalogue."""

    def see(self, plots: Iterable[Plot], *, ask: bool) -> None:
        """Remember plots that were seen to have another name; `ask` for it, where not everything is looked at."""
        for plot in plots:
            names = self._names.get(plot.inode)
            if names is None:
                if self._count >= MOST_PATHS:
                    continue
                names = self._names[plot.inode] = set()
                if ask:
                    self.unknown.add(plot.inode)
            self._count += plot.path not in names
            names.add(plot.path)

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
        paths = []
        for same in found.values():
            self.see(same, ask=False)
            if len({plot[3:] for plot in same}) > 1:
                paths += [plot.path for plot in same]
        return paths

    def affected(self, changes: Iterable[Change]) -> list[str]:
        """Paths that may have changed with these, since they name the same files."""
        paths = []
        for before, after in changes:
            if before is not None and (after is None or after.inode != before.inode):
                paths += self._others(before)
                self._forget(before)
            if after is not None:
                paths += self._others(after)
        return paths

    def _others(self, plot: Plot) -> list[str]:
        return [path for path in self._names.get(plot.inode, ()) if path != plot.path]

    def _forget(self, plot: Plot) -> None:
        names = self._names.get(plot.inode, set())
        self._count -= plot.path in names
        names.discard(plot.path)
        if not names and plot.inode in self._names:
            del self._names[plot.inode]
