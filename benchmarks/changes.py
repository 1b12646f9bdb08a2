"""How well changes are told from another style, and how long comparing takes: python -m benchmarks changes."""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from shutil import copyfile
from statistics import median
from tempfile import TemporaryDirectory
from typing import TypeVar

from benchmarks.changes_corpus import Drawing, changed_pairs, restyled_pairs, save
from benchmarks.measure import print_table
from benchmarks.processes import BenchmarkSite
from plotindex.rendering.comparison import Likeness
from plotindex.rendering.protocol import Outcome
from plotindex.rendering.renderer_client import RendererClient

STYLED, CHANGED = 30, 43
"""Pairs of each of ten styles, and of each of seven changes: 300 and 301."""
TIMED = 2_000
T = TypeVar("T")


def changes() -> None:
    with TemporaryDirectory(prefix="plotindex-changes-") as place:
        folder = Path(place)
        drawn = [*restyled_pairs(STYLED), *changed_pairs(CHANGED)]
        _draw_all({drawing for pair in drawn for drawing in pair}, folder)
        renderer = RendererClient()
        _print_pictures(drawn, folder, renderer)
        _print_drawings(drawn, folder, renderer)
        renderer.close()
        _print_times(drawn, folder)


def _draw_all(drawings: Iterable[Drawing], folder: Path) -> None:
    with ProcessPoolExecutor() as pool:
        list(pool.map(partial(save, folder=folder), sorted(drawings), chunksize=8))


def _compared(
    drawn: Sequence[tuple[Drawing, Drawing]], folder: Path, suffix: str, compare: Callable[[int, int], T | Outcome]
) -> dict[str, list[T]]:
    """The results by style and change."""
    found: dict[str, list[T]] = {}
    for before, after in drawn:
        with (
            (folder / f"{before.name}{suffix}").open("rb") as one,
            (folder / f"{after.name}{suffix}").open("rb") as other,
        ):
            result = compare(one.fileno(), other.fileno())
        assert not isinstance(result, Outcome), result
        found.setdefault(after.style or after.change, []).append(result)
    return found


def _print_pictures(drawn: Sequence[tuple[Drawing, Drawing]], folder: Path, renderer: RendererClient) -> None:
    rows = []
    found = _compared(drawn, folder, ".png", lambda one, other: renderer.compare((one, ".png"), (other, ".png")))
    for name, results in found.items():
        counts = Counter(result.likeness for result in results)
        score, places = (median(values) for values in zip(*((one.score, one.places) for one in results), strict=True))
        local = sum(result.is_local for result in results)
        rows.append([name, *(str(counts[kind]) for kind in Likeness), str(local), f"{score:.3f}", f"{places:g}"])
    print_table(
        f"PNG alone: {STYLED} pairs of each style, then {CHANGED} of each change; medians of score and places.",
        ["", *Likeness, "local", "score", "places"],
        rows,
    )


def _print_drawings(drawn: Sequence[tuple[Drawing, Drawing]], folder: Path, renderer: RendererClient) -> None:
    rows = []
    for name, results in _compared(drawn, folder, ".svg", renderer.compare_drawings).items():
        counts = [sum(map(bool, values)) for values in zip(*results, strict=True)]
        rows.append([name, *map(str, counts)])
    print_table(
        f"SVG: {STYLED} pairs of each style, then {CHANGED} of each change.",
        ["", "known", "differs", "with words"],
        rows,
    )


def _print_times(drawn: Sequence[tuple[Drawing, Drawing]], folder: Path) -> None:
    site = BenchmarkSite(folder / "site")
    for number in range(TIMED):
        for session, drawing in zip(("before", "after"), drawn[number % len(drawn)], strict=True):
            path = site.root / session / "project_a" / f"{number:04}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            copyfile(folder / f"{drawing.name}.png", path)
            # Bytes of its own, after the end of the image: no two pairs share a result.
            with path.open("ab") as file:
                file.write(b"%d" % number)
    site.run("plotindex", "rebuild")
    rows = []
    for name in ("cold", "warm"):
        began = time.perf_counter()
        site.run("plotindex", "diff", "before", "after", check=False)
        rows.append([name, f"{time.perf_counter() - began:.1f}"])
    print_table(f"plotindex diff of {TIMED:,} pairs of 880 x 550 PNG, {os.cpu_count()} cores.", ["", "seconds"], rows)
