"""How fast the history keeps, what it takes, and what it costs others."""

import os
import tempfile
import time
from functools import partial
from hashlib import blake2b
from pathlib import Path
from statistics import median

import requests

from benchmarks.beside import Follower, print_beside
from benchmarks.drawing import STEADY_SESSIONS
from benchmarks.history_site import CATCH_UP_SECONDS, follower_of, kept_and_lost, wait_for, wait_until_kept
from benchmarks.measure import in_turn, median_ratio, print_table, ratio_quartiles, tree_cpu_seconds
from benchmarks.processes import BenchmarkSite
from benchmarks.serving import started_server
from plotindex.config import load_settings
from plotindex.history.store import HistoryStore
from plotindex.storage import FolderIdentity, HistoryWriter, KeptVersion, SqliteDatabase
from plotindex.tree import Plot
from tests.support.page_cache import cached_bytes, drop_cached

KEPT = 100_000
PLOTS, PROJECTS = 250, 1_000
"""Half of the kept versions are of so many plots, the other half of one plot that so many projects draw."""
REQUESTS = 200
START_ROUNDS = 9
STARTED = "Full scan finished"
RATES = (300, 1_000)
SECONDS = 30
PLOT_BYTES = 30_000
COLD = 200
KEEPING = Follower(
    "the history", "plotindex.history.process", "PLOTINDEX_HISTORY_MB", on="1024", off="0", is_awaited=True
)


def history() -> None:
    with tempfile.TemporaryDirectory(prefix="plotindex-history-") as place:
        _print_kept(Path(place) / "kept")
        _print_keeping(Path(place) / "keeping")
        _print_page_cache(Path(place) / "cold")
        print_beside(Path(place) / "beside", KEEPING)


def _print_kept(folder: Path) -> None:
    site = BenchmarkSite(folder)
    site.environment["PLOTINDEX_HISTORY_VERSIONS"] = "1000"
    (site.root / "s/project_a").mkdir(parents=True)
    size = _fill(site)
    samples = in_turn(
        START_ROUNDS, {"the history": partial(_start, site, "1024"), "no history": partial(_start, site, "0")}
    )
    with_it, without = samples.values()
    low, high = ratio_quartiles(with_it, without)
    with site.started("plotindex", "watch", log="watch.log"):
        site.wait_until_watching()
        token = site.run("plotindex", "token", "create", "--name", "benchmark").stdout.strip()
        with started_server(site, "plotindex", token) as server, requests.Session() as client:
            client.headers["Authorization"] = f"Bearer {token}"
            address = f"http://127.0.0.1:{server.port}/api/smartstat/history/s"
            rows = [
                [what, *_milliseconds(client, address + path)]
                for what, path in {
                    f"versions of one of {PLOTS} plots, first page": "/plot_00042.png",
                    f"versions of a plot of {PROJECTS:,} projects, first page": "/shared.png",
                    "plots of the session, first page": "",
                }.items()
            ]
    print_table(
        f"{KEPT:,} kept versions in one session: {size / KEPT:.0f} bytes of database each. The indexer starts in "
        f"{median(with_it):.2f} s, without the history in {median(without):.2f} s: ratio "
        f"{median_ratio(with_it, without):.2f} (quartiles {low:.2f} to {high:.2f}).",
        ["answer over HTTP", "p50 ms", "p99 ms"],
        rows,
    )


def _fill(site: BenchmarkSite) -> int:
    """Keep versions of no plots; return the bytes of the database."""
    settings = load_settings({}, site.environment)
    settings.make_state_folder()
    store = HistoryStore.from_settings(settings)
    assert store is not None
    assert isinstance(store.database, SqliteDatabase)
    store.prepare()
    with store.writing() as writer:
        session = writer.start_session("s", FolderIdentity(1, 1), time.time_ns())
        copies = [(f"plot_{number:05}.png", "project_a") for number in range(PLOTS)]
        copies += [("shared.png", f"project_{number:05}") for number in range(PROJECTS)]
        each = {"project_a": KEPT // 2 // PLOTS}
        for filename, project in copies:
            copy_id = writer.add_copy(session.id, filename, project)
            for number in range(each.get(project, KEPT // 2 // PROJECTS)):
                _keep(
                    writer,
                    store.folder.path,
                    copy_id,
                    session.id,
                    Plot("s", project, filename, 8, 0, 0, copy_id),
                    number,
                )
    store.database.truncate_log()
    store.database.close()
    return settings.history_location.stat().st_size if isinstance(settings.history_location, Path) else 0


def _keep(writer: HistoryWriter, contents: Path, copy_id: int, session_id: int, plot: Plot, number: int) -> None:
    # Within the last hour: none of these is thinned.
    moment = time.time_ns() - number * 10**10
    content = b"%08d" % (copy_id * 1000 + number)
    digest = blake2b(content, digest_size=16).hexdigest()
    # Without a sync for each.
    (contents / digest).write_bytes(content)
    version = plot._replace(mtime_ns=moment, ctime_ns=moment)
    writer.restore_version(KeptVersion(0, copy_id, session_id, version, moment, digest))


def _start(site: BenchmarkSite, history_mb: str) -> float:
    """Seconds until an indexer has scanned an empty root."""
    site.environment["PLOTINDEX_HISTORY_MB"] = history_mb
    began = time.perf_counter()
    with site.started("plotindex", "watch", log="start.log"):
        wait_for(lambda: STARTED in (site.folder / "start.log").read_text(), 60)
        taken = time.perf_counter() - began
    site.environment["PLOTINDEX_HISTORY_MB"] = "1024"
    return taken


def _milliseconds(client: requests.Session, address: str) -> list[str]:
    taken = []
    for _ in range(REQUESTS):
        began = time.perf_counter()
        client.get(address, timeout=20).raise_for_status()
        taken.append((time.perf_counter() - began) * 1000)
    return [f"{median(taken):.2f}", f"{sorted(taken)[REQUESTS * 99 // 100]:.2f}"]


def _print_keeping(folder: Path) -> None:
    rows = []
    for rate in RATES:
        site = BenchmarkSite(folder / str(rate))
        with site.started("plotindex", "watch", log="watch.log") as process:
            site.wait_until_watching()
            keeper = follower_of(process, KEEPING.module)
            before = tree_cpu_seconds(keeper)
            drawn, seconds = _draw(site.root, rate)
            status = site.run("plotindex", "status", check=False).stdout
            at_end, _ = kept_and_lost(site)
            began = time.perf_counter()
            wait_until_kept(site)
            behind = time.perf_counter() - began
            kept, lost = kept_and_lost(site)
            cpu = tree_cpu_seconds(keeper) - before
        told = next((part for part in status.split("; ") if part.endswith("behind")), "-")
        each = f"{1000 * cpu / kept:.2f}"
        rows.append([f"{drawn / seconds:,.0f}", f"{at_end:,} of {drawn:,}", told, f"{behind:.1f}", f"{lost:,}", each])
    print_table(
        f"New plots of {PLOT_BYTES // 1000} KB for {SECONDS} s, in {STEADY_SESSIONS} sessions; each is kept once it is "
        f"two seconds old. After {CATCH_UP_SECONDS} s this fails.",
        ["drawn a second", "kept at the end", "as `plotindex status` says", "all kept after s", "lost", "CPU ms each"],
        rows,
    )


def _draw(root: Path, rate: int) -> tuple[int, float]:
    folders = [root / f"session_{number:02}/project_a" for number in range(STEADY_SESSIONS)]
    for folder in folders:
        folder.mkdir(parents=True)
    content = os.urandom(PLOT_BYTES - 16)
    began = time.perf_counter()
    for number in range(rate * SECONDS):
        time.sleep(max(0.0, began + number / rate - time.perf_counter()))
        (folders[number % len(folders)] / f"{number:06}.png").write_bytes(b"%016d" % number + content)
    return rate * SECONDS, time.perf_counter() - began


def _print_page_cache(folder: Path) -> None:
    site = BenchmarkSite(folder)
    place = site.root / "s/project_a"
    place.mkdir(parents=True)
    plots = [place / f"{number}.png" for number in range(COLD)]
    for plot in plots:
        plot.write_bytes(os.urandom(PLOT_BYTES))
    wait_for(lambda: not drop_cached(*plots), CATCH_UP_SECONDS)
    with site.started("plotindex", "watch", log="watch.log"):
        site.wait_until_watching()
        wait_for(lambda: kept_and_lost(site)[0] == COLD, CATCH_UP_SECONDS)
        [contents] = (site.folder / "state").glob("*/history")
        kept = [file for file in contents.iterdir() if file.stat().st_size == PLOT_BYTES]
        rows = [
            ["plots", f"{cached_bytes(*plots):,}"],
            ["kept contents", f"{cached_bytes(*kept):,}"],
        ]
    print_table(
        f"{COLD} plots that were not in the page cache, once they are kept.",
        ["of the", "bytes in page cache"],
        rows,
    )
