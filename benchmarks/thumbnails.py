"""Thumbnails: their effect on requests for plots, the cost of a cached one, and the bytes they save."""

import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import psutil

from benchmarks.flood import answers_of, run_clients
from benchmarks.flood_clients import Answers, Flood
from benchmarks.load import Job
from benchmarks.measure import in_turn, median_ratio, print_table, tree_cpu_seconds
from benchmarks.processes import BenchmarkSite, free_port
from benchmarks.serving import CONNECTIONS, HIT, SECONDS, Sample, Server, draw_session, measure, sample

ROUNDS = 7
CLIENTS = 16
PAGE = 24
WIDTH = 320
SESSION = "page"


def thumbnails() -> None:
    with TemporaryDirectory() as folder, ExitStack() as stack:
        site = BenchmarkSite(Path(folder))
        draw_session(site.root, 1)
        plots = draw_page(site)
        stack.enter_context(site.started("plotindex", "watch", log="watch.log"))
        site.wait_until_watching()
        token = site.run("plotindex", "token", "create", "--name", "benchmark").stdout.strip()
        keeps = stack.enter_context(_served(site, token, "keeps"))
        forgets = stack.enter_context(_served(site, token, "forgets", "PLOTINDEX_THUMBNAILS_MB"))
        _print_page(keeps, forgets, plots)
        _print_hits(site, forgets)
        _print_kept(site, keeps, plots[0])


@contextmanager
def _served(site: BenchmarkSite, token: str, name: str, without: str = "") -> Iterator[Server]:
    port = free_port()
    if without:
        site.environment[without] = "0"
    with site.started("plotindex", "serve", "--port", str(port), log=f"{name}.log") as process:
        site.wait_until_listening(process, port, f"{name}.log")
        yield Server(name, process, port, token)


def draw_page(site: BenchmarkSite) -> list[Path]:
    """A page of real plots other than SVG, with settled times; their paths below the session."""
    drawn = site.folder / "drawn"
    site.run("examples.draw", str(drawn), "--rounds", "1", "--pause", "0")
    found = sorted(path for path in drawn.rglob("*") if path.suffix in (".png", ".jpg"))[:PAGE]
    for number, path in enumerate(found):
        place = site.root / SESSION / "project_a" / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        path.rename(place)
    time.sleep(2.1)
    return [Path(f"{number}.png") for number in range(len(found))]


def _address(plot: Path, width: int | None) -> str:
    return f"/api/smartstat/plots/{SESSION}/{plot}" + (f"?width={width}" if width else "")


def _fetch(server: Server, path: str) -> bytes:
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port}{path}", headers={"Authorization": f"Bearer {server.token}"}
    )
    with urllib.request.urlopen(request) as answer:
        content: bytes = answer.read()
    return content


def _print_page(keeps: Server, forgets: Server, plots: list[Path]) -> None:
    _fetch(forgets, _address(plots[0], WIDTH))
    before, began = _cpu_seconds(forgets.process), time.perf_counter()
    for plot in plots:
        _fetch(forgets, _address(plot, WIDTH))
    seconds = (time.perf_counter() - began) / len(plots)
    cpu = (_cpu_seconds(forgets.process) - before) / len(plots)
    sizes = [
        (
            f"thumbnails, {width} wide" if width else "originals",
            sum(len(_fetch(keeps, _address(plot, width))) for plot in plots),
        )
        for width in (None, 160, 320, 640)
    ]
    print_table(
        f"A page of {len(plots)} real plots (examples, PNG and JPEG) in bytes. One thumbnail of {WIDTH} takes "
        f"{seconds * 1000:.0f} ms to draw, {cpu * 1000:.0f} ms of CPU.",
        ["the page", "kB", "originals / it"],
        [[name, f"{size / 1000:,.0f}", f"{sizes[0][1] / size:.1f}"] for name, size in sizes],
    )


def _cpu_seconds(process: psutil.Process) -> float:
    """Including renderer children that have ended, counted by their parent's wait."""
    total = tree_cpu_seconds(process)
    for one in process.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            times = one.cpu_times()
            total += times.children_user + times.children_system
    return total


def _print_hits(site: BenchmarkSite, server: Server) -> None:
    path = _address(Path("N.png"), None).replace("N", "{number}")
    floods = {
        "none": None,
        "for thumbnails": Flood(f"{path}?width={WIDTH}", obey=False, names=PAGE),
        "for the plots": Flood(path, obey=False, names=PAGE),
    }
    rounds = in_turn(ROUNDS, {name: partial(_round, site, server, flood) for name, flood in floods.items()})
    alone = [hits for hits, _ in rounds["none"]]
    rows = []
    for name, own in rounds.items():
        p50, cpu = [hits.load.p50 for hits, _ in own], [hits.cpu_us for hits, _ in own]
        asked = median(sum(answers.statuses.values()) / (answers.seconds or 1) for _, answers in own)
        rows.append(
            [
                name,
                f"{asked:,.0f}",
                f"{median(p50) * 1000:.2f}",
                f"{median_ratio(p50, [hits.load.p50 for hits in alone]):.2f}",
                f"{median(cpu):,.0f}",
                f"{median_ratio(cpu, [hits.cpu_us for hits in alone]):.2f}",
            ]
        )
    print_table(
        f"Hits on one plot, {CONNECTIONS} connections, while {CLIENTS} others ask without pause for {PAGE} plots: for "
        f"thumbnails, none of which is kept,\n  or for the plots themselves; 4 threads. {ROUNDS} rounds in turn; the "
        "server's CPU for each hit holds what the others cost, without the drawings.",
        ["other requests", "answers/s", "p50 ms", "p50 / none", "CPU us", "CPU / none"],
        rows,
    )


def _round(site: BenchmarkSite, server: Server, flood: Flood | None) -> tuple[Sample, Answers]:
    if flood is None:
        return sample(site, server._replace(name="plotindex"), 1), Answers({}, 0.0)
    with run_clients(site, server, flood, CLIENTS, SECONDS * 2) as clients:
        hits = sample(site, server._replace(name="plotindex"), 1)
        return hits, answers_of(clients)


def _print_kept(site: BenchmarkSite, server: Server, plot: Path) -> None:
    measures = {}
    for name, width in (("the original", None), (f"its thumbnail, {WIDTH}", WIDTH)):
        path, file = _address(plot, width), site.folder / f"expected-{width}"
        file.write_bytes(_fetch(server, path))
        job = Job(server.port, path, server.token, SECONDS, CONNECTIONS, str(file), HIT)
        measures[name] = partial(measure, site, job, [server.process])
    rounds = in_turn(ROUNDS, measures)
    original = rounds["the original"]
    print_table(
        f"A kept thumbnail beside its original; {ROUNDS} rounds in turn of {SECONDS:g} s, ratios within each round.",
        ["what", "kB", "requests/s", "/ original", "CPU us", "CPU / original"],
        [
            [
                name,
                f"{(site.folder / f'expected-{width}').stat().st_size / 1000:.0f}",
                f"{median(one.rate for one in own):,.0f}",
                f"{median_ratio([one.rate for one in own], [one.rate for one in original]):.2f}",
                f"{median(one.cpu_us for one in own):,.0f}",
                f"{median_ratio([one.cpu_us for one in own], [one.cpu_us for one in original]):.2f}",
            ]
            for (name, own), width in zip(rounds.items(), (None, WIDTH), strict=True)
        ],
    )
