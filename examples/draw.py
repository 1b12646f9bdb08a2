"""Draws plots into a directory tree over time, as live analysis sessions do."""

import argparse
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import chain, zip_longest
from pathlib import Path, PurePosixPath

import numpy as np

from examples.analyses import signals, stocks, terrain
from examples.analyses.plan import Plot, Turn

SESSIONS = {"stocks": stocks.plots, "terrain": terrain.plots, "signals": signals.plots}
OPENING = 2  # plots of the first session before the sessions alternate
REDRAWN = 0.4  # fraction of existing plots that a later round redraws


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    # SIGINT, too: shells start background jobs with it ignored.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    try:
        for path in run(options.root, options.rounds, options.pause, options.seed):
            print(path, flush=True)
    except KeyboardInterrupt:
        pass
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path, metavar="ROOT", help="directory to draw into, made if missing")
    parser.add_argument("--rounds", type=positive, default=3, metavar="N", help="rounds of plots (default 3)")
    parser.add_argument("--pause", type=duration, default=1.0, metavar="SECONDS", help="wait between plots (default 1)")
    parser.add_argument("--seed", type=whole, default=0, metavar="N", help="random seed (default 0)")
    options = parser.parse_args(arguments)
    try:
        options.root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"argument ROOT: {error.strerror}: {options.root}")
    return options


def whole(text: str) -> int:
    if (number := int(text)) < 0:
        raise argparse.ArgumentTypeError(f"must be at least 0: {text}")
    return number


def positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1: {text}")
    return number


def duration(text: str) -> float:
    if not 0 <= (seconds := float(text)) <= 3600:
        raise argparse.ArgumentTypeError(f"must be from 0 to 3600 seconds: {text}")
    return seconds


def run(root: Path, rounds: int, pause: float, seed: int) -> Iterator[PurePosixPath]:
    """Draw all rounds; yield the path of each plot after it is drawn."""
    drawn: set[PurePosixPath] = set()
    for number in range(1, rounds + 1):
        turn = Turn(number, np.random.default_rng([seed, number]))
        for session, plot in in_turns({name: plots(turn) for name, plots in SESSIONS.items()}):
            path = PurePosixPath(session) / plot.path
            if path in drawn and turn.rng.random() > REDRAWN:
                continue
            if drawn:
                time.sleep(pause)
            save(plot, root / path)
            drawn.add(path)
            yield path


def in_turns(sessions: dict[str, list[Plot]]) -> Iterator[tuple[str, Plot]]:
    """The first plots of the first session, then plots of all sessions in turn."""
    queues = [[(name, plot) for plot in plots] for name, plots in sessions.items()]
    opening, queues[0] = queues[0][:OPENING], queues[0][OPENING:]
    yield from opening
    yield from (entry for entry in chain.from_iterable(zip_longest(*queues)) if entry)


def save(plot: Plot, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure = plot.draw()
    if path.suffix == ".jpg":
        figure.savefig(path, pil_kwargs={"quality": 92})
    else:
        figure.savefig(path)


if __name__ == "__main__":
    sys.exit(main())
