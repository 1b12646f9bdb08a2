"""Processes that draw plots: `python -m benchmarks.drawing KIND FOLDER [NUMBER]`.

It prints a line when it begins, and a Drawn as JSON when it has ended: a burst by itself, the others on SIGTERM.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import NamedTuple

PLOT = b"\x89PNG\r\n\x1a\n"
SESSIONS = 50
PROJECTS = 10
STEADY_SESSIONS = 20
SUBFOLDERS = 3_000


class Drawn(NamedTuple):
    """The result. Times are of `time.perf_counter`, which all processes of a machine share."""

    done: int
    """Plots drawn, or folders renamed."""
    began: float
    ended: float

    @property
    def seconds(self) -> float:
        return self.ended - self.began

    @property
    def rate(self) -> float:
        return self.done / self.seconds


def draw(path: str) -> None:
    """Write a plot with the fewest calls: open, write, close."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        os.write(descriptor, PLOT)
    finally:
        os.close(descriptor)


def burst(root: Path, plots: int) -> Iterator[int]:
    """Create SESSIONS x PROJECTS folders and draw `plots` into them, project by project."""
    for session in range(SESSIONS):
        for project in range(PROJECTS):
            folder = root / f"session_{session:02}/project_{project:02}"
            folder.mkdir(parents=True)
            for number in range(plots // SESSIONS // PROJECTS):
                draw(f"{folder}/plot_{number:03}.png")
                yield 1


def steady(root: Path, rate: int) -> Iterator[int]:
    """Draw `rate` plots per second, in sessions in turn, catching up when late."""
    folders = [root / f"steady_{session:02}/project_{os.getpid()}" for session in range(STEADY_SESSIONS)]
    for folder in folders:
        folder.mkdir(parents=True)
    began = time.perf_counter()
    for number in count():
        time.sleep(max(0.0, began + number / rate - time.perf_counter()))
        draw(f"{folders[number % len(folders)]}/plot_{number:06}.png")
        yield 1


def unpaused(root: Path, _number: int) -> Iterator[int]:
    """Draw plots into one project as fast as possible."""
    folder = root / f"unpaused_{os.getpid()}/project_a"
    folder.mkdir(parents=True)
    for number in count():
        draw(f"{folder}/plot_{number:06}.png")
        yield 1


def renaming(root: Path, _number: int) -> Iterator[int]:
    """Rename the folder of `make_subfolders` back and forth as fast as possible."""
    here, there = root / "renaming/project_a/here", root / "renaming/project_a/there"
    while True:
        here.rename(there)
        there.rename(here)
        yield 2


def make_subfolders(root: Path) -> None:
    """Create the folder for `renaming`, with a plot in each subfolder."""
    for number in range(SUBFOLDERS):
        folder = root / f"renaming/project_a/here/{number:04}"
        folder.mkdir(parents=True)
        draw(f"{folder}/plot.png")


KINDS: dict[str, Callable[[Path, int], Iterator[int]]] = {
    "burst": burst,
    "steady": steady,
    "unpaused": unpaused,
    "renaming": renaming,
}


def main(kind: str, root: Path, number: int) -> Drawn:
    """Draw until done, or until stopped."""
    enough = []
    signal.signal(signal.SIGTERM, lambda number, _frame: enough.append(number))
    print("drawing", flush=True)
    done = 0
    began = time.perf_counter()
    for step in KINDS[kind](root, number):
        done += step
        if enough:
            break
    return Drawn(done, began, time.perf_counter())


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], Path(sys.argv[2]), int([*sys.argv, "0"][3]))))
