"""The same HTTP hit with a small and a large catalogue."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.lookup import SIZES, add_rows
from benchmarks.measure import in_turn, median_ratio, print_table, ratio_quartiles
from benchmarks.processes import BenchmarkSite
from benchmarks.serving import Server, draw_session, sample, started_server
from plotindex.storage.catalog import Catalog
from plotindex.storage.sqlite.database import SqliteDatabase

ROUNDS = 15


def rows() -> None:
    with TemporaryDirectory() as folder, ExitStack() as stack:
        measures = {}
        for size in SIZES:
            site = BenchmarkSite(Path(folder) / str(size))
            server = stack.enter_context(_served(site, size))
            measures[size] = partial(sample, site, server, 1)
        samples = in_turn(ROUNDS, measures)
    cpu = {size: [one.cpu_us for one in samples[size]] for size in SIZES}
    rate = {size: [one.rate for one in samples[size]] for size in SIZES}
    lines = []
    for size in SIZES:
        low, high = ratio_quartiles(cpu[size], cpu[SIZES[0]])
        quartiles = f"{low:.2f}-{high:.2f}"
        ratios = median_ratio(cpu[size], cpu[SIZES[0]]), median_ratio(rate[size], rate[SIZES[0]])
        lines.append(
            [
                f"{size:,}",
                f"{median(rate[size]):,.0f}",
                f"{median(cpu[size]):,.0f}",
                f"{ratios[0]:.2f}",
                quartiles,
                f"{ratios[1]:.2f}",
            ]
        )
    print_table(
        f"The same hit over HTTP, as above, with a small and a large catalogue; {ROUNDS} rounds in turn.",
        ["rows", "requests/s", "CPU us", f"CPU / at {SIZES[0]:,}", "quartiles", f"requests/s / at {SIZES[0]:,}"],
        lines,
    )


@contextmanager
def _served(site: BenchmarkSite, size: int) -> Iterator[Server]:
    draw_session(site.root, 1)
    with site.started("plotindex", "watch", log="watch.log"):
        site.wait_until_watching()
        _fill(next((site.folder / "state").glob("*/catalog.db")), size)
        token = site.run("plotindex", "token", "create", "--name", "benchmark").stdout.strip()
        with started_server(site, "plotindex", token) as server:
            yield server


def _fill(file: Path, size: int) -> None:
    # Rows of missing sessions: the hourly full scan does not remove them during the benchmark.
    catalog = Catalog(SqliteDatabase(file))
    try:
        add_rows(catalog, size)
    finally:
        catalog.database.close()
