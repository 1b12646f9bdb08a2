"""A rebuild of a new and an unchanged catalogue, compared with `find`."""

import json
import os
from functools import partial
from pathlib import Path
from shutil import rmtree
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.measure import Run, in_turn, median_ratio, print_table, run_measured
from benchmarks.processes import BenchmarkSite, python

SESSIONS = (20, 100)
"""Of a small tree, where the start of the processes counts, and of a large one."""
PROJECTS = 10
FILES = 100
ROUNDS = 5
FIND = "find, size and time of each"


def rebuild() -> None:
    for sessions in SESSIONS:
        with TemporaryDirectory() as folder:
            site = BenchmarkSite(Path(folder))
            draw_tree(site.root, sessions)
            plots = sessions * PROJECTS * FILES
            measures = {
                "rebuild, new database": partial(rebuild_new_database, site, plots),
                "rebuild, nothing changed": partial(rebuild_again, site, plots, added=0),
                FIND: partial(find, site),
            }
            _print(plots, sessions, in_turn(ROUNDS, measures))


def draw_tree(root: Path, sessions: int) -> None:
    """Draw small plots, and wait until they are on the disk."""
    for session in range(sessions):
        for project in range(PROJECTS):
            folder = root / f"session_{session:03}" / f"project_{project:02}"
            folder.mkdir(parents=True)
            for number in range(FILES):
                (folder / f"plot_{number:03}.png").write_bytes(b"\x89PNG")
    # So that what is measured is not the system still writing these.
    os.sync()


def rebuild_new_database(site: BenchmarkSite, plots: int) -> Run:
    """`plotindex rebuild` into an empty catalogue."""
    rmtree(site.environment["PLOTINDEX_STATE_DIR"], ignore_errors=True)
    return rebuild_again(site, plots, added=plots)


def rebuild_again(site: BenchmarkSite, plots: int, *, added: int) -> Run:
    """`plotindex rebuild` of a tree of `plots` plots.

    Raises:
        RuntimeError: it finds others, or does not add so many.
    """
    run = run_measured(python("plotindex", "rebuild", "--json"), site.folder, site.environment)
    report = json.loads(run.output)
    if (report["plots"], report["added"], report["changed"], report["removed"]) != (plots, added, 0, 0):
        raise RuntimeError(f"The rebuild must find {plots} plots and add {added}, but reports {report}")
    return run


def find(site: BenchmarkSite) -> Run:
    """`find` as the minimum: a program that only reads the tree."""
    command = ["find", str(site.root), "-printf", r"%T@ %s %P\n"]
    return run_measured(command, site.folder, site.environment, discard=True)


def _print(plots: int, sessions: int, runs: dict[str, list[Run]]) -> None:
    print_table(
        f"Reading {plots:,} plots ({sessions * PROJECTS:,} projects in {sessions} sessions, in the page cache): "
        f"`plotindex rebuild` and `find -printf`, as whole processes.\n"
        f"  {ROUNDS} rounds in turn; medians, ratios within each round.",
        ["command", "seconds", "CPU s", "peak MB", "seconds / find", "CPU / find"],
        [_row(name, runs[name], runs[FIND]) for name in runs],
    )


def _row(name: str, runs: list[Run], finds: list[Run]) -> list[str]:
    seconds, cpu = [run.seconds for run in runs], [run.cpu_seconds for run in runs]
    peaks = [run.peak_mb for run in runs if run.peak_mb is not None]
    return [
        name,
        f"{median(seconds):.2f}",
        f"{median(cpu):.2f}",
        f"{max(peaks):.0f}" if peaks else "-",
        f"{median_ratio(seconds, [run.seconds for run in finds]):.1f}",
        f"{median_ratio(cpu, [run.cpu_seconds for run in finds]):.1f}",
    ]
