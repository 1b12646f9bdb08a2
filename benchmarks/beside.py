"""What a process behind the clock costs others: the indexer and the server with and without it, in turn."""

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from random import Random
from statistics import median
from typing import NamedTuple

import psutil

from benchmarks.history_site import follower_of, wait_until_kept
from benchmarks.latency import PROJECT, measure
from benchmarks.load import Job
from benchmarks.measure import in_turn, median_ratio, print_table, ratio_quartiles
from benchmarks.processes import BenchmarkSite
from benchmarks.serving import CONNECTIONS, HIT, SECONDS, Server, started_server
from benchmarks.serving import measure as measure_load
from benchmarks.watchers import PLOTINDEX, WatchedRoot, watched

ROUNDS = 7
FLOOD = 5_000
IDLE_SECONDS = 10
WITH, WITHOUT = "with it", "without"
HIT_PLOT = "hit/project_a/plot.png"


class Follower(NamedTuple):
    """A process that follows the catalogue."""

    name: str
    module: str
    setting: str
    on: str
    off: str
    prepare: Callable[[BenchmarkSite], None] = lambda _: None
    """Draws what is there before."""
    is_awaited: bool = False
    """Whether each measurement waits until it has done its work of the one before."""


class Site(NamedTuple):
    """A root, its indexer and its server."""

    watched: WatchedRoot
    server: Server
    follower: psutil.Process | None
    is_awaited: bool


def print_beside(folder: Path, follower: Follower) -> None:
    with ExitStack() as stack:
        sites = {
            name: _start(stack, folder / name.replace(" ", "-"), follower, is_on=name == WITH)
            for name in (WITH, WITHOUT)
        }
        measures: dict[tuple[str, str], Callable[[], float]] = {}
        for what, take in {
            "close to row, p50 ms": _latency,
            "the same, while others draw 1,000 plots/s": _busy_latency,
            f"flood of {FLOOD:,} plots until all have rows, s": _flood,
            "CPU ms of the indexer in it": _flood_cpu,
            "a hit, CPU us": _hit,
            "idle for a minute, CPU ms of the indexer": _idle,
            "the same, with the process itself": _idle_together,
        }.items():
            measures |= {(what, name): partial(_take, take, site) for name, site in sites.items()}
        samples = in_turn(ROUNDS, measures, shuffle=Random(1))
    rows = []
    for what in dict.fromkeys(what for what, _ in samples):
        mine, other = samples[what, WITH], samples[what, WITHOUT]
        low, high = ratio_quartiles(mine, other)
        ratio = f"{median_ratio(mine, other):.2f}"
        rows.append([what, f"{median(mine):,.2f}", f"{median(other):,.2f}", ratio, f"{low:.2f} to {high:.2f}"])
    print_table(
        f"The indexer and the server with and without {follower.name}; {ROUNDS} rounds, each in an order of its own.",
        ["", WITH, WITHOUT, "ratio", "quartiles"],
        rows,
    )


def _start(stack: ExitStack, folder: Path, follower: Follower, *, is_on: bool) -> Site:
    site = BenchmarkSite(folder)
    site.environment[follower.setting] = follower.on if is_on else follower.off
    (site.root / PROJECT).mkdir(parents=True)
    (site.root / HIT_PLOT).parent.mkdir(parents=True)
    (site.root / HIT_PLOT).write_bytes(os.urandom(30_000))
    follower.prepare(site)
    root = stack.enter_context(watched(PLOTINDEX, site))
    token = site.run("plotindex", "token", "create", "--name", "benchmark").stdout.strip()
    server = stack.enter_context(started_server(site, PLOTINDEX, token))
    process = follower_of(root.process, follower.module) if is_on else None
    return Site(root, server, process, follower.is_awaited)


def _take(measure_one: Callable[[Site], float], site: Site) -> float:
    """One measurement; the next one is not disturbed by what is kept of this one."""
    measured = measure_one(site)
    if site.follower and site.is_awaited:
        wait_until_kept(site.watched.site)
    return measured


def _latency(site: Site) -> float:
    return median(measure(site.watched)[0])


def _busy_latency(site: Site) -> float:
    with site.watched.drawing("steady", site.watched.root):
        latency = _latency(site)
    site.watched.settle()
    return latency


def _flood(site: Site) -> float:
    """From the first plot of a burst until all have rows."""
    place = site.watched.root / f"flood_{time.time_ns()}/project_a"
    place.mkdir(parents=True)
    began = time.perf_counter()
    for number in range(FLOOD):
        (place / f"{number}.png").write_bytes(b"%d" % number)
    return site.watched.settle().at - began


def _flood_cpu(site: Site) -> float:
    before = _cpu_ms(site.watched.process)
    _flood(site)
    return _cpu_ms(site.watched.process) - before


def _hit(site: Site) -> float:
    job = Job(
        port=site.server.port,
        path=f"/api/smartstat/plots/{HIT_PLOT.replace('/project_a', '')}",
        token=site.server.token,
        seconds=SECONDS,
        connections=CONNECTIONS,
        file=str(site.watched.root / HIT_PLOT),
        header=HIT,
    )
    return measure_load(site.watched.site, job, [site.server.process]).cpu_us


def _idle(site: Site) -> float:
    before = _cpu_ms(site.watched.process)
    time.sleep(IDLE_SECONDS)
    return (_cpu_ms(site.watched.process) - before) * 60 / IDLE_SECONDS


def _idle_together(site: Site) -> float:
    before = _cpu_ms(site.follower) if site.follower else 0
    measured = _idle(site)
    return measured + ((_cpu_ms(site.follower) - before) * 60 / IDLE_SECONDS if site.follower else 0)


def _cpu_ms(process: psutil.Process) -> float:
    """CPU time of the threads of a process: finer than the ticks of cpu_times."""
    tasks = Path(f"/proc/{process.pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e6
