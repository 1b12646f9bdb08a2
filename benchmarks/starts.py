"""The start of a command: CPU time of whole processes that do next to nothing."""

import os
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.measure import Run, in_turn, median_ratio, print_table, run_measured
from benchmarks.processes import BenchmarkSite, python

ROUNDS = 15
EMPTY = "python -c pass"
COMPLETION = {"_PLOTINDEX_COMPLETE": "bash_complete", "COMP_WORDS": "plotindex st", "COMP_CWORD": "1"}


def starts() -> None:
    with TemporaryDirectory() as folder:
        site = BenchmarkSite(Path(folder))
        plot = site.root / "session/project_a/plot.png"
        plot.parent.mkdir(parents=True)
        plot.write_bytes(b"\x89PNG")
        with site.started("plotindex", "watch", log="watch.log"):
            site.wait_until_watching()
            _print(in_turn(ROUNDS, _measures(site)))


def _measures(site: BenchmarkSite) -> dict[str, partial[Run]]:
    def run(*words: str, **variables: str) -> partial[Run]:
        return partial(run_measured, python("plotindex", *words), site.folder, {**site.environment, **variables})

    return {
        EMPTY: partial(run_measured, [*python("plotindex")[:1], "-c", "pass"], site.folder, site.environment),
        "plotindex --help": run("--help"),
        "completion of a command": run(**COMPLETION),
        "plotindex status": run("status"),
        "plotindex find": run("find", "plot"),
        "plotindex sync": run("sync"),
    }


def _print(runs: dict[str, list[Run]]) -> None:
    empty = [run.cpu_seconds for run in runs[EMPTY]]
    print_table(
        f"Starts of commands beside an indexer of one plot: CPU of the whole process, {os.cpu_count()} CPUs.\n"
        f"  {ROUNDS} rounds in turn; medians, ratios within each round.",
        ["command", "CPU s", "CPU / an empty Python"],
        [
            [name, f"{median(run.cpu_seconds for run in own):.3f}", f"{_ratio(own, empty):.1f}"]
            for name, own in runs.items()
        ],
    )


def _ratio(runs: list[Run], empty: list[float]) -> float:
    return median_ratio([run.cpu_seconds for run in runs], empty)
