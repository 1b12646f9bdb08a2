"""Storms of random changes: is every plot known afterwards, and the next one in every folder seen?"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks.drawing import draw
from benchmarks.measure import in_turn, print_table
from benchmarks.processes import BenchmarkSite, python
from benchmarks.watchers import PLOTINDEX, WATCHDOG, WATCHFILES, Plots, is_installed, walk, watched

SEEDS = 10
STORM_SECONDS = 4
PROCESSES = 2
LAST = "last.png"
COLUMNS = ["watcher", "storms survived", "wrong paths", "of", "deaf folders", "of"]


class Fate(NamedTuple):
    """A watcher's state after a storm."""

    done: bool
    """Whether it caught up."""
    wrong: int
    """Missing and stale plots in its table."""
    plots: int
    deaf: int
    """Folders where one more plot was drawn and not seen."""
    folders: int

    @property
    def survived(self) -> bool:
        return self.done and not self.wrong and not self.deaf


def survival() -> None:
    names = [name for name in (WATCHDOG, WATCHFILES, PLOTINDEX) if is_installed(name)]
    fates = in_turn(SEEDS, {name: partial(_weather, name, count(1)) for name in names})
    print_table(
        f"Storms of random changes, by {PROCESSES} processes for {STORM_SECONDS} seconds: who knows every "
        "plot afterwards, and sees one more in every folder.\n"
        "  The other libraries have a handler that rescans each path of an event and everything below it.\n"
        f"  The same {SEEDS} seeds for each, in turn. Of plotindex sizes and times count too, of the others paths.",
        COLUMNS,
        [_row(name, fates.get(name)) for name in (WATCHDOG, WATCHFILES, PLOTINDEX)],
    )


def _weather(name: str, seeds: Iterator[int]) -> Fate:
    with TemporaryDirectory() as folder, watched(name, site := BenchmarkSite(Path(folder))) as watcher:
        _storm(site, next(seeds))
        done = watcher.settle().well
        plots = walk(site.root)
        wrong = _differing(plots, watcher.plots(), numbers=name == PLOTINDEX)
        for place in _folders(site.root):
            # Skip folders that cannot be written to.
            with suppress(OSError):
                draw(f"{place}/{LAST}")
        done = watcher.settle().well and done
        last = {path: numbers for path, numbers in walk(site.root).items() if path.endswith(f"/{LAST}")}
        known = watcher.plots()
        seen = {path: known[path] for path in last if path in known}
        deaf = _differing(last, seen, numbers=name == PLOTINDEX)
        return Fate(done, wrong, len(plots), deaf, len(last))


def _storm(site: BenchmarkSite, seed: int) -> None:
    commands = [
        python("tests.support.churn", str(site.root), str(seed * PROCESSES + number), str(STORM_SECONDS))
        for number in range(PROCESSES)
    ]
    processes = [
        subprocess.Popen(command, cwd=site.folder, env=site.environment, stdout=subprocess.DEVNULL)
        for command in commands
    ]
    for process in processes:
        if process.wait(STORM_SECONDS + 60):
            raise RuntimeError(f"The storm broke off with {process.returncode}")


def _folders(root: Path) -> list[str]:
    """All folders that can hold plots: the projects and their subfolders."""
    places = (place for project in root.glob("*/project_*") if not project.is_symlink() for place in os.walk(project))
    return [place for place, _, _ in places]


def _differing(tree: Plots, table: Plots, *, numbers: bool) -> int:
    if not numbers:
        return len(tree.keys() ^ table.keys())
    return sum(tree.get(path) != table.get(path) for path in tree.keys() | table.keys())


def _row(name: str, fates: list[Fate] | None) -> list[str]:
    if fates is None:
        return [name, "not installed", *["-"] * (len(COLUMNS) - 2)]
    return [
        name,
        f"{sum(fate.survived for fate in fates)} of {len(fates)}",
        f"{sum(fate.wrong for fate in fates):,}",
        f"{sum(fate.plots for fate in fates):,}",
        f"{sum(fate.deaf for fate in fates):,}",
        f"{sum(fate.folders for fate in fates):,}",
    ]
