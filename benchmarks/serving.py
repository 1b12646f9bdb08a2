"""One plot over HTTP: the replaced glob, a known path, and plotindex."""

import json
import random
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from os import scandir
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

import psutil

from benchmarks.load import Job, Load
from benchmarks.measure import in_turn, median_ratio, print_table, ratio_quartiles, tree_cpu_seconds
from benchmarks.processes import BenchmarkSite, free_port, python

TARGETS = {
    "glob": "benchmarks.applications:create_glob",
    "known path": "benchmarks.applications:create_known_path",
    "bare callable": "benchmarks.applications:create_bare",
    "plotindex": None,
}
"""Name -> the application that Granian serves; None: `plotindex serve` as it is by default."""
SIZES = [1, 10, 100, 1_000, 10_000]
# Many short rounds: each ratio compares measurements close in time.
ROUNDS = 9
SECONDS = 0.5
THREADS = 4
CONNECTIONS = THREADS
PLOT = "correlation_plot.png"
PLOT_BYTES = 30_000
HIT = "Cache-Status: plotindex; hit"
COLUMNS = [
    "projects",
    "listed at",
    "application",
    "requests/s",
    "p50 ms",
    "p99 ms",
    "CPU us",
    "CPU / known path",
    "quartiles",
    "CPU / bare",
    "requests/s / known path",
    "requests/s / glob",
    "CPU / at 1",
    "requests/s / at 1",
]
CONCURRENCY = [1, 4, 64]
"""Connections of the second table."""
CONCURRENT_PROJECTS = 100
CONCURRENT_NAMES = ["known path", "plotindex"]
CONCURRENT_COLUMNS = [
    "connections",
    "application",
    "requests/s",
    "p50 ms",
    "p99 ms",
    "CPU us",
    "CPU / known path",
    "quartiles",
    "requests/s / known path",
    "p50 / known path",
    "p99 / known path",
]


class Server(NamedTuple):
    name: str
    process: psutil.Process
    port: int
    token: str


class Sample(NamedTuple):
    """One measurement."""

    load: Load
    rate: float
    cpu_us: float


Samples = dict[tuple[int, str], list[Sample]]


def serving() -> None:
    with TemporaryDirectory() as folder:
        site = BenchmarkSite(Path(folder))
        listed_at = {projects: draw_session(site.root, projects) for projects in SIZES}
        with _servers(site) as servers:
            measures = {
                (projects, server.name): partial(sample, site, server, projects)
                for projects in SIZES
                for server in servers
            }
            samples = in_turn(ROUNDS, measures)
            concurrent = in_turn(
                ROUNDS,
                {
                    (connections, server.name): partial(sample, site, server, CONCURRENT_PROJECTS, connections)
                    for connections in CONCURRENCY
                    for server in servers
                    if server.name in CONCURRENT_NAMES
                },
            )
    _print(samples, listed_at)
    _print_concurrent(concurrent)


def _session(projects: int) -> str:
    return f"session_{projects}"


def draw_session(root: Path, projects: int) -> int:
    """Draw a session; return the position of the requested project in its directory listing."""
    session = root / _session(projects)
    for number in range(projects):
        folder = session / f"project_{number:05}"
        folder.mkdir(parents=True)
        # Every project holds a plot, as in practice.
        (folder / "other.png").write_bytes(b"\x89PNG")
    # The glob's cost depends on the project's position in the listing: request the middle one.
    with scandir(session) as entries:
        listed = [entry.name for entry in entries]
    place = len(listed) // 2
    (session / listed[place] / PLOT).write_bytes(b"\x89PNG\r\n\x1a\n" + random.Random(0).randbytes(PLOT_BYTES - 8))
    return place + 1


@cache
def asked_plot(session: Path) -> Path:
    """The requested plot of a session."""
    (plot,) = session.glob(f"*/{PLOT}")
    return plot


@contextmanager
def _servers(site: BenchmarkSite) -> Iterator[list[Server]]:
    """All applications, listening, and an indexer, since hits are unwatched without one."""
    with ExitStack() as stack:
        stack.enter_context(site.started("plotindex", "watch", log="watch.log"))
        site.wait_until_watching()
        token = site.run("plotindex", "token", "create", "--name", "benchmark").stdout.strip()
        (catalog,) = (site.folder / "state").rglob("catalog.db")
        site.environment |= {"BENCHMARK_TOKEN": token, "BENCHMARK_CATALOG": str(catalog)}
        yield [stack.enter_context(started_server(site, name, token)) for name in TARGETS]


@contextmanager
def started_server(site: BenchmarkSite, name: str, token: str) -> Iterator[Server]:
    """One of the applications, listening."""
    port, log, target = free_port(), f"{name}.log", TARGETS[name]
    own = ("plotindex", "serve", "--port", str(port))
    with site.started(*(("benchmarks.applications", target, str(port)) if target else own), log=log) as process:
        site.wait_until_listening(process, port, log)
        yield Server(name, process, port, token)


def sample(site: BenchmarkSite, server: Server, projects: int, connections: int = CONNECTIONS) -> Sample:
    """Request the plot of the session with that many projects for a short time."""
    session = _session(projects)
    job = Job(
        port=server.port,
        path=f"/api/smartstat/plots/{session}/{PLOT}",
        token=server.token,
        seconds=SECONDS,
        connections=connections,
        file=str(asked_plot(site.root / session)),
        header=HIT if server.name == "plotindex" else None,
    )
    return measure(site, job, [server.process])


def measure(site: BenchmarkSite, job: Job, servers: Sequence[psutil.Process]) -> Sample:
    """Run a job, and measure the CPU time of its servers.

    Raises:
        RuntimeError: an answer was wrong.
    """
    before = sum(map(tree_cpu_seconds, servers))
    result = subprocess.run(
        python("benchmarks.load"),
        input=json.dumps(job),
        cwd=site.folder,
        env=site.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    cpu_seconds = sum(map(tree_cpu_seconds, servers)) - before
    if result.returncode:
        raise RuntimeError(f"{job.path} on port {job.port}: {result.stderr}")
    load = Load(*json.loads(result.stdout))
    return Sample(load, load.requests / load.seconds, cpu_seconds / load.requests * 1e6)


def _print(samples: Samples, listed_at: dict[int, int]) -> None:
    print_table(
        f"Serving one plot of {PLOT_BYTES:,} bytes: the replaced glob, a path known beforehand (send_from_directory), "
        f"and plotindex with its token.\n  The same server, {THREADS} threads, {CONNECTIONS} connections; "
        f"{ROUNDS} rounds in turn of {SECONDS:g} s; medians, ratios within each round.\n"
        f"  CPU is the server's, per request. The load generator used at most {_busiest(samples):.0%} of one CPU.",
        COLUMNS,
        [_row(samples, projects, name, listed_at[projects]) for projects, name in samples],
    )


def _row(samples: Samples, projects: int, name: str, listed_at: int) -> list[str]:
    mine = samples[projects, name]
    cpu, rate = [sample.cpu_us for sample in mine], [sample.rate for sample in mine]
    at_one = samples[SIZES[0], name]
    known_cpu = [sample.cpu_us for sample in samples[projects, "known path"]]
    low, high = ratio_quartiles(cpu, known_cpu)
    return [
        f"{projects:,}",
        f"{listed_at:,}",
        name,
        f"{median(rate):,.0f}",
        f"{median(sample.load.p50 for sample in mine) * 1000:.2f}",
        f"{median(sample.load.p99 for sample in mine) * 1000:.2f}",
        f"{median(cpu):,.0f}",
        f"{median_ratio(cpu, known_cpu):.2f}",
        f"{low:.2f}-{high:.2f}",
        f"{median_ratio(cpu, [sample.cpu_us for sample in samples[projects, 'bare callable']]):.2f}",
        f"{median_ratio(rate, [sample.rate for sample in samples[projects, 'known path']]):.2f}",
        f"{median_ratio(rate, [sample.rate for sample in samples[projects, 'glob']]):,.2f}",
        f"{median_ratio(cpu, [sample.cpu_us for sample in at_one]):,.2f}",
        f"{median_ratio(rate, [sample.rate for sample in at_one]):.3f}",
    ]


def _print_concurrent(samples: Samples) -> None:
    print_table(
        f"The same plot in the session of {CONCURRENT_PROJECTS} projects, by the number of connections: a path known "
        f"beforehand, and plotindex.\n  {ROUNDS} rounds in turn of {SECONDS:g} s; medians, ratios within each round. "
        f"CPU is the server's, per request.\n"
        f"  The load generator used at most {_busiest(samples):.0%} of one CPU.",
        CONCURRENT_COLUMNS,
        [_concurrent_row(samples, connections, name) for connections, name in samples],
    )


def _concurrent_row(samples: Samples, connections: int, name: str) -> list[str]:
    mine, known = samples[connections, name], samples[connections, "known path"]

    def ratios(value: Callable[[Sample], float]) -> tuple[list[float], list[float]]:
        return list(map(value, mine)), list(map(value, known))

    cpu, rate = ratios(lambda sample: sample.cpu_us), ratios(lambda sample: sample.rate)
    p50, p99 = ratios(lambda sample: sample.load.p50), ratios(lambda sample: sample.load.p99)
    low, high = ratio_quartiles(*cpu)
    return [
        f"{connections}",
        name,
        f"{median(rate[0]):,.0f}",
        f"{median(p50[0]) * 1000:.2f}",
        f"{median(p99[0]) * 1000:.2f}",
        f"{median(cpu[0]):,.0f}",
        f"{median_ratio(*cpu):.2f}",
        f"{low:.2f}-{high:.2f}",
        *(f"{median_ratio(*both):.2f}" for both in (rate, p50, p99)),
    ]


def _busiest(samples: Samples) -> float:
    return max(sample.load.cpu_seconds / sample.load.seconds for some in samples.values() for sample in some)
