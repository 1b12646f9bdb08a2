"""Cost of `Catalog.current` in this process, in a small and a large catalogue."""

import os
import random
import time
from collections.abc import Iterator
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.measure import in_turn, median_ratio, print_table
from plotindex.storage.catalog import Catalog
from plotindex.storage.sqlite.database import SqliteDatabase
from plotindex.tree.grammar import Layout
from plotindex.tree.plots import Plot, PlotKey

SIZES = sorted({10_000, int(os.environ.get("PLOTS", "1000000"))})
PROJECTS = 10
"""Copies of each key: every project has every filename of its session."""
FILES = 100
LOOKUPS = 5_000
ROUNDS = 9
NOW_NS = 1_700_000_000_000_000_000


def lookup() -> None:
    with TemporaryDirectory() as folder:
        catalogs = {rows: _fill(Path(folder) / f"{rows}.db", rows) for rows in SIZES}
        try:
            times = in_turn(ROUNDS, {rows: partial(_look_up, catalogs[rows], rows) for rows in SIZES})
        finally:
            for catalog in catalogs.values():
                catalog.database.close()
    print_table(
        f"One lookup of a current copy, in process: a small and a large catalogue.\n"
        f"  Keys at random, {PROJECTS} copies each; {ROUNDS} rounds in turn of {LOOKUPS:,} lookups; "
        "medians, ratios within each round.",
        ["rows", "us", f"us / at {SIZES[0]:,}"],
        [
            [f"{rows:,}", f"{median(times[rows]):.1f}", f"{median_ratio(times[rows], times[SIZES[0]]):.2f}"]
            for rows in SIZES
        ],
    )


def _fill(path: Path, rows: int) -> Catalog:
    database = SqliteDatabase(path)
    database.migrate()
    catalog = Catalog(database)
    catalog.record_root("/plots", Layout(), NOW_NS // 1000)
    add_rows(catalog, rows)
    return catalog


def add_rows(catalog: Catalog, rows: int) -> None:
    """Add `rows` plots to a catalogue, one commit per session."""
    for _, plots in groupby(rows_of(rows), key=itemgetter(0)):
        with catalog.writing() as writer:
            writer.apply([], [list(plots)])


def rows_of(rows: int) -> Iterator[Plot]:
    """Plots of sessions that do not exist on disk."""
    for session in range(rows // (PROJECTS * FILES)):
        for number in range(FILES):
            for project in range(PROJECTS):
                times = (NOW_NS + project, NOW_NS + project)
                yield Plot(_session(session), f"project_{project:02}", _filename(number), 30_000, *times, inode=number)


def _session(number: int) -> str:
    return f"session_{number:06}"


def _filename(number: int) -> str:
    return f"plot_{number:03}.png"


def _look_up(catalog: Catalog, rows: int) -> float:
    """Microseconds per lookup."""
    sessions = rows // (PROJECTS * FILES)
    pick = random.Random(rows)
    keys = [PlotKey(_session(pick.randrange(sessions)), _filename(pick.randrange(FILES))) for _ in range(LOOKUPS)]
    began = time.perf_counter()
    found = [catalog.current(key) for key in keys]
    seconds = time.perf_counter() - began
    newest = f"project_{PROJECTS - 1:02}"
    if any(plot is None or plot.project != newest for plot in found):
        raise RuntimeError(f"Lookup at {rows} rows did not answer with the newest copy")
    return seconds / LOOKUPS * 1e6
