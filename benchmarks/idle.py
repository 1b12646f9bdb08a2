"""Many unchanging folders: the cost of watching them, and that reading plots causes no event."""

import http.client
import json
import re
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import NamedTuple

import psutil
from watchdog.observers.inotify_c import WATCHDOG_ALL_EVENTS, CallbackId, InotifyEvent, InotifyFD, Mask, WatchDescriptor

from benchmarks.drawing import PLOT, draw
from benchmarks.measure import print_table, tree_cpu_seconds
from benchmarks.processes import BenchmarkSite, free_port
from benchmarks.watchers import PLOTINDEX, WATCHDOG, WatchedRoot, watched

SESSIONS = 100
PROJECTS = 100
FOLDERS = SESSIONS * PROJECTS
"""With one plot each."""
CALM_SECONDS = 5
"""The first seconds after the start do not count as idle."""
IDLE_SECONDS = 20
DRAWN = 10
RULE = "/api/smartstat/plots"


class Idle(NamedTuple):
    """A watcher's cost while nothing happened."""

    name: str
    cpu: float
    """Of one core."""
    rss_mb: float


class Caused(NamedTuple):
    """The effect of an action in all the folders."""

    what: str
    own: int
    """Events under the mask with which plotindex watches."""
    stock: int
    """Events under watchdog's default mask."""
    changes: int
    """How far the catalogue's clock advanced."""
    cpu: float
    """Of one core, the indexer's."""


class Counter:
    """Counts events independently, with another inotify descriptor on the same folders."""

    def __init__(self, folders: Iterable[Path], mask: int) -> None:
        self.events = 0
        self._reader = InotifyFD()
        self._reader.start()
        for folder in folders:
            self._reader.add_callback(bytes(folder), Mask(mask), self, CallbackId(0))

    def on_event(self, _event: InotifyEvent) -> None:
        self.events += 1

    def on_watch_deleted(self, _wd: WatchDescriptor) -> None:
        """Only when stopped: no folder is deleted here."""

    def on_queue_overflow(self) -> None:
        raise RuntimeError("More events than the kernel keeps")

    def stop(self) -> None:
        self._reader.stop()
        self._reader.join()


def idle(folder: Path) -> None:
    site = BenchmarkSite(folder)
    paths = [f"s{s:02}/project_{p:02}/plot.png" for s in range(SESSIONS) for p in range(PROJECTS)]
    for path in paths:
        (site.root / path).parent.mkdir(parents=True)
        draw(f"{site.root}/{path}")
    # Both watch the same folders at the same time: idle watchers do not disturb each other.
    with watched(WATCHDOG, site) as stock:
        with watched(PLOTINDEX, site) as indexer:
            rows = _idle({WATCHDOG: stock, f"{PLOTINDEX}, first start": indexer})
        # Memory used for filling its database must not count.
        with watched(PLOTINDEX, site) as indexer:
            rows += _idle({f"{PLOTINDEX}, started again": indexer})
            caused = _caused(indexer, paths)
    _print_idle(rows)
    _print_caused(caused)


def _idle(watchers: dict[str, WatchedRoot]) -> list[Idle]:
    time.sleep(CALM_SECONDS)
    processes = [watcher.process for watcher in watchers.values()]
    began, before = time.perf_counter(), list(map(tree_cpu_seconds, processes))
    time.sleep(IDLE_SECONDS)
    seconds, after = time.perf_counter() - began, list(map(tree_cpu_seconds, processes))
    return [
        Idle(name, (end - begin) / seconds, process.memory_info().rss / 1e6)
        for name, process, begin, end in zip(watchers, processes, before, after, strict=True)
    ]


def _caused(watcher: WatchedRoot, paths: list[str]) -> list[Caused]:
    site = watcher.site
    folders = [site.root, *site.root.iterdir(), *site.root.glob("*/*/")]
    own, stock = Counter(folders, _mask(watcher.process)), Counter(folders, WATCHDOG_ALL_EVENTS)
    try:
        port, log = free_port(), "serve.log"
        with site.started("plotindex", "serve", "--port", str(port), log=log) as server:
            site.wait_until_listening(server, port, log)
            return [
                _count(
                    f"reading {len(paths):,} plots over HTTP", partial(_read, site, port, paths), watcher, own, stock
                ),
                _count(f"drawing {DRAWN} of them again", partial(_draw, site, paths[:DRAWN]), watcher, own, stock),
            ]
    finally:
        own.stop()
        stock.stop()


def _count(what: str, do: Callable[[], None], watcher: WatchedRoot, own: Counter, stock: Counter) -> Caused:
    clock, cpu = _clock(watcher.site), tree_cpu_seconds(watcher.process)
    own.events = stock.events = 0
    began = time.perf_counter()
    do()
    # Longer than any event takes.
    time.sleep(1)
    share = (tree_cpu_seconds(watcher.process) - cpu) / (time.perf_counter() - began)
    return Caused(what, own.events, stock.events, _clock(watcher.site) - clock, share)


def _mask(process: psutil.Process) -> int:
    """The inotify mask of a process, from /proc."""
    for file in Path(f"/proc/{process.pid}/fdinfo").iterdir():
        if found := re.search(r"^inotify .* mask:([0-9a-f]+)", file.read_text(), re.MULTILINE):
            return int(found[1], 16)
    raise RuntimeError("plotindex watches nothing")


def _clock(site: BenchmarkSite) -> int:
    return int(json.loads(site.run("plotindex", "status", "--json").stdout)["clock"])


def _read(site: BenchmarkSite, port: int, paths: list[str]) -> None:
    token = site.run("plotindex", "token", "create", "--name", "benchmark").stdout.strip()
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        for path in paths:
            session, project, filename = path.split("/")
            target = f"{RULE}/{session}/{filename}?project={project}"
            connection.request("GET", target, headers={"Authorization": f"Bearer {token}"})
            answer = connection.getresponse()
            got = answer.status, answer.getheader("Cache-Status"), answer.read()
            if got != (200, "plotindex; hit", PLOT):
                raise RuntimeError(f"The answer must be a hit, but {target} is {got}")


def _draw(site: BenchmarkSite, paths: list[str]) -> None:
    for path in paths:
        draw(f"{site.root}/{path}")


def _print_idle(rows: list[Idle]) -> None:
    print_table(
        f"Watching {FOLDERS:,} folders in which nothing happens, for {IDLE_SECONDS} seconds, side by side.",
        ["watcher", "CPU % of a core", "RSS MB"],
        [[row.name, f"{row.cpu * 100:.2f}", f"{row.rss_mb:.0f}"] for row in rows],
    )


def _print_caused(rows: list[Caused]) -> None:
    print_table(
        f"What reading causes: inotify events in these {FOLDERS:,} folders, counted on a descriptor of the benchmark's "
        "own under the mask of plotindex's indexer (from /proc), and under watchdog's default.",
        ["what", "events", "events under watchdog's default", "changes of the catalogue", "indexer's CPU %"],
        [[row.what, f"{row.own:,}", f"{row.stock:,}", f"{row.changes:,}", f"{row.cpu * 100:.1f}"] for row in rows],
    )
