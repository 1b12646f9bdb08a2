"""Inspection: plots per second and core, each in a child of the renderer; how well the hash finds a picture; what a
backlog costs others.
"""

import io
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import psutil
from matplotlib.figure import Figure
from PIL import Image, ImageOps

from benchmarks.beside import Follower, print_beside
from benchmarks.measure import print_table
from benchmarks.processes import BenchmarkSite
from plotindex.rendering.drawing.rasters import in_webp_mode
from plotindex.rendering.facts import Facts, hash_distance
from plotindex.rendering.reading.picture_hash import look_at
from plotindex.rendering.renderer_client import RendererClient
from plotindex.system import closing_fd

ROUNDS = 5
JOBS = 100
SWEEP = 1_250
"""Plots of each sweep: one parameter grows from plot to plot."""
BACKLOG = 100_000
QUERIES = 100
LISTED = 20


def _draw_backlog(site: BenchmarkSite) -> None:
    """Plots that are in the catalogue before the indexer starts, in sessions of 1,000; no two are the same."""
    [drawn] = [file for file in _draw_kinds(site.folder) if file.name == "small.png"]
    content = drawn.read_bytes()
    for number in range(BACKLOG):
        plot = site.root / f"backlog_{number // 1000}/project_{number // 100 % 10}/{number}.png"
        plot.parent.mkdir(parents=True, exist_ok=True)
        plot.write_bytes(content + b"%d" % number)
    site.run("plotindex", "rebuild")


INSPECTING = Follower(
    f"inspection, which has a backlog of {BACKLOG:,} plots",
    "plotindex.inspection.process",
    "PLOTINDEX_INSPECT",
    on="on",
    off="off",
    prepare=_draw_backlog,
)


def inspection() -> None:
    with TemporaryDirectory() as folder:
        _print_speed(list(_draw_kinds(Path(folder))))
        print_beside(Path(folder) / "beside", INSPECTING)
    _print_hash()


def _draw_kinds(folder: Path) -> Iterator[Path]:
    """Plots of the usual sizes."""
    x = np.linspace(0, 10, 200)
    for name, size, points in (("small.png", (6.4, 4.8), 0), ("large.png", (20, 14), 0), ("plot.svg", (6.4, 4.8), 800)):
        figure = Figure(figsize=size)
        axes = figure.subplots()
        axes.set_title("Residuals of model A")
        if points:
            across, up = np.random.default_rng(1).normal(size=(2, points))
            axes.scatter(across, up, s=4)
        else:
            axes.plot(x, np.sin(x))
        figure.savefig(folder / name)
        yield folder / name


def _print_speed(files: list[Path]) -> None:
    client = RendererClient()
    rows = []
    for file in files:
        fd = os.open(file, os.O_RDONLY)
        with closing_fd(fd):
            first = client.inspect(fd, file.suffix)
            assert isinstance(first, Facts)
            assert client.pid is not None
            process = psutil.Process(client.pid)
            before = process.memory_info().rss
            milliseconds = median(_cpu_ms(client, process, fd, file.suffix) for _ in range(ROUNDS))
            grown = process.memory_info().rss - before
        size = f"{first.width} x {first.height}, {file.stat().st_size / 1000:.0f} kB"
        rows.append([file.name, size, f"{milliseconds:.1f}", f"{1000 / milliseconds:.0f}", f"{grown / 1e6:.1f}"])
    client.close()
    print_table(
        f"Inspection, a child for each plot: CPU of the renderer, its children and its client. Median of {ROUNDS} "
        f"rounds of {JOBS} plots.",
        ["plot", "size", "ms", "per s and core", "MB more"],
        rows,
    )


def _cpu_ms(client: RendererClient, process: psutil.Process, fd: int, suffix: str) -> float:
    def seconds() -> float:
        of_renderer, own = process.cpu_times(), psutil.Process().cpu_times()
        return sum(of_renderer[:4]) + sum(own[:2])

    before = seconds()
    for _ in range(JOBS):
        client.inspect(fd, suffix)
    return (seconds() - before) / JOBS * 1000


def _sweeps() -> Iterator[Image.Image]:
    """Plots of sweeps, which differ from the next one in little."""
    x = np.linspace(0, 10, 200)
    for kind in range(4):
        for number in range(SWEEP):
            figure, part = Figure(), number / SWEEP
            axes = figure.subplots()
            axes.set_title(f"run {number}")
            if kind == 0:
                axes.plot(x, np.exp(-part * x) * np.cos(2 * x))
            elif kind == 1:
                axes.bar(range(8), 1 + np.sin(np.arange(8) * (1 + part)))
            elif kind == 2:
                across, up = np.random.default_rng(1).normal(3 * part, 1, (2, 200))
                axes.scatter(across, up, s=8)
                axes.set(xlim=(-4, 7), ylim=(-4, 7))
            else:
                axes.imshow(np.sin(np.add.outer(x[:60] * (1 + part), 3 * part * x[:80])), aspect="auto")
            file = io.BytesIO()
            figure.savefig(file)
            yield Image.open(file).convert("RGB")


def _recompressed(kind: str, **options: int) -> Callable[[Image.Image], Image.Image]:
    def change(image: Image.Image) -> Image.Image:
        file = io.BytesIO()
        image.save(file, kind, **options)
        return Image.open(file)

    return change


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "half as wide": lambda image: image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS),
    "1.25 times as wide": lambda image: image.resize((image.width * 5 // 4, image.height * 5 // 4)),
    "JPEG, quality 70": _recompressed("JPEG", quality=70),
    "WebP, quality 75": _recompressed("WEBP", quality=75),
    "a border of 7 pixels": lambda image: ImageOps.expand(image, 7, "white"),
    "64 colours": lambda image: image.quantize(64),
}


def _print_hash() -> None:
    images = list(_sweeps())
    hashes = [_hash(image) for image in images]
    chance = random.Random(1)
    queries = chance.sample(range(len(images)), QUERIES)
    rows = []
    for name, change in CHANGES.items():
        distances, first, listed = [], 0, 0
        for number in queries:
            hashed = _hash(change(images[number]))
            own = hash_distance(hashed, hashes[number])
            nearer = sum(hash_distance(hashed, other) < own for other in hashes)
            distances.append(own)
            first += nearer == 0
            listed += nearer < LISTED
        share = [f"{100 * count / QUERIES:.0f} %" for count in (first, listed)]
        rows.append([name, *share, f"{median(distances):.0f}", f"{sorted(distances)[QUERIES * 95 // 100]}"])
    others = [_distance_of_kinds(hashes, chance) for _ in range(5000)]
    print_table(
        f"The hash of a picture among {len(images):,} plots of four sweeps. Plots of two sweeps differ in at least "
        f"{min(others)} bits of {8 * len(hashes[0])}.",
        ["the picture was made", "nearest", f"in {LISTED}", "bits", "bits, 95 %"],
        rows,
    )


def _hash(image: Image.Image) -> bytes:
    return look_at(in_webp_mode(image, 8)).picture_hash


def _distance_of_kinds(hashes: list[bytes], chance: random.Random) -> int:
    one, other = chance.sample(range(4), 2)
    return hash_distance(*(hashes[kind * SWEEP + chance.randrange(SWEEP)] for kind in (one, other)))
