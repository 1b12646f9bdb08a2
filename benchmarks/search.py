"""Searching all names: what the gallery's search and `finding.search` cost in a small and in a large catalogue.

`PLOTS=10000000 python -m benchmarks search` measures another size. Nothing is drawn: the database is filled directly.
"""

import os
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

from benchmarks.measure import print_table
from plotindex.storage.catalog import Catalog
from plotindex.storage.database import Database
from plotindex.storage.find import PlotFilter, find_plots
from plotindex.storage.overview import Overview
from plotindex.storage.search.updater import IndexUpdater
from plotindex.storage.sqlite.database import SqliteDatabase
from plotindex.tree.grammar import Layout
from plotindex.tree.session_filter import SessionFilter

SIZES = sorted({10_000, int(os.environ.get("PLOTS", "100000"))})
NAMES = 1_000
"""Per session, in ten projects."""
PROJECTS = 10
KINDS = ("correlation", "histogram", "residual", "spectrum", "efficiency", "hist", "fit_quality", "scatter")
QUANTITIES = ("mass", "energy", "momentum", "eta", "phi", "charge", "time", "temperature")
ROWS_AT_ONCE = 10_000
FOUND = 60
"""As many as a page of the gallery shows."""
ROUNDS = 40
NOW_NS = 1_700_000_000_000_000_000

Search = Callable[[Catalog, Overview, int], tuple[int, bool | None]]
"""Returns the number of results, and whether they are complete; the argument selects the query."""


def search() -> None:
    lines = []
    taken_in = []
    with TemporaryDirectory() as folder:
        small: dict[str, float] = {}
        for size in SIZES:
            path = Path(folder) / f"{size}.db"
            with closing(SqliteDatabase(path)) as database:
                catalog = fill_catalog(database, size)
                taken_in.append(_take_in(catalog, size))
                for what, seek in SEARCHES.items():
                    times, found, complete = _measure(catalog, seek)
                    small.setdefault(what, median(times))
                    share = f"{complete:.0%}" if complete is not None else "-"
                    ratio = f"{median(times) / small[what]:.1f}"
                    lines.append([what, f"{size:,}", f"{median(times):.1f}", _p95(times), ratio, str(found), share])
            for file in path.parent.glob(path.name + "*"):
                file.unlink()
    print_table(
        f"Searching names, in process; {NAMES:,} in each session. Each text another one, {ROUNDS} of a kind.",
        ["what", "names", "p50 ms", "p95 ms", f"p50 / at {SIZES[0]:,}", "found", "complete"],
        lines,
    )
    print_table(
        "Taking names in for the search, behind the clock.",
        ["names", "us / name", "longest transaction ms", "bytes / name", "bytes of plots / name"],
        taken_in,
    )


def _p95(times: list[float]) -> str:
    return f"{quantiles(times, n=20)[-1]:.1f}"


def _measure(catalog: Catalog, seek: Search) -> tuple[list[float], int, float | None]:
    times, found, complete = [], [], []
    overview = Overview(catalog)
    seek(catalog, overview, -1)
    for number in range(ROUNDS):
        began = time.perf_counter()
        count, is_all = seek(catalog, overview, number)
        times.append((time.perf_counter() - began) * 1000)
        found.append(count)
        if is_all is not None:
            complete.append(is_all)
    return times, int(median(found)), sum(complete) / len(complete) if complete else None


def _everywhere(text: Callable[[random.Random, int], str], *, limited: str = "") -> Search:
    def seek(catalog: Catalog, overview: Overview, number: int) -> tuple[int, bool | None]:
        sessions, _ = catalog.counts()
        pick = random.Random(number)
        allows = SessionFilter(lambda name: name.startswith(limited), is_all=not limited, prefix=limited)
        result = overview.search(allows, text(pick, sessions), FOUND)
        return len(result.plots), result.is_complete

    return seek


def _finding(text: Callable[[random.Random, int], str]) -> Search:
    def seek(catalog: Catalog, _: Overview, number: int) -> tuple[int, bool | None]:
        sessions, _plots = catalog.counts()
        wanted = PlotFilter(text(random.Random(number), sessions))
        return len(list(islice(find_plots(catalog.database, wanted), 1000))), None

    return seek


def _rare(pick: random.Random, sessions: int) -> str:
    number = pick.randrange(sessions * NAMES) // 8 * 8
    return f"{KINDS[0]}_{number:07}"


def _digits(pick: random.Random, _sessions: int) -> str:
    return f"{pick.randrange(1000):03}"


SEARCHES: dict[str, Search] = {
    "one name": _everywhere(_rare),
    "seven digits": _everywhere(lambda pick, sessions: _rare(pick, sessions)[-7:]),
    "a common word": _everywhere(lambda pick, _: pick.choice(KINDS)),
    "common words that meet in few": _everywhere(
        lambda pick, _: f"{pick.choice(QUANTITIES)}_{pick.choice(QUANTITIES)}_{pick.randrange(10_000):04}"
    ),
    "nowhere": _everywhere(lambda pick, _: "".join(pick.choices("qxzwk", k=8))),
    "known trigrams, nowhere": _everywhere(lambda pick, _: f"{pick.choice(QUANTITIES)}_{pick.choice(KINDS)}"),
    "a digit seven times": _everywhere(lambda pick, _: str(pick.randrange(10)) * 7),
    "three characters": _everywhere(_digits),
    "two characters": _everywhere(lambda pick, sessions: _digits(pick, sessions)[:2]),
    "two characters, nowhere": _everywhere(lambda pick, _: pick.choice("qxz") + pick.choice("qxz")),
    "a glob": _everywhere(lambda pick, sessions: f"corr*{_digits(pick, sessions)}*{_digits(pick, sessions)[:1]}.png"),
    "a glob without three characters": _everywhere(lambda pick, _: f"*{pick.choice('qxz')}*{pick.choice('qxz')}?"),
    "one name, of one session": _everywhere(_rare, limited="session_00001"),
    "one name, of a tenth of the sessions": _everywhere(_rare, limited="session_0000"),
    "find: one name": _finding(_rare),
    "find: a path": _finding(
        lambda pick, sessions: f"{_session(pick.randrange(sessions))}/project_{pick.randrange(5) * 2:02}/corr"
    ),
    "find: a glob": _finding(lambda pick, sessions: f"*/correlation_*{_rare(pick, sessions)[-5:]}.png"),
}


def _take_in(catalog: Catalog, size: int) -> list[str]:
    before = database_bytes(catalog.database)
    intake = IndexUpdater(catalog)
    began = at = time.perf_counter()
    longest = 0.0
    while intake.step():
        now = time.perf_counter()
        longest, at = max(longest, now - at), now
    seconds = time.perf_counter() - began
    grown = database_bytes(catalog.database) - before
    return [
        f"{size:,}",
        f"{seconds / size * 1e6:.1f}",
        f"{longest * 1000:.0f}",
        f"{grown / size:.0f}",
        f"{before / size:.0f}",
    ]


def database_bytes(database: Database) -> int:
    database.pinned_wal_bytes()
    with closing(sqlite3.connect(database.path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return database.path.stat().st_size


def fill_catalog(database: SqliteDatabase, size: int) -> Catalog:
    """A catalogue of plots that do not exist, as a rebuild would leave it: 1,000 rows per commit."""
    database.migrate()
    catalog = Catalog(database)
    clock = NOW_NS // 1000
    catalog.record_root("/plots", Layout(), clock)
    plots = _rows(size, clock)
    with closing(sqlite3.connect(database.path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        while chunk := list(islice(plots, ROWS_AT_ONCE)):
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO plot VALUES (?, ?, ?, ?, ?, ?, ?, ?)", chunk)
            connection.execute("COMMIT")
        connection.execute(
            "INSERT INTO session SELECT session, count(*), max(mtime_ns), max(clock) FROM plot GROUP BY session"
        )
        connection.execute("UPDATE catalogue SET clock = ?", (clock + size // NAMES,))
    return catalog


def _session(number: int) -> str:
    return f"session_{number:05}"


def _rows(size: int, clock: int) -> Iterator[tuple[object, ...]]:
    for session in range(size // NAMES):
        named = sorted((_filename(session * NAMES + number), number) for number in range(NAMES))
        for filename, number in named:
            times = (NOW_NS + session * 10**9 + number, NOW_NS)
            yield (
                *(_session(session), filename, f"project_{number % PROJECTS:02}"),
                *(30_000, *times, session * NAMES + number, clock + session + 1),
            )


def _filename(number: int) -> str:
    kind, quantities = KINDS[number % 8], (QUANTITIES[number // 8 % 8], QUANTITIES[number // 64 % 8])
    if number % 8 < 4:
        return f"{kind}_{number:07}.png"
    if number % 8 == 4:
        return f"sub/{kind}_{quantities[0]}_{number * 7919 % 10**6:06}_{number % NAMES}.svg"
    return f"{kind}_{quantities[0]}_{quantities[1]}_{number % NAMES:04}.svg"
