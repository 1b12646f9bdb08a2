"""A soak: `python -m tests.tools.soak SECONDS` draws plots at a steady rate, and measures the indexer.

Prints a histogram of the latency from a plot's close to its row, and the indexer's memory, descriptors and watches at
the start and the end. Exits 1 if the catalogue differs from the tree at the end.
"""

import sqlite3
import sys
import tempfile
import time
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from statistics import quantiles
from typing import NamedTuple

import psutil

from tests.guarantees.test_convergence import plots_by_hand
from tests.support.processes import draw
from tests.tools.torture import SYNC_SECONDS, TortureSite, compare_plots, site, watched_inodes

PLOTS_A_SECOND = 200
SESSIONS, PROJECTS, NAMES = 20, 5, 100
"""All plots are redrawn in turn: each one every 50 seconds."""
SAMPLED = 3
"""The latency of every third plot is measured."""
POLL_SECONDS = 0.0005
BOUNDS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, float("inf")]
"""Upper bounds of the histogram's bars, in milliseconds."""


class Cost(NamedTuple):
    """The indexer's resources."""

    rss_mb: float
    descriptors: int
    watches: int

    def __str__(self) -> str:
        return f"{self.rss_mb:.1f} MB resident, {self.descriptors} descriptors, {self.watches} watches"


class Rows:
    """Measures the latencies of awaited rows."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._clock = 0
        self._awaited: dict[tuple[str, str, str], tuple[int, float]] = {}
        self.latencies: list[float] = []
        """Milliseconds."""

    def expect(self, session: str, project: str, filename: str, plot: Path) -> None:
        """Await the row of a plot that was just closed."""
        self._awaited[session, project, filename] = plot.stat().st_ctime_ns, time.monotonic()

    def poll(self) -> None:
        [clock] = self._connection.execute("SELECT clock FROM catalogue").fetchone()
        if clock == self._clock:
            return
        self._clock = clock
        query = "SELECT ctime_ns FROM plot WHERE session = ? AND project = ? AND filename = ?"
        for key, (ctime_ns, closed) in list(self._awaited.items()):
            row = self._connection.execute(query, key).fetchone()
            if row and row[0] >= ctime_ns:
                self.latencies.append((time.monotonic() - closed) * 1000)
                del self._awaited[key]

    @property
    def awaited(self) -> int:
        return len(self._awaited)


def cost(pid: int) -> Cost:
    process = psutil.Process(pid)
    return Cost(process.memory_info().rss / 1e6, process.num_fds(), len(watched_inodes(pid)))


def plots() -> Iterator[tuple[str, str, str]]:
    """Session, project and filename of all plots in an endless cycle; neighbours are in different sessions."""
    while True:
        for number in range(NAMES):
            for project in range(PROJECTS):
                for session in range(SESSIONS):
                    yield f"s{session}", f"project_{project}", f"sub/{number}.png"


def draw_steadily(made: TortureSite, seconds: float) -> Rows:
    """Draw for `seconds`, polling for rows in between."""
    [database] = made.state.glob("*/catalog.db")
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        rows = Rows(connection)
        began = time.monotonic()
        for number, key in enumerate(plots()):
            while time.monotonic() < began + number / PLOTS_A_SECOND:
                rows.poll()
                time.sleep(POLL_SECONDS)
            if number >= seconds * PLOTS_A_SECOND:
                break
            plot = draw(made.root, "/".join(key), b"%d" % number)
            if number % SAMPLED == 0:
                rows.expect(*key, plot)
        deadline = time.monotonic() + SYNC_SECONDS
        while rows.awaited and time.monotonic() < deadline:
            rows.poll()
            time.sleep(POLL_SECONDS)
        return rows


def histogram(latencies: list[float]) -> Iterator[str]:
    counts = [0] * len(BOUNDS)
    for latency in latencies:
        counts[bisect_left(BOUNDS, latency)] += 1
    for bound, count in zip(BOUNDS, counts, strict=True):
        bar = "#" * round(60 * count / len(latencies))
        yield f"  to {bound:6g} ms  {count:8}  {bar}"


def soak(folder: Path, seconds: float) -> tuple[list[str], bool]:
    """The report, and whether the catalogue equals the tree."""
    with site(folder) as made:
        # The tree must have its final size from the start.
        for number, key in zip(range(SESSIONS * PROJECTS * NAMES), plots(), strict=False):
            draw(made.root, "/".join(key), b"%d" % number)
        made.run("sync", "--timeout", str(SYNC_SECONDS))
        before = cost(made.indexer.pid)
        rows = draw_steadily(made, seconds)
        synced = made.run("sync", "--timeout", str(SYNC_SECONDS))
        after = cost(made.indexer.pid)
        different = list(compare_plots(made.plots(), plots_by_hand(made.root)))
        percentiles = quantiles(rows.latencies, n=1000, method="inclusive")
        lines = [
            f"{seconds:.0f} seconds at {PLOTS_A_SECOND} plots a second over {SESSIONS} sessions; from close to row:",
            *histogram(rows.latencies),
            f"  p50 {percentiles[499]:.1f} ms, p99 {percentiles[989]:.1f} ms, p99.9 {percentiles[998]:.1f} ms, "
            f"max {max(rows.latencies):.1f} ms; {rows.awaited} of {len(rows.latencies) + rows.awaited} never came",
            f"indexer at the start: {before}",
            f"indexer at the end:   {after}",
            f"plots {len(made.plots())}, differences {len(different)}",
            *different[:10],
        ]
        return lines, synced.returncode == 0 and not different and not rows.awaited


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        lines, well = soak(Path(folder), float(sys.argv[1]))
    print("\n".join(lines))  # noqa: T201 - a program's result
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
