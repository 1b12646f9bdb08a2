"""Torture test of the indexer: `python -m tests.tools.torture SECONDS SEED [--kill EVERY] [--overflow] [--strict] …`.

In rounds, processes change a tree at random while the real indexer and server run. After each round's `plotindex
sync`, the plot table must equal a walk, the watched inodes the folders, and HTTP responses the files. Prints one line
of figures, and exits 1 with the first differences if there are any.

Excused, unless --strict: size and times of a plot that may have had a hard link that was never indexed, because it was
short-lived or in an unwatched folder. Changes through such a link cause no event. Changes through a link that was
indexed at a `plotindex sync` are not excused; each round makes some.
"""

import argparse
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import quote

import requests

from plotindex.tree.plots import Plot, PlotKey
from tests import CHECKOUT
from tests.guarantees.test_convergence import current_by_hand, plots_by_hand
from tests.support.churn import FOLDERS, KINDS, NAMES, SESSIONS
from tests.support.processes import Service, draw, free_port, is_free, run_plotindex

CHURNERS = 2
ROUND_SECONDS = 5.0
SYNC_SECONDS = 60
MAX_FOLDERS = 32
"""`max_depth`; deeper plots are found by a scan."""
DEEPEST = 40
LINKED_SUFFIX = ".gif"
"""The suffix of churn's hard-linked names."""
MAX_NAMED = 20
MAX_QUEUED_EVENTS = Path("/proc/sys/fs/inotify/max_queued_events")


@dataclass
class Figures:
    """The results of a run."""

    rounds: int = 0
    changes: int = 0
    plots: int = 0
    """In the tree at the end."""
    syncs: list[float] = field(default_factory=list)
    """Seconds of each `plotindex sync`, including its start."""
    overflows: int = 0
    kills: int = 0
    excused: int = 0
    """Excused rows."""
    differences: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"rounds {self.rounds}, changes {self.changes}, plots {self.plots}, "
            f"sync p50 {median(self.syncs or [0]):.2f} s max {max(self.syncs, default=0):.2f} s, "
            f"overflows {self.overflows}, kills {self.kills}, excused {self.excused}, "
            f"differences {len(self.differences)}"
        )


class TortureSite:
    """A root and the real processes that serve it. Made by `site`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.root, self.state = folder, folder / "plots", folder / "state"
        self.root.mkdir()
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PLOTINDEX_")}
        own = {"PLOTINDEX_ROOT": str(self.root), "PLOTINDEX_STATE_DIR": str(self.state), "PYTHONWARNINGS": "error"}
        self.environment = {**kept, **own}
        self.services: list[Service] = []

    def start(self, *args: str) -> Service:
        service = Service(args, self.environment, self.folder, self.folder / f"service-{len(self.services)}")
        self.services.append(service)
        return service

    def start_indexer(self) -> None:
        self.indexer = self.start("watch")

    def serve(self) -> "Client":
        """Start a server; return a client for it."""
        port = free_port()
        service = self.start("serve", "--port", str(port))
        service.wait_for(lambda: not is_free(port))
        return Client(f"http://127.0.0.1:{port}", self.run("token", "create", "--name", "t").stdout.strip())

    def run(self, *args: str) -> "subprocess.CompletedProcess[str]":
        return run_plotindex(args, self.environment, self.folder, seconds=2 * SYNC_SECONDS)

    def query(self, sql: str, *values: object) -> list[Any]:
        """Query the catalogue without plotindex's code; no rows if it does not exist yet."""
        for database in self.state.glob("*/catalog.db"):
            with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=20)) as connection:
                if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'indexer'").fetchall():
                    return connection.execute(sql, values).fetchall()
        return []

    def plots(self) -> set[Plot]:
        return {Plot(*row) for row in self.query(f"SELECT {', '.join(Plot._fields)} FROM plot")}

    def wait_for_state(self, state: str = "%") -> None:
        """Wait until the running indexer reports that state, or any state."""
        query = "SELECT 1 FROM indexer WHERE pid = ? AND state LIKE ?"
        self.indexer.wait_for(lambda: self.query(query, self.indexer.pid, state), SYNC_SECONDS)

    def kill_indexer(self) -> None:
        """SIGKILL its process group, and start it again."""
        os.killpg(self.indexer.pid, signal.SIGKILL)
        self.indexer.process.wait()
        self.start_indexer()

    def overflow(self) -> None:
        """Pause the indexer during more changes than the kernel queues; wait until it reports the overflow."""
        self.wait_for_state("watching")
        before = self._overflows()
        os.killpg(self.indexer.pid, signal.SIGSTOP)
        one, other = self.root / "flood/project_a/0.png", self.root / "flood/project_a/1.png"
        for _ in range(int(MAX_QUEUED_EVENTS.read_text()) // 2):
            one.rename(other)
            other.rename(one)
        os.killpg(self.indexer.pid, signal.SIGCONT)
        self.indexer.wait_for(lambda: self._overflows() > before, SYNC_SECONDS)

    def failures(self) -> Iterator[str]:
        """Services that crashed or logged a traceback."""
        for service in self.services:
            if service.process.poll() not in (None, -signal.SIGKILL) or "Traceback" in service.stderr:
                yield f"{service.process.args!r} exited with {service.process.returncode}: {service.stderr}"

    def _overflows(self) -> int:
        [(overflows,)] = self.query("SELECT overflows FROM indexer WHERE pid = ?", self.indexer.pid)
        return int(overflows)


class Client:
    """An HTTP client for plots."""

    def __init__(self, url: str, token: str) -> None:
        self._url, self._session = url, requests.Session()
        self._session.headers["Authorization"] = f"Bearer {token}"

    def get(self, key: PlotKey) -> requests.Response:
        return self._session.get(f"{self._url}/api/smartstat/plots/{key.session}/{quote(key.filename)}", timeout=20)

    def close(self) -> None:
        self._session.close()


@contextmanager
def site(folder: Path) -> Iterator[TortureSite]:
    """A site in that folder, with a watching indexer; its processes are killed on exit."""
    made = TortureSite(folder)
    draw(made.root, "flood/project_a/0.png")
    try:
        made.start_indexer()
        made.wait_for_state("watching")
        yield made
    finally:
        for service in made.services:
            service.clean_up()


def is_indexed(plot: Plot) -> bool:
    return plot.filename.count("/") <= MAX_FOLDERS


def excused(rows: set[Plot], plots: set[Plot], known: Collection[int] = ()) -> set[Plot]:
    """The rows, with excused ones replaced by their plots: those that may have had a hard link not in `known`."""
    there = {plot.path: plot for plot in plots}
    linked = {row for row in rows - plots if row.filename.endswith(LINKED_SUFFIX) and row.inode not in known}
    excused = {row for row in linked if row.path in there and there[row.path].inode == row.inode}
    return rows - excused | {there[row.path] for row in excused}


def compare_plots(rows: set[Plot], plots: set[Plot]) -> Iterator[str]:
    """Differences between the plot table and a walk."""
    known, there = {plot.path: plot for plot in rows}, {plot.path: plot for plot in plots if is_indexed(plot)}
    for path in sorted(known.keys() | there):
        row, plot = known.get(path), there.get(path)
        if row is None or plot is None:
            yield f"{path}: {'not in the catalogue' if row is None else 'in the catalogue, but not there'}"
        elif row != plot:
            fields = [name for name in Plot._fields if getattr(row, name) != getattr(plot, name)]
            told = (f"{name} {getattr(row, name)} is {getattr(plot, name)}" for name in fields)
            yield f"{path}: of another version in the catalogue: {', '.join(told)}"


def compare_watches(watched: set[int], folders: Mapping[int, str]) -> Iterator[str]:
    """Differences between the watched inodes and the folders that can hold plots."""
    yield from (f"{path}: a folder that is not watched" for inode, path in folders.items() if inode not in watched)
    yield from (f"inode {inode}: watched, but no folder that can hold plots" for inode in watched - folders.keys())


def compare_answers(client: Client, root: Path, *, strict: bool = True) -> Iterator[str]:
    """Differences between HTTP responses and the files of current copies, or of any copy where excused."""
    plots = plots_by_hand(root)
    absent = {PlotKey(session, name) for session in [*SESSIONS, "never"] for name in ("3.svg", "sub/0.png", "no.png")}
    for key in sorted({PlotKey(plot.session, plot.filename) for plot in plots} | absent):
        answer = client.get(key)
        said = f"{key.session} {key.filename}: answered {answer.status_code} {answer.headers.get('Cache-Status')}"
        current = current_by_hand(plots, key)
        if current is None:
            if answer.status_code != 404:
                yield f"{said} though it is not there"
            continue
        any_copy = not strict and key.filename.endswith(LINKED_SUFFIX)
        right = {plot for plot in plots if (plot.session, plot.filename) == key} if any_copy else {current}
        if answer.status_code != 200 or answer.content not in {(root / plot.path).read_bytes() for plot in right}:
            yield f"{said} {answer.content[:20]!r} instead of the content of {current.path}"
        elif is_indexed(current) and not answer.headers["Cache-Status"].startswith("plotindex; hit"):
            yield f"{said} instead of from the catalogue"


def watched_inodes(pid: int) -> set[int]:
    """The inodes that a process watches, from /proc (inotify fdinfo)."""
    lines: list[str] = []
    for info in Path(f"/proc/{pid}/fdinfo").iterdir():
        # A descriptor closed meanwhile is not the inotify one.
        with suppress(FileNotFoundError):
            lines += info.read_text().splitlines()
    return {int(line.split()[2].removeprefix("ino:"), 16) for line in lines if line.startswith("inotify ")}


def folders_to_watch(root: Path) -> dict[int, str]:
    """Inode -> path of each folder that can hold plots: the root, sessions, projects and their subfolders."""
    found = {}
    for place, _, _ in os.walk(root):
        parts = Path(place).relative_to(root).parts
        if len(parts) < 2 or (parts[1].startswith("project_") and len(parts) - 2 <= MAX_FOLDERS):
            found[Path(place).stat().st_ino] = "/".join(parts) or "the root"
    return found


def torture(
    folder: Path,
    seconds: float,
    seed: int,
    *,
    kill_every: float | None = None,
    kills: int = 0,
    overflow: bool = False,
    strict: bool = False,
    without: Sequence[str] = (),
    round_seconds: float = ROUND_SECONDS,
) -> Figures:
    """Run rounds of changes for `seconds` and until `kills` are reached, or until a round ends with differences."""
    figures, chance = Figures(), random.Random(seed)
    with site(folder) as made, closing(made.serve()) as client:
        deadline = time.monotonic() + seconds
        while (time.monotonic() < deadline or figures.kills < kills) and not figures.differences:
            first = seed * 1_000_000 + figures.rounds * CHURNERS
            churners = [start_churner(made.root, first + n, round_seconds, without) for n in range(CHURNERS)]
            if overflow:
                made.overflow()
                figures.overflows += 1
            figures.differences += ask_while(churners, made, client, figures, kill_every, chance)
            figures.changes += sum(int(churner.communicate()[0]) for churner in churners)
            made.wait_for_state()
            figures.differences += made.failures()
            figures.differences += sync(made, figures.syncs)
            figures.differences += compare_catalogue(made, figures, strict=strict)
            linked = change_links(made.root, chance)
            figures.differences += sync(made, figures.syncs)
            figures.differences += compare_catalogue(made, figures, linked, strict=strict)
            # Last: a requested miss heals the catalogue.
            figures.differences += compare_answers(client, made.root, strict=strict)
            figures.rounds += 1
    return figures


def start_churner(root: Path, seed: int, seconds: float, without: Iterable[str]) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.support.churn", str(root), str(seed), str(seconds), str(DEEPEST), *without]
    return subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True)


def ask_while(
    churners: Sequence["subprocess.Popen[str]"],
    made: TortureSite,
    client: Client,
    figures: Figures,
    kill_every: float | None,
    chance: random.Random,
) -> Iterator[str]:
    """Until the churners end, request plots, which also heals the catalogue, and sometimes kill the indexer."""
    kill_at = time.monotonic() + (kill_every or 0) * chance.uniform(0.5, 1.5)
    while any(churner.poll() is None for churner in churners):
        if kill_every is not None and time.monotonic() >= kill_at:
            made.kill_indexer()
            figures.kills += 1
            kill_at = time.monotonic() + kill_every * chance.uniform(0.5, 1.5)
        key = PlotKey(chance.choice(SESSIONS), f"{chance.choice(FOLDERS)}/{chance.choice(NAMES)}".lstrip("/"))
        answer = client.get(key)
        if answer.status_code not in (200, 404, 503):
            yield f"{key.session} {key.filename}: answered {answer.status_code} in the storm"
        time.sleep(0.02)


def sync(made: TortureSite, seconds: list[float]) -> Iterator[str]:
    """Run `plotindex sync`, record its duration, and yield its failure."""
    began = time.monotonic()
    done = made.run("sync", "--timeout", str(SYNC_SECONDS))
    seconds.append(time.monotonic() - began)
    if done.returncode:
        yield f"plotindex sync ended with {done.returncode}: {done.stderr}"


def change_links(root: Path, chance: random.Random) -> set[int]:
    """Write through one hard link of each plot that has several, or delete it; return the inodes."""
    linked = sorted(plot for plot in plots_by_hand(root) if is_indexed(plot) and (root / plot.path).stat().st_nlink > 1)
    for plot in {plot.inode: plot for plot in linked}.values():
        if chance.random() < 0.5:
            (root / plot.path).unlink()
        else:
            with (root / plot.path).open("ab") as file:
                file.write(b"through one name")
    return {plot.inode for plot in linked}


def compare_catalogue(
    made: TortureSite, figures: Figures, linked: Collection[int] = (), *, strict: bool
) -> Iterator[str]:
    """Differences of plot table and watches from the tree; plots of the `linked` inodes are not excused."""
    rows, plots = made.plots(), plots_by_hand(made.root)
    believed = rows if strict else excused(rows, plots, linked)
    figures.excused += len(rows - believed)
    figures.plots = len(plots)
    yield from compare_plots(believed, plots)
    own = {folder.stat().st_ino: "the folder of barriers" for folder in made.state.glob("*/sync")}
    yield from compare_watches(watched_inodes(made.indexer.pid), folders_to_watch(made.root) | own)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.tools.torture")
    parser.add_argument("seconds", type=float)
    parser.add_argument("seed", type=int)
    parser.add_argument("--kill", type=float, metavar="EVERY", help="kill -9 the indexer about every so many seconds")
    parser.add_argument("--overflow", action="store_true", help="overflow the kernel's queue of events in each round")
    parser.add_argument("--strict", action="store_true", help="excuse nothing")
    parser.add_argument("--without", action="append", default=[], choices=KINDS, help="a kind of change to leave out")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="torture-"))
    how = {"overflow": given.overflow, "strict": given.strict, "without": given.without}
    figures = torture(folder, given.seconds, given.seed, kill_every=given.kill, **how)
    print(figures)  # noqa: T201 - a program's result
    if figures.differences:
        named = "\n".join(figures.differences[:MAX_NAMED])
        print(f"{named}\nThe tree, the catalogue and the logs are kept in {folder}.", file=sys.stderr)  # noqa: T201
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
