"""A worker's memory after many requests, each for something else."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measure import print_table, run_measured
from benchmarks.processes import BenchmarkSite, python
from benchmarks.serving import draw_session

REQUESTS = [10_000, 100_000, 1_000_000]


def memory() -> None:
    with TemporaryDirectory() as folder:
        site = BenchmarkSite(Path(folder))
        draw_session(site.root, 1)
        site.run("plotindex", "rebuild")
        token = site.run("plotindex", "token", "create", "--name", "benchmark").stdout.strip()
        environment = {**site.environment, "TOKEN": token, "REQUESTS": json.dumps(REQUESTS)}
        # Make malloc return freed memory, so that the rest is in use.
        environment["MALLOC_TRIM_THRESHOLD_"] = "100000"
        done = run_measured(python("benchmarks.requests"), site.folder, environment)
    resident = json.loads(done.output)
    print_table(
        "Memory of plotindex's application in one process after so many requests, a quarter each: hits with another "
        "query, unknown names,\n  unknown sessions and unknown projects, every one for the first time.",
        ["requests", "RSS MB", f"RSS / at {REQUESTS[0]:,}"],
        [
            [f"{requests:,}", f"{megabytes:.1f}", f"{megabytes / resident[0]:.2f}"]
            for requests, megabytes in zip(REQUESTS, resident, strict=True)
        ],
    )
