"""One plot through nginx: a path that nginx knows, plotindex with X-Accel-Redirect, and plotindex with no nginx."""

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

import psutil

from benchmarks.load import Job
from benchmarks.measure import in_turn, median_ratio, print_table, ratio_quartiles
from benchmarks.processes import BenchmarkSite, free_port
from benchmarks.serving import Sample, measure
from tests.support.nginx import ACCEL, NGINX, nginx

KNOWN, BEHIND, ALONE = "nginx, known path", "plotindex behind nginx", "plotindex alone"
SIZES = {"30 KB": 30_000, "5 MB": 5_000_000}
ROUNDS = 9
SECONDS = 1
THREADS = 4
CONNECTIONS = THREADS
FOLDER = "session/project_asked"
PATH = "/api/smartstat/plots/session"
HIT = "Cache-Status: plotindex; hit"
COLUMNS = [
    "size",
    "server",
    "requests/s",
    "p50 ms",
    "CPU us",
    "requests/s / known path",
    "quartiles",
    "requests/s / alone",
    "CPU / known path",
    "CPU / alone",
]


class Server(NamedTuple):
    """A request, and the processes whose time it takes."""

    port: int
    path: str
    """Where the plots are."""
    processes: list[psutil.Process]
    header: str | None
    """A line of each response's head."""


Samples = dict[tuple[str, str], list[Sample]]


def proxied() -> None:
    if NGINX is None:
        print("\nOne plot through nginx: there is no nginx here; `sh tests/tools/install.sh` installs it.", flush=True)
        return
    with TemporaryDirectory() as folder:
        site = BenchmarkSite(Path(folder))
        (site.root / FOLDER).mkdir(parents=True)
        for size, count in SIZES.items():
            content = b"\x89PNG\r\n\x1a\n" + random.Random(0).randbytes(count - 8)
            (site.root / FOLDER / _plot(size)).write_bytes(content)
        with _servers(site) as (servers, token):
            measures = {
                (size, name): partial(_sample, site, server, token, _plot(size))
                for size in SIZES
                for name, server in servers.items()
            }
            samples = in_turn(ROUNDS, measures)
    _print(samples)


def _plot(size: str) -> str:
    return f"{size.replace(' ', '_')}.png"


@contextmanager
def _servers(site: BenchmarkSite) -> Iterator[tuple[dict[str, Server], str]]:
    """All servers, listening, a token, and an indexer, since hits are unwatched without one."""
    with ExitStack() as stack:
        stack.enter_context(site.started("plotindex", "watch", log="watch.log"))
        site.wait_until_watching()
        token = site.run("plotindex", "token", "create", "--name", "benchmark").stdout.strip()
        port, alone = stack.enter_context(_serving(site, "alone", ""))
        behind_port, behind = stack.enter_context(_serving(site, "behind", f'x_accel_prefix = "{ACCEL}"\n'))
        known_port = free_port()
        # The same nginx at full speed; the load generator does not reconnect.
        listening = f'listen 127.0.0.1:{known_port}; sendfile on; root "{site.root}";'
        known = f"keepalive_requests 1000000000;\nserver {{ {listening} }}\n"
        places = {"upstream plotindex {": f"{known}upstream plotindex {{"}
        behind_url = f"http://127.0.0.1:{behind_port}"
        running = stack.enter_context(nginx(site.folder / "nginx", behind_url, site.root, places))
        front, front_port = psutil.Process(running.pid), int(running.url.rpartition(":")[2])
        servers = {
            KNOWN: Server(known_port, f"/{FOLDER}", [front], None),
            BEHIND: Server(front_port, PATH, [front, behind], HIT),
            ALONE: Server(port, PATH, [alone], HIT),
        }
        yield servers, token


@contextmanager
def _serving(site: BenchmarkSite, name: str, settings: str) -> Iterator[tuple[int, psutil.Process]]:
    config, port = site.folder / f"{name}.toml", free_port()
    config.write_text(settings)
    options = ("--config", str(config), "--port", str(port), "--threads", str(THREADS))
    with site.started("plotindex", "serve", *options, log=f"{name}.log") as process:
        site.wait_until_listening(process, port, f"{name}.log")
        yield port, process


def _sample(site: BenchmarkSite, server: Server, token: str, plot: str) -> Sample:
    job = Job(
        port=server.port,
        path=f"{server.path}/{plot}",
        token=token,
        seconds=SECONDS,
        connections=CONNECTIONS,
        file=str(site.root / FOLDER / plot),
        header=server.header,
    )
    return measure(site, job, server.processes)


def _print(samples: Samples) -> None:
    print_table(
        "Serving one plot by X-Accel-Redirect, beside nginx that knows the path and checks nothing, and plotindex "
        "without nginx.\n"
        f"  nginx as docs/install.md has it, one worker; plotindex with its token, {THREADS} threads; "
        f"{CONNECTIONS} connections; {ROUNDS} rounds in turn of {SECONDS:g} s;\n"
        "  medians, ratios within each round. CPU is the servers', nginx and plotindex together, per request.\n"
        f"  The load generator used, of one CPU, {_generator(samples)}.",
        COLUMNS,
        [_row(samples, size, name) for size, name in samples],
    )


def _generator(samples: Samples) -> str:
    busy = {
        key: median(sample.load.cpu_seconds / sample.load.seconds for sample in some) for key, some in samples.items()
    }
    return ", ".join(f"{busy[size, name]:.0%} ({size}, {name})" for size, name in samples)


def _row(samples: Samples, size: str, name: str) -> list[str]:
    rate = {other: [sample.rate for sample in samples[size, other]] for other in (KNOWN, BEHIND, ALONE)}
    cpu = {other: [sample.cpu_us for sample in samples[size, other]] for other in (KNOWN, BEHIND, ALONE)}
    low, high = ratio_quartiles(rate[name], rate[KNOWN])
    return [
        size,
        name,
        f"{median(rate[name]):,.0f}",
        f"{median(sample.load.p50 for sample in samples[size, name]) * 1000:.2f}",
        f"{median(cpu[name]):,.0f}",
        f"{median_ratio(rate[name], rate[KNOWN]):.2f}",
        f"{low:.2f}-{high:.2f}",
        f"{median_ratio(rate[name], rate[ALONE]):.2f}",
        f"{median_ratio(cpu[name], cpu[KNOWN]):.2f}",
        f"{median_ratio(cpu[name], cpu[ALONE]):.2f}",
    ]
