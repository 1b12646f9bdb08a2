"""A tree in which no folder is watched: what looking round and round takes, and how late a change is found.

`python -m benchmarks.rolling ROOT FOLDER MOST` watches at most so many folders of a root, and prints what that takes.
"""

import gc
import json
import random
import sys
import time
import tracemalloc
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from benchmarks.drawing import draw
from benchmarks.measure import print_table, tree_cpu_seconds
from benchmarks.processes import BenchmarkSite
from benchmarks.watchers import PLOTINDEX, WatchedRoot, watched

FOLDERS = (1_000, 10_000)
"""Projects, with a plot in each."""
PROJECTS = 100
"""In each session."""
IDLE_SECONDS = 30
CHANGES = 30
APART_SECONDS = 0.5
POLL_SECONDS = 0.02
TIMEOUT_SECONDS = 300
KINDS = {"a new plot": "new.png", "a plot rewritten in place": "plot.png"}


class Found(NamedTuple):
    """The delays after which changes of one kind were found."""

    folders: int
    what: str
    seconds: list[float]
    bound: float
    """The maximum delay that the indexer reported, before or after."""

    def row(self) -> list[str]:
        late = sorted(self.seconds)
        middle, most = late[len(late) // 2], late[len(late) * 95 // 100]
        return [f"{self.folders:,}", self.what, f"{middle:.1f}", f"{most:.1f}", f"{late[-1]:.1f}", f"{self.bound:.1f}"]


def rolling() -> None:
    taken, found = [], []
    with TemporaryDirectory() as folder:
        for folders in FOLDERS:
            site = BenchmarkSite(Path(folder) / str(folders))
            projects = [f"s{number // PROJECTS:03}/project_{number % PROJECTS:02}" for number in range(folders)]
            for project in projects:
                (site.root / project).mkdir(parents=True)
                draw(f"{site.root}/{project}/plot.png")
            # All but the root.
            site.environment["PLOTINDEX_MAX_WATCHES"] = "1"
            with watched(PLOTINDEX, site) as indexer:
                share, rounds = _idle(indexer)
                found += [_find(indexer, folders, what, projects) for what in KINDS]
            sizes = [_memory(site, most) for most in (10**9, 1)]
            seconds = [rounds[by]["seconds"] for by in ("by_folders", "by_files")]
            taken.append([f"{folders:,}", f"{100 * share:.1f}", *(f"{each:.1f}" for each in (*seconds, *sizes))])
    print_table(
        "Looking round and round at folders with a plot each, none of which is watched (rescan_share is 5).",
        [
            "folders",
            "CPU % of a core",
            "by folders s",
            "by files s",
            "bytes of memory per watched folder",
            "per unwatched one",
        ],
        taken,
    )
    print_table(
        f"How late {CHANGES} changes in as many of them were found, beside what the indexer says of it.",
        ["folders", "what", "p50 s", "p95 s", "max s", "said s"],
        [each.row() for each in found],
    )


def _idle(indexer: WatchedRoot) -> tuple[float, dict[str, Any]]:
    """Its share of a core after the first rounds, and its report about these."""
    while not (rounds := _rounds(indexer))["by_files"]["seconds"]:
        time.sleep(1)
    began, before = time.perf_counter(), tree_cpu_seconds(indexer.process)
    time.sleep(IDLE_SECONDS)
    return (tree_cpu_seconds(indexer.process) - before) / (time.perf_counter() - began), rounds


def _rounds(indexer: WatchedRoot) -> dict[str, Any]:
    status = json.loads(indexer.site.run("plotindex", "status", "--json").stdout)
    rounds: dict[str, Any] = status["indexer"]["parts"][1]
    return rounds


def _find(indexer: WatchedRoot, folders: int, what: str, projects: list[str]) -> Found:
    """Make changes at several places, and wait for each."""
    by = "by_folders" if what == "a new plot" else "by_files"
    bound = _rounds(indexer)[by]["age"]
    paths = [f"{project}/{KINDS[what]}" for project in random.Random(what).sample(projects, CHANGES)]
    waiting: dict[str, float] = {}
    seconds: list[float] = []
    next_at = time.perf_counter()
    patience = next_at + TIMEOUT_SECONDS
    while paths or waiting:
        if time.perf_counter() > patience:
            raise RuntimeError(f"Not found within {TIMEOUT_SECONDS} seconds: {', '.join([*paths, *waiting])}")
        if paths and time.perf_counter() >= next_at:
            next_at += APART_SECONDS
            path = paths.pop()
            draw(f"{indexer.root}/{path}")
            waiting[path] = time.perf_counter()
        for path, since in list(waiting.items()):
            if indexer.sees(path, (indexer.root / path).stat()):
                seconds.append(time.perf_counter() - since)
                del waiting[path]
        time.sleep(POLL_SECONDS)
    return Found(folders, what, seconds, max(bound, _rounds(indexer)[by]["age"]))


def _memory(site: BenchmarkSite, most: int) -> float:
    done = site.run("benchmarks.rolling", str(site.root), str(site.folder), str(most))
    return float(done.stdout)


def _take(root: Path, folder: Path, most: int) -> float:
    """Bytes of memory per folder, with at most `most` watches."""
    from plotindex.tree.scopes import Scope  # noqa: PLC0415 - here it is a process of its own that brings it along
    from plotindex.tree.tree import Tree  # noqa: PLC0415 - see above
    from plotindex.watch.watched_folders import Watches  # noqa: PLC0415 - see above
    from plotindex.watch.watcher import Watcher  # noqa: PLC0415 - see above

    tree = Tree(root)
    watcher = Watcher(tree, folder, lambda: Watches(most))
    watcher.start()
    names = tree.sessions(on_folder=watcher.watches.add)

    def scan(session: str) -> int:
        entered: set[str] = set()

        def enter(path: str, fd: int) -> None:
            entered.add(path)
            watcher.watches.add(path, fd)

        with tree.open_reader() as reader:
            reader.start_walk(Scope(session), enter).advance()
        watcher.watches.prune([session], entered, ())
        return len(entered)

    # The first scan also allocates shared memory.
    scan(names[0])
    tracemalloc.start()
    folders = sum(map(scan, names[1:]))
    gc.collect()
    taken, _ = tracemalloc.get_traced_memory()
    watcher.stop()
    return taken / folders


if __name__ == "__main__":
    print(_take(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))
