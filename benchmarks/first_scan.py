"""Plots drawn at once while an indexer's first scan runs: when they are in the catalogue."""

import os
import time
from pathlib import Path
from shutil import rmtree
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks.measure import in_turn, print_table
from benchmarks.processes import BenchmarkSite
from benchmarks.rebuild import FILES, PROJECTS, draw_tree
from plotindex.config import load_settings
from plotindex.index import open_catalog
from plotindex.storage import Catalog

SESSIONS = 90
PLOTS = SESSIONS * PROJECTS * FILES
DRAWN = 300
SCANNED = 12_000
"""Rows after which the plots are drawn, in the session that was scanned first."""
ROUNDS = 5
TIMEOUT = 120


class Sample(NamedTuple):
    """One round, in seconds."""

    found: float
    """From the last plot's close until all are rows."""
    scan: float
    """From the same moment until the scan is complete."""


def first_scan() -> None:
    with TemporaryDirectory() as folder:
        site = BenchmarkSite(Path(folder))
        draw_tree(site.root, SESSIONS)
        [samples] = in_turn(ROUNDS, {"first scan": lambda: _sample(site)}).values()
    found, scan = [sample.found for sample in samples], [sample.scan for sample in samples]
    print_table(
        f"{DRAWN} plots drawn at once in a watched session, during an indexer's first scan of {PLOTS:,} plots.\n"
        f"  {ROUNDS} rounds.",
        ["seconds until", "median", "longest"],
        [
            ["these are in the catalogue", f"{median(found):.2f}", f"{max(found):.2f}"],
            ["the scan is complete", f"{median(scan):.2f}", f"{max(scan):.2f}"],
        ],
    )


def _sample(site: BenchmarkSite) -> Sample:
    rmtree(site.environment["PLOTINDEX_STATE_DIR"], ignore_errors=True)
    site.run("plotindex", "migrate")
    catalog = open_catalog(load_settings({}, site.environment))
    folder = site.root / "session_000/project_00"
    drawn = [folder / f"drawn_{number}.png" for number in range(DRAWN)]
    with site.started("plotindex", "watch", log="watch.log"):
        _wait_for_plots(catalog, SCANNED)
        for path in drawn:
            path.write_bytes(b"\x89PNG")
        began = time.monotonic()
        while sum(plot.filename.startswith("drawn_") for plot in catalog.plots("session_000")) < DRAWN:
            _check(began)
        found = time.monotonic() - began
        _wait_for_plots(catalog, PLOTS + DRAWN)
        scan = time.monotonic() - began
    catalog.database.close()
    for path in drawn:
        path.unlink()
    os.sync()
    return Sample(found, scan)


def _wait_for_plots(catalog: Catalog, number: int) -> None:
    began = time.monotonic()
    while catalog.counts()[1] < number:
        _check(began)


def _check(began: float) -> None:
    if time.monotonic() > began + TIMEOUT:
        raise RuntimeError("The indexer does not find the plots")
    time.sleep(0.005)
