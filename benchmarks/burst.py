"""A burst of plots: when the catalogue has caught up, and how many plots are missing then."""

import json
import os
from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.drawing import PROJECTS, SESSIONS, Drawn
from benchmarks.measure import in_turn, median_ratio, print_table
from benchmarks.processes import BenchmarkSite
from benchmarks.watchers import PLOTINDEX, UNWATCHED, WATCHDOG, walk, watched

PLOTS = 50_000
ROUNDS = 5


COLUMNS = [
    "watcher",
    "writer s",
    "until done s",
    "writer / unwatched",
    "until done / unwatched",
    "until done / writer",
    "missing",
]


class Sample(NamedTuple):
    """One burst."""

    writer: float
    """Seconds from the first folder to the last plot's close."""
    settled: float
    """Seconds until the watcher reported that it is done, or last changed its table."""
    missing: int
    """Plots that are missing from the table, or outdated there."""


def burst(folder: Path) -> None:
    measures = {name: partial(_sample, name, folder / name, count()) for name in (UNWATCHED, WATCHDOG, PLOTINDEX)}
    _print(in_turn(ROUNDS, measures))


def _sample(name: str, folder: Path, rounds: Iterator[int]) -> Sample:
    site = BenchmarkSite(folder / str(next(rounds)))
    # Flush first: the previous round must not be written during this one.
    os.sync()
    if name == UNWATCHED:
        drawn = _draw(site)
        return Sample(drawn.seconds, drawn.seconds, 0)
    with watched(name, site) as watcher:
        drawn = _draw(site)
        settled = watcher.settle()
        plots, known = walk(site.root), watcher.plots()
    if len(plots) != PLOTS:
        raise RuntimeError(f"The writer must draw {PLOTS} plots, but there are {len(plots)}")
    missing = sum(known.get(path) != numbers for path, numbers in plots.items())
    return Sample(drawn.seconds, settled.at - drawn.began, missing)


def _draw(site: BenchmarkSite) -> Drawn:
    output = site.run("benchmarks.drawing", "burst", str(site.root), str(PLOTS)).stdout
    return Drawn(*json.loads(output.splitlines()[-1]))


def _print(samples: dict[str, list[Sample]]) -> None:
    print_table(
        f"{PLOTS:,} plots into {SESSIONS * PROJECTS} new folders, as fast as one process can: until `plotindex sync` "
        "has answered (watchdog's observer: until its table changes no more).\n"
        f"  {ROUNDS} rounds in turn; medians, ratios within each round, to the unwatched writer; "
        "missing plots of all rounds.",
        COLUMNS,
        [_row(name, samples[name], samples[UNWATCHED]) for name in samples],
    )


def _row(name: str, mine: list[Sample], nobody: list[Sample]) -> list[str]:
    alone = [sample.writer for sample in nobody]
    writer, settled = [sample.writer for sample in mine], [sample.settled for sample in mine]
    return [
        name,
        f"{median(writer):.2f}",
        f"{median(settled):.2f}",
        f"{median_ratio(writer, alone):.2f}",
        f"{median_ratio(settled, alone):.2f}",
        f"{median_ratio(settled, writer):.2f}",
        "-" if name == UNWATCHED else f"{sum(sample.missing for sample in mine):,}",
    ]
