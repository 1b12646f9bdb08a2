"""A list of ten thousand plots over HTTP, and the cost of clients that wait for changes."""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

import psutil
import requests

from benchmarks.measure import in_turn, median_ratio, print_table, tree_cpu_seconds
from benchmarks.processes import BenchmarkSite, free_port

ROUNDS = 5
PLOTS = 10_000
PROJECTS = 100
LISTS = 3
"""In each round: the kernel counts CPU time in hundredths of a second."""
WAITERS = [0, 1, 8]
WAIT_SECONDS = 10
PREFIX = "/api/smartstat"


class Listed(NamedTuple):
    """One measurement of a complete list."""

    cpu_seconds: float
    received: int
    """Bytes of all bodies, as sent."""


class ServedRoot(NamedTuple):
    url: str
    secret: str
    process: psutil.Process


def lists() -> None:
    with TemporaryDirectory() as folder, _served(BenchmarkSite(Path(folder))) as server:
        _print_lists(server)
        _print_waiting(server)


@contextmanager
def _served(site: BenchmarkSite) -> Iterator[ServedRoot]:
    for number in range(PLOTS):
        plot = site.root / f"s/project_{number % PROJECTS:03}/correlation_{number:05}.png"
        plot.parent.mkdir(parents=True, exist_ok=True)
        plot.write_bytes(os.urandom(number % 50))
    port, log = free_port(), "serve.log"
    with site.started("plotindex", "watch", log="watch.log"):
        site.wait_until_watching()
        secret = site.run("plotindex", "token", "create", "--name", "benchmark").stdout.strip()
        # So that eight clients may wait.
        with site.started("plotindex", "serve", "--port", str(port), "--threads", "32", log=log) as process:
            site.wait_until_listening(process, port, log)
            yield ServedRoot(f"http://127.0.0.1:{port}{PREFIX}", secret, process)


def _print_lists(server: ServedRoot) -> None:
    kinds = {"as it is": "identity", "compressed": "gzip"}
    measures = {name: partial(_list, server, accepts) for name, accepts in kinds.items()}
    listed = in_turn(ROUNDS, measures)
    plain = listed["as it is"]
    print_table(
        f"A list of {PLOTS:,} plots with signed addresses, in pages of 1,000.\n"
        f"  {ROUNDS} rounds in turn of {LISTS} lists; medians, ratios within each round; CPU is of the server.",
        ["list", "CPU ms", "/ as it is", "KB received", "/ as it is"],
        [
            [
                name,
                f"{median(one.cpu_seconds for one in some) * 1000:,.0f}",
                f"{median_ratio([one.cpu_seconds for one in some], [one.cpu_seconds for one in plain]):.2f}",
                f"{median(one.received for one in some) / 1000:,.0f}",
                f"{median_ratio([one.received for one in some], [one.received for one in plain]):.2f}",
            ]
            for name, some in listed.items()
        ],
    )


def _list(server: ServedRoot, accepts: str) -> Listed:
    before = tree_cpu_seconds(server.process)
    received = 0
    with requests.Session() as client:
        client.headers.update({"Authorization": f"Bearer {server.secret}", "Accept-Encoding": accepts})
        for _ in range(LISTS):
            after: str | None = ""
            while after is not None:
                page = client.get(f"{server.url}/plots/s", params={"limit": "1000", "after": after}, timeout=30)
                received += int(page.headers["Content-Length"])
                after = page.json()["next"]
    return Listed((tree_cpu_seconds(server.process) - before) / LISTS, received // LISTS)


def _print_waiting(server: ServedRoot) -> None:
    measured = in_turn(3, {waiters: partial(_wait, server, waiters) for waiters in WAITERS})
    print_table(
        f"The server while nothing changes, for {WAIT_SECONDS} s: CPU, in percent of one core; 3 rounds in turn.",
        ["clients that wait for changes", "CPU %"],
        [[f"{waiters}", f"{median(cpu):.2f}"] for waiters, cpu in measured.items()],
    )


def _wait(server: ServedRoot, waiters: int) -> float:
    headers = {"Authorization": f"Bearer {server.secret}"}
    clock = requests.get(f"{server.url}/changes", headers=headers, timeout=30).json()["clock"]
    query = {"since": clock, "wait": str(WAIT_SECONDS)}
    before, until = tree_cpu_seconds(server.process), time.monotonic() + WAIT_SECONDS
    with ThreadPoolExecutor(max(1, waiters)) as pool:
        for _ in range(waiters):
            pool.submit(requests.get, f"{server.url}/changes", params=query, headers=headers, timeout=30)
    time.sleep(max(0.0, until - time.monotonic()))
    return (tree_cpu_seconds(server.process) - before) / WAIT_SECONDS * 100
