"""The indexer at work: many plots at once, how soon a single one is in the catalogue, and what waiting costs."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.burst import burst
from benchmarks.idle import idle
from benchmarks.latency import latency


def watching() -> None:
    # Nothing is deleted before the end, and what was deleted before is written out: for minutes ext4 searches its way
    # past the inodes that were freed, and makes files ten times slower.
    os.sync()
    with TemporaryDirectory() as folder:
        for benchmark in (burst, latency, idle):
            benchmark(Path(folder) / benchmark.__name__)
