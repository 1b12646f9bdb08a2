"""Measure on a noisy machine: alternating rounds, medians; print tables."""

import os
import platform
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple, TypeVar

import psutil

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

# The unit of ru_maxrss (getrusage(2)): kilobytes, but bytes on macOS.
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


class Run(NamedTuple):
    """The cost of one process."""

    seconds: float
    cpu_seconds: float
    peak_mb: float | None
    """None if it cannot be distinguished from this process's own peak."""
    output: str


def describe_machine() -> str:
    return f"Python {platform.python_version()}, {os.cpu_count()} CPUs, {platform.system()} {platform.release()}"


def in_turn(
    count: int, measures: Mapping[K, Callable[[], T]], *, shuffle: random.Random | None = None
) -> dict[K, list[T]]:
    """Run all measures in turn (A B C A B C …), `count` times, so that disturbances affect them alike.

    With `shuffle`, each round has an order of its own.
    """
    results: dict[K, list[T]] = {key: [] for key in measures}
    for number in range(1, count + 1):
        keys = list(measures)
        if shuffle:
            shuffle.shuffle(keys)
        for key in keys:
            _tell(f"round {number} of {count}: {key}")
            results[key].append(measures[key]())
    _tell("")
    return results


def median_ratio(of: Sequence[float], to: Sequence[float]) -> float:
    """The median of the ratios within each round: more exact than the ratio of medians if the machine drifts."""
    return median(_ratios(of, to))


def ratio_quartiles(of: Sequence[float], to: Sequence[float]) -> tuple[float, float]:
    """The quartiles of the rounds' ratios: the uncertainty of the median."""
    first, _, third = quantiles(_ratios(of, to), n=4, method="inclusive")
    return first, third


def _ratios(of: Sequence[float], to: Sequence[float]) -> list[float]:
    return [one / other for one, other in zip(of, to, strict=True)]


def tree_cpu_seconds(process: psutil.Process) -> float:
    """User and system time of a process and all its descendants."""
    total = 0.0
    for one in (process, *process.children(recursive=True)):
        # Children that render a thumbnail are short-lived.
        with suppress(psutil.NoSuchProcess):
            times = one.cpu_times()
            total += times.user + times.system
    return total


def run_measured(command: Sequence[str], folder: Path, environment: Mapping[str, str], *, discard: bool = False) -> Run:
    """Run a command and wait for it.

    Raises:
        RuntimeError: it failed.
    """
    # Files, not pipes: nothing reads while the process runs.
    output, errors = folder / "measured.out", folder / "measured.err"
    with output.open("wb") as out, errors.open("wb") as err:
        stdout = subprocess.DEVNULL if discard else out
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=stdout, stderr=err)
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command[:4])} ended with {process.returncode}: {errors.read_text()}")
    # A child starts as a copy of this process, whose size counts towards its peak.
    own_peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak_mb = usage.ru_maxrss * _RSS_UNIT / 1e6 if usage.ru_maxrss > own_peak else None
    return Run(seconds, usage.ru_utime + usage.ru_stime, peak_mb, output.read_text())


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a title, then aligned columns: text to the left, numbers to the right."""
    table = [columns, *rows]
    widths = [max(len(row[place]) for row in table) for place in range(len(columns))]
    words = [all(not row[place][:1].isdigit() for row in rows) for place in range(len(columns))]
    print(f"\n{title}")
    for row in table:
        cells = [
            cell.ljust(width) if left else cell.rjust(width)
            for cell, width, left in zip(row, widths, words, strict=True)
        ]
        print("  " + "  ".join(cells).rstrip())
    sys.stdout.flush()


def _tell(progress: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{progress}", end="", file=sys.stderr, flush=True)
