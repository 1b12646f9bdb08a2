"""Latency from a plot's close to its row: idle, with steady load, and with one session that never pauses."""

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
from benchmarks.processes import BenchmarkSite
from benchmarks.watchers import PLOTINDEX, WATCHDOG, WatchedRoot, watched

ROUNDS = 5
PLOTS = 60
"""In each round; one every 30 to 70 ms, regardless of earlier latencies."""
POLL_SECONDS = 0.0005
TIMEOUT_SECONDS = 10
"""After so long, a plot counts as never seen."""
PROJECT = "measured/project_a"

ALONE = "nothing else is drawn"
STEADY = f"others draw 1,000 plots/s in {STEADY_SESSIONS} sessions"
UNPAUSED = "one session draws without pause"
RENAMING = f"one session renames {SUBFOLDERS:,} folders without pause"
UNPAUSED_OUTSIDE = "the same drawing, but outside the root"
RENAMING_OUTSIDE = "the same renaming, but outside the root"
KINDS = {
    STEADY: "steady",
    UNPAUSED: "unpaused",
    UNPAUSED_OUTSIDE: "unpaused",
    RENAMING: "renaming",
    RENAMING_OUTSIDE: "renaming",
}
OUTSIDE = (UNPAUSED_OUTSIDE, RENAMING_OUTSIDE)
"""Causes no event: measures the effect of the machine's load alone."""
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
    f"not in {TIMEOUT_SECONDS} s",
    "p50 / watchdog",
    "p50 / alone",
    "p99 / alone",
]


class Sample(NamedTuple):
    """One measurement."""

    latencies: list[float]
    """Milliseconds; infinite for a plot that was never seen."""
    gaps: list[float]
    """Milliseconds between polls: the resolution of the latencies."""
    rate: float | None
    """Changes per second by the load."""
    well: bool
    """Whether the watcher caught up with the load afterwards."""


Samples = dict[tuple[str, str], list[Sample]]


def latency(folder: Path) -> None:
    with ExitStack() as stack:
        watchers = {}
        for name in (WATCHDOG, PLOTINDEX):
            site = BenchmarkSite(folder / name)
            (site.root / PROJECT).mkdir(parents=True)
            for root in (site.root, site.folder):
                make_subfolders(root)
            watchers[name] = stack.enter_context(watched(name, site))
        _print(in_turn(ROUNDS, {cell: partial(_sample, cell[0], watchers[cell[1]]) for cell in CELLS}))


def _sample(meanwhile: str, watcher: WatchedRoot) -> Sample:
    if meanwhile == ALONE:
        return Sample(*measure(watcher), None, well=True)
    with watcher.drawing(KINDS[meanwhile], watcher.site.folder if meanwhile in OUTSIDE else watcher.root) as drawn:
        measured = measure(watcher)
    return Sample(*measured, drawn[0].rate, watcher.settle().well)


def measure(watcher: WatchedRoot) -> tuple[list[float], list[float]]:
    """The latencies, and the gaps between polls, in milliseconds."""
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
            if seen or took > TIMEOUT_SECONDS:
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
    return f">{TIMEOUT_SECONDS * 1000:,}" if math.isinf(milliseconds) else f"{milliseconds:,.1f}"


def _ratio(ratio: float) -> str:
    return f"{ratio:,.2f}" if math.isfinite(ratio) else "-"
