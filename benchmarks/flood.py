"""200 clients request missing plots: the effect on other hits, scans and memory."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

import psutil

from benchmarks.flood_clients import Answers, Flood
from benchmarks.measure import in_turn, median_ratio, print_table
from benchmarks.processes import BenchmarkSite, free_port, python
from benchmarks.serving import Sample, Server, draw_session, sample

PROJECTS = 10_000
CLIENTS = 200
ROUNDS = 5
FLOOD_SECONDS = 2.0
NOBODY = "no other requests"
KINDS = {
    "they wait as Retry-After says": Flood("/api/smartstat/plots/{session}/unknown-{number}.png", obey=True),
    "they do not wait": Flood("/api/smartstat/plots/{session}/unknown-{number}.png", obey=False),
    "one missing name": Flood("/api/smartstat/plots/{session}/unknown.png", obey=False),
    "an existing plot": Flood("/api/smartstat/plots/{session}/correlation_plot.png", obey=False),
}


class Round(NamedTuple):
    """Hits on one session during the flood."""

    hits: Sample
    answers: Answers
    resident_mb: float


def flood() -> None:
    with TemporaryDirectory() as folder:
        site = BenchmarkSite(Path(folder))
        for projects in (1, PROJECTS):
            draw_session(site.root, projects)
        with _served(site) as server:
            measures = {NOBODY: partial(_round, site, server, None)}
            measures |= {kind: partial(_round, site, server, one) for kind, one in KINDS.items()}
            rounds = in_turn(ROUNDS, measures)
    _print(rounds)


@contextmanager
def _served(site: BenchmarkSite) -> Iterator[Server]:
    with site.started("plotindex", "watch", log="watch.log"):
        site.wait_until_watching()
        token = site.run("plotindex", "token", "create", "--name", "benchmark").stdout.strip()
        port = free_port()
        with site.started("plotindex", "serve", "--port", str(port), log="serve.log") as process:
            site.wait_until_listening(process, port, "serve.log")
            yield Server("plotindex", process, port, token)


@contextmanager
def run_clients(
    site: BenchmarkSite, server: Server, flood: Flood, clients: int, seconds: float
) -> "Iterator[subprocess.Popen[str]]":
    """Run connected clients; when they end, the next line of their output is their Answers."""
    given = {**flood._asdict(), "port": server.port, "token": server.token, "clients": clients, "seconds": seconds}
    with subprocess.Popen(
        python("benchmarks.flood_clients"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=site.folder,
        env=site.environment,
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps(given) + "\n")
        process.stdin.flush()
        # The first line means that all are connected.
        process.stdout.readline()
        yield process


def answers_of(process: "subprocess.Popen[str]") -> Answers:
    """The answers of the clients, once they have ended."""
    assert process.stdout is not None
    return Answers(*json.loads(process.stdout.readline()))


def _round(site: BenchmarkSite, server: Server, kind: Flood | None) -> Round:
    if kind is None:
        return Round(sample(site, server, 1), Answers({}, 0.0), _resident(server))
    own = kind._replace(path=kind.path.replace("{session}", f"session_{PROJECTS}"))
    with run_clients(site, server, own, CLIENTS, FLOOD_SECONDS) as clients:
        hits = sample(site, server, 1)
        answers = answers_of(clients)
    return Round(hits, answers, _resident(server))


def _resident(server: Server) -> float:
    family = [server.process, *server.process.children(recursive=True)]
    return float(max(process.memory_info().rss for process in family if _is_alive(process)) / 1e6)


def _is_alive(process: psutil.Process) -> bool:
    return bool(process.is_running())


def _print(rounds: dict[str, list[Round]]) -> None:
    alone = [one.hits.load.p50 for one in rounds[NOBODY]]
    rows = []
    for kind, own in rounds.items():
        p50 = [one.hits.load.p50 for one in own]
        statuses = {
            status: median(one.answers.statuses.get(status, 0) / (one.answers.seconds or 1) for one in own)
            for status in ("200", "404", "503")
        }
        rows.append(
            [
                kind,
                f"{median(p50) * 1000:.2f}",
                f"{median_ratio(p50, alone):.1f}",
                f"{statuses['200']:,.0f}",
                f"{statuses['404']:,.0f}",
                f"{statuses['503']:,.0f}",
                f"{max(one.resident_mb for one in own):.0f}",
            ]
        )
    print_table(
        f"Hits on one session while {CLIENTS} clients request missing names, in a session of "
        f"{PROJECTS:,} projects; plotindex's own server, 4 threads.\n"
        f"  {ROUNDS} rounds in turn; p50 of the hits, its ratio within each round; what the others are told, and the "
        "largest worker.",
        ["the others", "p50 ms", "p50 / alone", "200/s", "404/s", "503/s", "RSS MB"],
        rows,
    )
