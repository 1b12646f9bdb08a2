"""The indexer: bursts, latency of single plots, cost of idling, and survival of storms."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.burst import burst
from benchmarks.idle import idle
from benchmarks.latency import latency


def watching() -> None:
    # Delete only at the end, and sync first: after deletions, ext4 creates files ten times slower for minutes while it
    # searches past freed inodes.
    os.sync()
    with TemporaryDirectory() as folder:
        for benchmark in (burst, latency, idle):
            benchmark(Path(folder) / benchmark.__name__)
