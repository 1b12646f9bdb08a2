"""Hits while slow work goes on: the p99 of each kind beside the hits' own when the server is idle."""

import json
import time
import urllib.request
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks.flood import answers_of, run_clients
from benchmarks.flood_clients import Answers, Flood
from benchmarks.measure import in_turn, median_ratio, print_table, ratio_quartiles
from benchmarks.processes import BenchmarkSite
from benchmarks.serving import CONNECTIONS, SECONDS, Sample, Server, draw_session, sample, started_server
from benchmarks.thumbnails import PAGE, SESSION, WIDTH, draw_page

PROJECTS = 10_000
ROUNDS = 5
CLIENTS = 4
LARGE_BYTES = 20_000_000
API = "/api/smartstat"
NOTHING = "nothing"
WORK = {
    f"scans of {PROJECTS:,} projects": f"{API}/plots/session_{PROJECTS}/unknown-{{number}}.png",
    "thumbnails, drawn": f"{API}/plots/{SESSION}/{{number}}.png?width={WIDTH}",
    "waiting for changes": f"{API}/changes?session=session_1&since={{clock}}&wait=1",
    f"lists of {PROJECTS:,} copies": f"{API}/plots/session_{PROJECTS}",
    f"downloads of {LARGE_BYTES // 1_000_000} MB": f"{API}/plots/session_1/large.png",
}
NAMES = {WORK["thumbnails, drawn"]: PAGE}


class Round(NamedTuple):
    """Hits, and the answers that the others got meanwhile."""

    hits: Sample
    answers: Answers


def contention() -> None:
    with TemporaryDirectory() as folder, ExitStack() as stack:
        site = BenchmarkSite(Path(folder))
        for projects in (1, PROJECTS):
            draw_session(site.root, projects)
        draw_page(site)
        with (site.root / "session_1/project_00000/large.png").open("wb") as file:
            file.truncate(LARGE_BYTES)
        stack.enter_context(site.started("plotindex", "watch", log="watch.log"))
        site.wait_until_watching()
        token = site.run("plotindex", "token", "create", "--name", "benchmark").stdout.strip()
        site.environment["PLOTINDEX_THUMBNAILS_MB"] = "0"
        server = stack.enter_context(started_server(site, "plotindex", token))
        measures = {NOTHING: partial(_round, site, server, None)}
        for work, path in WORK.items():
            flood = Flood(path.replace("{clock}", _clock(server)), obey=True, names=NAMES.get(path, 10**9))
            measures[work] = partial(_round, site, server, flood)
        rounds = in_turn(ROUNDS, measures)
    _print(rounds)


def _clock(server: Server) -> str:
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port}{API}/plots/session_1",
        headers={"Authorization": f"Bearer {server.token}"},
    )
    with urllib.request.urlopen(request) as answer:
        return str(json.load(answer)["clock"])


def _round(site: BenchmarkSite, server: Server, flood: Flood | None) -> Round:
    if flood is None:
        time.sleep(SECONDS)
        return Round(sample(site, server, 1), Answers({}, 0.0))
    with run_clients(site, server, flood, CLIENTS, SECONDS * 3) as clients:
        hits = sample(site, server, 1)
        return Round(hits, answers_of(clients))


def _print(rounds: dict[str, list[Round]]) -> None:
    idle = [one.hits for one in rounds[NOTHING]]
    rows = []
    for work, own in rounds.items():
        p99, rate = [one.hits.load.p99 for one in own], [one.hits.rate for one in own]
        low, high = ratio_quartiles(p99, [hits.load.p99 for hits in idle])
        refused = median(one.answers.statuses.get("503", 0) for one in own)
        answers = median(sum(one.answers.statuses.values()) / (one.answers.seconds or 1) for one in own)
        rows.append(
            [
                work,
                f"{median(rate):,.0f}",
                f"{median_ratio(rate, [hits.rate for hits in idle]):.2f}",
                f"{median(one.hits.load.p50 for one in own) * 1000:.2f}",
                f"{median(p99) * 1000:.2f}",
                f"{median_ratio(p99, [hits.load.p99 for hits in idle]):.2f}",
                f"{low:.2f}-{high:.2f}",
                f"{answers:,.1f}",
                f"{refused:,.0f}",
            ]
        )
    print_table(
        f"Hits on one plot, {CONNECTIONS} connections, while {CLIENTS} others ask for slow work and wait as "
        "Retry-After says; plotindex's own server, 4 threads.\n"
        f"  {ROUNDS} rounds in turn of {SECONDS:g} s; medians, ratios within each round. The load generators use the "
        "same CPUs.",
        ["meanwhile", "hits/s", "/ nothing", "p50 ms", "p99 ms", "p99 / nothing", "quartiles", "answers/s", "503"],
        rows,
    )
