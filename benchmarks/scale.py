"""A large tree compared with small ones: which costs grow.

`make bench-scale`; PLOTS=10000000 for ten million, on a disk with eleven million inodes left and 50 GB.
"""

import http.client
import json
import os
import random
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from copy import copy
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple
from urllib.parse import quote, urlsplit

import psutil

from benchmarks.measure import Run, in_turn, median_ratio, print_table
from benchmarks.processes import BenchmarkSite, free_port, python
from benchmarks.rebuild import FIND, find, rebuild_again, rebuild_new_database

PLOTS = int(os.environ.get("PLOTS", "1000000"))
SIZES = sorted({10_000, PLOTS // 10, PLOTS})
"""Plots of each tree; growth is relative to the first."""
PROJECTS = 10
FILES = 100
ROUNDS = int(os.environ.get("ROUNDS", "3"))
ASKED = 100
"""HTTP requests of each kind in a round."""
WARM = 1_000
"""Random plots of each tree that are requested, each after a first, uncounted request."""
IDLE_SECONDS = 10
RULE = "/api/smartstat"


class Scale(NamedTuple):
    """A tree of `plots` plots, and its plotindex."""

    plots: int
    site: BenchmarkSite

    @property
    def sessions(self) -> int:
        return self.plots // (PROJECTS * FILES)

    @property
    def database(self) -> Path:
        return next(self.site.folder.glob("state/*/catalog.db"))


class Restart(NamedTuple):
    """The cost of starting an indexer on an unchanged tree."""

    seconds: float
    peak_mb: float
    idle_mb: float
    watched: int


def scale() -> None:
    with ExitStack() as stack:
        scales = [stack.enter_context(_drawn(plots)) for plots in SIZES]
        for each in scales[1:]:
            _print_work(each)
        for each in scales[:1]:
            each.site.run("plotindex", "rebuild")
        _print_space(scales)
        _print_served(scales, "SQLite")
        _print_postgresql(scales)


@contextmanager
def _drawn(plots: int) -> Iterator[Scale]:
    with TemporaryDirectory() as folder:
        drawn = Scale(plots, BenchmarkSite(Path(folder)))
        for session in range(drawn.sessions):
            for project in range(PROJECTS):
                folder_of_project = drawn.site.root / _session(session) / f"project_{project:02}"
                folder_of_project.mkdir(parents=True)
                with closing(_Folder(folder_of_project)) as opened:
                    for number in range(FILES):
                        opened.draw(_filename(number))
        os.sync()
        try:
            yield drawn
        finally:
            # shutil.rmtree takes many times as long.
            subprocess.run(["rm", "-rf", str(drawn.site.root)], check=False)


class _Folder:
    """Draws millions of tiny plots."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDONLY)

    def draw(self, name: str) -> None:
        file = os.open(name, os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=self._fd)
        os.write(file, b"\x89PNG")
        os.close(file)

    def close(self) -> None:
        os.close(self._fd)


def _session(number: int) -> str:
    return f"session_{number:05}"


def _filename(number: int) -> str:
    return f"correlation_{number:03}.png"


def _print_work(scale: Scale) -> None:
    restarts: list[Restart] = []

    def restart() -> Run:
        restarts.append(done := _restart(scale))
        return Run(done.seconds, 0.0, done.peak_mb, "")

    measures: dict[str, Callable[[], Run]] = {
        FIND: partial(find, scale.site),
        "rebuild, new database": partial(rebuild_new_database, scale.site, scale.plots),
        "rebuild, nothing changed": partial(rebuild_again, scale.site, scale.plots, added=0),
        "indexer's start, nothing changed, until it says that it watches": restart,
    }
    # Writing back and reading the tree must not count.
    find(scale.site)
    runs = in_turn(ROUNDS, measures)
    finds = [run.seconds for run in runs[FIND]]
    print_table(
        f"{scale.plots:,} plots, {scale.sessions * PROJECTS:,} projects, {scale.sessions:,} sessions, in the page "
        f"cache; {ROUNDS} rounds in turn.\n  Medians, ratios within each round; the peak is of one process.",
        ["what", "seconds", "/ find", "peak MB"],
        [_row(name, own, finds) for name, own in runs.items()],
    )


def _row(name: str, runs: list[Run], finds: list[float]) -> list[str]:
    seconds = [run.seconds for run in runs]
    peaks = [run.peak_mb for run in runs if run.peak_mb is not None]
    peak = f"{max(peaks):.0f}" if peaks else "-"
    return [name, f"{median(seconds):.2f}", f"{median_ratio(seconds, finds):.2f}", peak]


def _restart(scale: Scale, idle: float = 0) -> Restart:
    """Start an indexer, and wait for the end of its full scan (sd_notify(3))."""
    place = scale.site.folder / "notify"
    place.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        notified.bind(str(place))
        notified.settimeout(600)
        environment = {**scale.site.environment, "NOTIFY_SOCKET": str(place)}
        began = time.perf_counter()
        indexer = subprocess.Popen(
            python("plotindex", "watch"), cwd=scale.site.folder, env=environment, stderr=subprocess.DEVNULL
        )
        try:
            while b"READY=1" not in notified.recv(1 << 16):
                pass
            seconds = time.perf_counter() - began
            time.sleep(idle)
            status = Path(f"/proc/{indexer.pid}/status").read_text().splitlines()
            megabytes = {line[:6]: int(line.split()[1]) * 1024 / 1e6 for line in status if line.startswith("Vm")}
            told = json.loads(scale.site.run("plotindex", "status", "--json", check=False).stdout)
        finally:
            indexer.terminate()
            indexer.wait()
    return Restart(seconds, megabytes["VmHWM:"], megabytes["VmRSS:"], _watched(told))


def _watched(told: dict[str, object]) -> int:
    indexer = told["indexer"]
    assert isinstance(indexer, dict)
    return int(indexer["watched"])


def _print_space(scales: list[Scale]) -> None:
    rows = []
    before: Restart | None = None
    for scale in scales:
        idle = _restart(scale, IDLE_SECONDS)
        size = sum(file.stat().st_size for file in scale.database.parent.glob("catalog.db*"))
        per_folder = "-"
        if before is not None:
            per_folder = f"{(idle.idle_mb - before.idle_mb) * 1e3 / (idle.watched - before.watched):.2f}"
        before = before or idle
        numbers = [f"{idle.watched:,}", f"{idle.idle_mb:.0f}", per_folder, f"{size / 1e6:,.0f}"]
        rows.append([f"{scale.plots:,}", *numbers, f"{size / scale.plots:.0f}"])
    print_table(
        f"An indexer that has watched for {IDLE_SECONDS} seconds, and its database.",
        ["plots", "folders watched", "RSS MB", "KB per folder more", "database MB", "bytes per plot"],
        rows,
    )


class _Client:
    """Requests random plots of a tree from its server."""

    def __init__(self, scale: Scale, port: int, token: str, login: str) -> None:
        self._scale = scale
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._connection.request("POST", login)
        answer = self._connection.getresponse()
        answer.read()
        cookie = answer.headers["Set-Cookie"].partition(";")[0]
        self._headers = {"Authorization": f"Bearer {token}", "Cookie": cookie}
        self._pick = random.Random(scale.plots)
        self._clock = json.loads(self._ask(f"{RULE}/plots?limit=1"))["clock"]
        # The first read of a file from disk must not count.
        self._plots = [f"{self._some_session()}/{_filename(self._pick.randrange(FILES))}" for _ in range(WARM)]
        for plot in self._plots:
            self._ask(f"{RULE}/plots/{plot}")

    def plot(self) -> str:
        return f"{RULE}/plots/{self._pick.choice(self._plots)}"

    def listing(self) -> str:
        return f"{RULE}/plots/{self._some_session()}"

    def sessions(self) -> str:
        return f"{RULE}/plots?after={self._some_session()}"

    def changes(self) -> str:
        return f"{RULE}/changes?since={self._clock}"

    def gallery(self) -> str:
        return "/"

    def session_page(self) -> str:
        return f"/session/{self._some_session()}"

    def median_ms(self, address: Callable[["_Client"], str]) -> float:
        """The latencies of consecutive requests."""
        times = []
        # The server may have closed this idle connection.
        self._connection.close()
        self._ask(address(self))
        for _ in range(ASKED):
            asked = address(self)
            began = time.perf_counter()
            self._ask(asked)
            times.append(time.perf_counter() - began)
        return median(times) * 1e3

    def _ask(self, address: str) -> bytes:
        self._connection.request("GET", quote(address, safe="/?=&"), headers=self._headers)
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{address} is answered by {answer.status}")
        return body

    def _some_session(self) -> str:
        return _session(self._pick.randrange(self._scale.sessions))


QUESTIONS: dict[str, Callable[[_Client], str]] = {
    "a plot": _Client.plot,
    "the list of a session": _Client.listing,
    "the list of sessions": _Client.sessions,
    "changes, none": _Client.changes,
    "the gallery's first page": _Client.gallery,
    "the gallery's page of a session": _Client.session_page,
}


def _print_postgresql(scales: list[Scale]) -> None:
    # Imported late: it makes this process larger than the measured ones (see run_measured).
    from tests.support.postgres import connected, query_value, run_postgres  # noqa: PLC0415 - see above

    with run_postgres() as server, ExitStack() as stack:
        rows, others = [], []
        for scale in scales:
            url = stack.enter_context(server.database(None))
            other = scale._replace(site=_site_on(scale.site, url))
            seconds = [find(scale.site).seconds]
            for added in (scale.plots, 0):
                seconds.append(rebuild_again(other.site, scale.plots, added=added).seconds)
            with connected(url) as connection:
                # As autovacuum does after a while.
                connection.execute("ANALYZE")
            seconds.append(_restart(other).seconds)
            size = int(query_value(url, "SELECT pg_database_size(current_database())"))
            ratios = [f"{taken / seconds[0]:.2f}" for taken in seconds[1:]]
            rows.append([f"{scale.plots:,}", f"{seconds[0]:.2f}", *ratios, f"{size / scale.plots:.0f}"])
            others.append(other)
        print_table(
            "The same on PostgreSQL, a server of this machine with 32 MB for itself; once each.",
            ["plots", "find s", "rebuild, new / find", "unchanged / find", "indexer's start / find", "bytes per plot"],
            rows,
        )
        _print_served(others, "PostgreSQL")


def _site_on(site: BenchmarkSite, url: str) -> BenchmarkSite:
    """The same root with another catalogue."""
    other = copy(site)
    settings = {"DATABASE_URL": url, "SECRET_KEY": "of-a-benchmark-" * 4, "STATE_DIR": str(site.folder / "other")}
    other.environment = {**site.environment, **{f"PLOTINDEX_{name}": value for name, value in settings.items()}}
    return other


def _print_served(scales: list[Scale], engine: str) -> None:
    with ExitStack() as stack:
        clients = {scale.plots: stack.enter_context(_served(scale)) for scale in scales}
        rows = []
        for name, address in QUESTIONS.items():
            measures = {plots: partial(client.median_ms, address) for plots, client in clients.items()}
            times = in_turn(ROUNDS * 3, measures)
            ratios = [f"{median_ratio(times[plots], times[SIZES[0]]):.2f}" for plots in SIZES[1:]]
            rows.append([name, *(f"{median(times[plots]):.2f}" for plots in SIZES), *ratios])
    sizes = [f"{plots:,}" for plots in SIZES]
    print_table(
        f"Answers over HTTP from {engine}, one after the other, each for something at random; {ROUNDS * 3} rounds in "
        f"turn of {ASKED}.\n  Milliseconds in a tree of so many plots, and beside the smallest tree.",
        ["request", *(f"ms {size}" for size in sizes), *(f"{size} / {sizes[0]}" for size in sizes[1:])],
        rows,
    )


@contextmanager
def _served(scale: Scale) -> Iterator[_Client]:
    port = free_port()
    name = f"scale-{port}"
    token = scale.site.run("plotindex", "token", "create", "--name", name).stdout.strip()
    scale.site.environment["PLOTINDEX_PORT"] = str(port)
    with scale.site.started("plotindex", "serve", log="serve.log") as server:
        scale.site.wait_until_listening(psutil.Process(server.pid), port, "serve.log")
        link = urlsplit(scale.site.run("plotindex", "token", "link", name).stdout.strip())
        yield _Client(scale, port, token, f"{link.path}?{link.query}")
