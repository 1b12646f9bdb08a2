"""Draw and inspect real files in the confined renderer, and draw mutated ones.

`python -m tests.tools.pictures FILES MUTATED SEED`
"""

import os
import random
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from typing import NamedTuple

import psutil

from plotindex.rendering.protocol import Outcome
from plotindex.rendering.renderer_client import RendererClient
from plotindex.system import closing_fd
from tests import CHECKOUT
from tests.support.images import encoded, halves
from tests.tools.corpus import choose, find_files, make_corpus, mutate

CORPUS = CHECKOUT / "build/corpus"
RENDERERS = 2
LARGEST_MUTATED = 60_000
"""Bytes of the files that are mutated: small ones are quick to draw."""
KINDS = (".png", ".jpg", ".gif", ".webp", ".avif", ".tif", ".svg", ".pdf")


class Source(NamedTuple):
    """What to draw."""

    name: str
    suffix: str
    content: bytes


class Trial:
    """One renderer, and the outcomes of its jobs."""

    def __init__(self) -> None:
        self._client = RendererClient()
        self.outcomes: Counter[tuple[str, Outcome]] = Counter()

    def run(self, sources: Iterable[Source], width: int) -> None:
        """Draw them, and check that nothing of them is left.

        Raises:
            AssertionError: the renderer was lost, or something is left.
        """
        known = encoded(halves())
        before = self._draw(Source("known", ".png", known), width)
        pid = self._client.pid
        assert pid is not None
        process = psutil.Process(pid)
        files = [os.listdir(f"/proc/{number}/fd") for number in (pid, os.getpid())]
        for source in sources:
            outcome, _ = self._draw(source, width)
            self.outcomes[source.suffix, outcome] += 1
            assert self._client.pid == pid, source.name
        assert process.children() == []
        assert os.listdir(f"/proc/{pid}/fd") == files[0]
        assert self._draw(Source("known", ".png", known), width) == before

    def close(self) -> None:
        self._client.close()

    def _draw(self, source: Source, width: int) -> tuple[Outcome, bytes]:
        plot = os.memfd_create("plot")
        with closing_fd(plot):
            os.write(plot, source.content)
            return self._client.run(f"{source.suffix} {width}", plot)


def real_files(count: int, seed: int) -> list[Source]:
    """Files as other programs have written them."""
    make_corpus(CORPUS)
    chosen = choose(find_files(CORPUS), count, seed)
    return [Source(str(file.relative_to(CORPUS)), file.suffix.lower(), file.read_bytes()) for file in chosen]


def mutated_files(kind: str, count: int, seed: int) -> Iterator[Source]:
    """Small real files, damaged at random."""
    make_corpus(CORPUS)
    files = [file for file in find_files(CORPUS)[kind] if file.stat().st_size <= LARGEST_MUTATED]
    chance = random.Random(f"{kind} {seed}")
    for number, file in enumerate(islice(cycle(files), count)):
        yield Source(f"{file.relative_to(CORPUS)} {number}", kind, mutate(file.read_bytes(), chance))


def draw_all(sources: Iterable[Source], width: int = 320) -> Counter[tuple[str, Outcome]]:
    """How many files of each suffix had each outcome. Two renderers share the work."""
    given = list(sources)
    trials = [Trial() for _ in range(RENDERERS)]
    try:
        with ThreadPoolExecutor(RENDERERS) as pool:
            parts = [given[number::RENDERERS] for number in range(RENDERERS)]
            for done in [pool.submit(trial.run, part, width) for trial, part in zip(trials, parts, strict=True)]:
                done.result()
    finally:
        for trial in trials:
            trial.close()
    return sum((trial.outcomes for trial in trials), Counter())


def flags_of(sources: Iterable[Source]) -> Iterator[tuple[str, str]]:
    """The flags of each file that has any, with its name: all are to be looked at."""
    client = RendererClient()
    for source in sources:
        plot = os.memfd_create("plot")
        with closing_fd(plot):
            os.write(plot, source.content)
            facts = client.inspect(plot, source.suffix)
        if isinstance(facts, Outcome):
            raise AssertionError(f"{source.name}: {facts}")
        if facts.flags:
            yield ", ".join(sorted(facts.flags)), source.name
    client.close()


def main(files: int, mutated: int, seed: int) -> None:
    sources = real_files(files, seed)
    show("real files", draw_all(sources))
    print(*(f"  {flags}: {name}" for flags, name in sorted(flags_of(sources))), sep="\n")  # noqa: T201
    for kind in KINDS:
        show("mutated files", draw_all(mutated_files(kind, mutated, seed), 160))


def show(what: str, outcomes: Counter[tuple[str, Outcome]]) -> None:
    lines = (f"  {suffix} {outcome}: {count}" for (suffix, outcome), count in sorted(outcomes.items()))
    print(f"{outcomes.total()} {what}", *lines, sep="\n")  # noqa: T201 - a program's result


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]))
