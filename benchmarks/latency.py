"""From a plot's close to its row: alone, while others draw, and while one session draws or renames without pause."""

import math
import os
import random
import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from itertools import chain
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.drawing import STEADY_SESSIONS, SUBFOLDERS, draw, make_subfolders
from benchmarks.measure import in_turn, median_ratio, print_table
from benchmarks.processes import Site
from benchmarks.watchers import PLOTINDEX, WATCHDOG, Watched, watched

ROUNDS = 5
PLOTS = 60
"""In each round; one each 30 to 70 ms, however long the last one took to be seen."""
POLL_SECONDS = 0.0005
PATIENCE_SECONDS = 10
"""After so long a plot counts as one that is never seen."""
PROJECT = "measured/project_a"

ALONE = "nothing else is drawn"
STEADY = f"others draw 1,000 plots/s in {STEADY_SESSIONS} sessions"
UNPAUSED = "one session draws without pause"
RENAMING = f"one session renames {SUBFOLDERS:,} folders without pause"
UNPAUSED_OUTSIDE = "somebody draws so, but outside the root"
RENAMING_OUTSIDE = "somebody renames so, but outside the root"
KINDS = {
    STEADY: "steady",
    UNPAUSED: "unpaused",
    UNPAUSED_OUTSIDE: "unpaused",
    RENAMING: "renaming",
    RENAMING_OUTSIDE: "renaming",
}
OUTSIDE = (UNPAUSED_OUTSIDE, RENAMING_OUTSIDE)
"""Makes no event: what the others lose by it is the machine's share."""
CELLS = [
    (ALONE, WATCHDOG),
    (ALONE, PLOTINDEX),
    (STEADY, WATCHDOG),
    (STEADY, PLOTINDEX),
    (UNPAUSED, PLOTINDEX),
    (UNPAUSED_OUTSIDE, PLOTINDEX),
    (RENAMING, PLOTINDEX),
    (RENAMING_OUTSIDE, PLOTINDEX),
]
COLUMNS = [
    "meanwhile",
    "per second",
    "watcher",
    "p50 ms",
    "p99 ms",
    "max ms",
    f"not in {PATIENCE_SECONDS} s",
    "p50 / watchdog",
    "p50 / alone",
    "p99 / alone",
]


class Sample(NamedTuple):
    """One measurement."""

    latencies: list[float]
    """In milliseconds; infinite for a plot that was never seen."""
    gaps: list[float]
    """Milliseconds from one poll to the next: how exact the latencies are."""
    rate: float | None
    """What the others did meanwhile, each second."""
    well: bool
    """Whether the watcher caught up with the others afterwards."""


Samples = dict[tuple[str, str], list[Sample]]


def latency(folder: Path) -> None:
    with ExitStack() as stack:
        watchers = {}
        for name in (WATCHDOG, PLOTINDEX):
            site = Site(folder / name)
            (site.root / PROJECT).mkdir(parents=True)
            for root in (site.root, site.folder):
                make_subfolders(root)
            watchers[name] = stack.enter_context(watched(name, site))
        _print(in_turn(ROUNDS, {cell: partial(_sample, cell[0], watchers[cell[1]]) for cell in CELLS}))


def _sample(meanwhile: str, watcher: Watched) -> Sample:
    if meanwhile == ALONE:
        return Sample(*_measure(watcher), None, well=True)
    with watcher.drawing(KINDS[meanwhile], watcher.site.folder if meanwhile in OUTSIDE else watcher.root) as drawn:
        measured = _measure(watcher)
    return Sample(*measured, drawn[0].rate, watcher.settle().well)


def _measure(watcher: Watched) -> tuple[list[float], list[float]]:
    chance = random.Random()
    latencies, gaps = [], []
    waiting: dict[str, tuple[float, os.stat_result]] = {}
    left = PLOTS
    due = polled = time.perf_counter()
    while left or waiting:
        if left and time.perf_counter() >= due:
            path = f"{PROJECT}/{time.time_ns()}.png"
            draw(f"{watcher.root}/{path}")
            waiting[path] = time.perf_counter(), os.lstat(watcher.root / path)
            left -= 1
            due += chance.uniform(0.03, 0.07)
        for path, (closed, status) in list(waiting.items()):
            seen = watcher.sees(path, status)
            took = time.perf_counter() - closed
            if seen or took > PATIENCE_SECONDS:
                latencies.append(took * 1000 if seen else math.inf)
                del waiting[path]
        time.sleep(POLL_SECONDS)
        gaps.append((time.perf_counter() - polled) * 1000)
        polled = time.perf_counter()
    return latencies, gaps


def _print(samples: Samples) -> None:
    gaps = list(chain.from_iterable(sample.gaps for some in samples.values() for sample in some))
    print_table(
        "From a plot's close to its row, in one session: what watches it is plotindex, or watchdog's observer and a "
        f"handler that writes a row for each event.\n  {ROUNDS} rounds in turn of {PLOTS} plots, one each 30 to 70 ms; "
        f"the row is polled for, each {median(gaps):.1f} ms (p99 {_percentile(gaps, 99):.1f} ms).\n"
        "  p50 is the median of the rounds, its ratios are within each round; p99 and max are of all rounds together.",
        COLUMNS,
        [_row(samples, *cell) for cell in samples],
    )
    for (meanwhile, name), some in samples.items():
        if late := sum(not sample.well for sample in some):
            print(f"  {name}, {meanwhile}: had not caught up a minute later in {late} of {ROUNDS} rounds")


def _row(samples: Samples, meanwhile: str, name: str) -> list[str]:
    mine, alone = samples[meanwhile, name], samples[ALONE, name]
    beside = samples.get((meanwhile, WATCHDOG))
    rates = [sample.rate for sample in mine if sample.rate is not None]
    all_mine = _together(mine)
    return [
        meanwhile,
        f"{median(rates):,.0f}" if rates else "-",
        name,
        _number(median(_p50s(mine))),
        _number(_percentile(all_mine, 99)),
        _number(max(all_mine)),
        str(all_mine.count(math.inf)),
        _ratio(median_ratio(_p50s(mine), _p50s(beside))) if beside else "-",
        _ratio(median_ratio(_p50s(mine), _p50s(alone))),
        _ratio(_percentile(all_mine, 99) / _percentile(_together(alone), 99)),
    ]


def _p50s(samples: Sequence[Sample]) -> list[float]:
    return [median(sample.latencies) for sample in samples]


def _together(samples: Sequence[Sample]) -> list[float]:
    return [latency for sample in samples for latency in sample.latencies]


def _percentile(of: Sequence[float], percent: int) -> float:
    ranked = sorted(of)
    return ranked[min(len(ranked) - 1, math.ceil(len(ranked) * percent / 100) - 1)]


def _number(milliseconds: float) -> str:
    return f">{PATIENCE_SECONDS * 1000:,}" if math.isinf(milliseconds) else f"{milliseconds:,.1f}"


def _ratio(ratio: float) -> str:
    return f"{ratio:,.2f}" if math.isfinite(ratio) else "-"
