"""One plot over HTTP: plotindex and other servers of files and images, each at its default settings."""

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

from PIL import Image

from benchmarks.load import Job
from benchmarks.measure import in_turn, median_ratio, print_table, ratio_quartiles
from benchmarks.peer_servers import INSTALL_SECONDS, PEERS, install, started_peer
from benchmarks.processes import BenchmarkSite
from benchmarks.serving import CONNECTIONS, HIT, PLOT, Sample, Server, measure, started_server

ROUNDS = 9
SECONDS = 1.0
OWN = "plotindex"
SIZE = (100, 100)
COLUMNS = [
    "server",
    "version",
    "checks",
    "requests/s",
    "p50 ms",
    "p99 ms",
    "CPU us",
    "CPU / plotindex",
    "quartiles",
    "requests/s / plotindex",
]


class Target(NamedTuple):
    """A listening server and how its plot is requested."""

    server: Server
    path: str
    scheme: str
    header: str | None


def peers() -> None:
    installed = {peer.name: install(peer) for peer in PEERS}
    with TemporaryDirectory() as folder:
        site = BenchmarkSite(Path(folder))
        # Peers write their state into the home folder.
        site.environment |= {"HOME": folder}
        plot = site.root / "session" / "project_1" / PLOT
        _draw(plot)
        with _targets(site, plot, [name for name, found in installed.items() if found]) as targets:
            measures = {target.server.name: partial(_sample, site, target, plot) for target in targets}
            for warm_up in measures.values():
                warm_up()
            samples = in_turn(ROUNDS, measures, shuffle=random.Random(1))
        _print(samples, installed, plot.stat().st_size)


def _draw(plot: Path) -> None:
    """Draw noise, which does not compress: 30 KB."""
    plot.parent.mkdir(parents=True)
    width, height = SIZE
    Image.frombytes("RGB", SIZE, random.Random(0).randbytes(width * height * 3)).save(plot)


@contextmanager
def _targets(site: BenchmarkSite, plot: Path, names: list[str]) -> Iterator[list[Target]]:
    """All servers, listening, and the indexer of plotindex."""
    with ExitStack() as stack:
        stack.enter_context(site.started("plotindex", "watch", log="watch.log"))
        site.wait_until_watching()
        token = site.run("plotindex", "token", "create", "--name", "benchmark").stdout.strip()
        own = stack.enter_context(started_server(site, OWN, token))
        session = plot.parent.parent.name
        targets = [Target(own, f"/api/smartstat/plots/{session}/{PLOT}", "Bearer", HIT)]
        for peer in PEERS:
            if peer.name in names:
                server, path = stack.enter_context(started_peer(site, peer, plot))
                targets.append(Target(server, path, peer.scheme, None))
        yield targets


def _sample(site: BenchmarkSite, target: Target, plot: Path) -> Sample:
    job = Job(
        port=target.server.port,
        path=target.path,
        token=target.server.token,
        seconds=SECONDS,
        connections=CONNECTIONS,
        file=str(plot),
        header=target.header,
        scheme=target.scheme,
    )
    return measure(site, job, [target.server.process])


def _print(samples: dict[str, list[Sample]], installed: dict[str, str | None], size: int) -> None:
    checks = {OWN: "token", **{peer.name: peer.checks for peer in PEERS}}
    versions = {OWN: version(OWN), **installed}
    print_table(
        f"Serving one PNG of {size:,} bytes, each server at its default settings, {CONNECTIONS} connections;\n"
        f"  {ROUNDS} shuffled rounds of {SECONDS:g} s; medians, ratios within each round. "
        "CPU is the server's, per request, of all its processes.",
        COLUMNS,
        [_row(samples, name, versions[name] or "", checks[name]) for name in samples],
    )
    for name, found in installed.items():
        if found is None:
            print(f"  {name}: not installed within {INSTALL_SECONDS} seconds (INSTALL_SECONDS)")


def _row(samples: dict[str, list[Sample]], name: str, number: str, checks: str) -> list[str]:
    mine, own = samples[name], samples[OWN]
    cpu, own_cpu = [sample.cpu_us for sample in mine], [sample.cpu_us for sample in own]
    rate = [sample.rate for sample in mine]
    low, high = ratio_quartiles(cpu, own_cpu)
    return [
        name,
        number,
        checks,
        f"{median(rate):,.0f}",
        f"{median(sample.load.p50 for sample in mine) * 1000:.2f}",
        f"{median(sample.load.p99 for sample in mine) * 1000:.2f}",
        f"{median(cpu):,.0f}",
        f"{median_ratio(cpu, own_cpu):.2f}",
        f"{low:.2f}-{high:.2f}",
        f"{median_ratio(rate, [sample.rate for sample in own]):.2f}",
    ]
