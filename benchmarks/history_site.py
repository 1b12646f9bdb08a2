"""The history of a benchmark's site, observed from outside."""

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import TypeVar

import psutil

from benchmarks.processes import BenchmarkSite

T = TypeVar("T")
CATCH_UP_SECONDS = 240
START_SECONDS = 30


def follower_of(indexer: psutil.Process, module: str) -> psutil.Process:
    """The process that an indexer has started for what it does behind the clock, once it runs."""

    def find() -> psutil.Process | None:
        return next((each for each in indexer.children() if module in each.cmdline()), None)

    return wait_for(find, START_SECONDS)


def wait_until_kept(site: BenchmarkSite) -> None:
    """Wait until no change and no version waits."""
    wait_for(partial(_is_idle, site), CATCH_UP_SECONDS)


def kept_and_lost(site: BenchmarkSite) -> tuple[int, int]:
    """How many versions were kept, and lost for good."""
    ((kept, lost),) = query(site, "SELECT coalesce(max(kept), 0), coalesce(max(lost), 0) FROM history_state")
    return int(kept), int(lost)


def wait_for(condition: Callable[[], T | None], seconds: float) -> T:
    """Poll until the result is true.

    Raises:
        RuntimeError: it is not within `seconds`.
    """
    until = time.monotonic() + seconds
    while not (result := condition()):
        if time.monotonic() > until:
            raise RuntimeError(f"The history has not come so far within {seconds:.0f} s.")
        time.sleep(0.05)
    return result


def query(site: BenchmarkSite, statement: str, database: str = "history.db") -> list[tuple[int, ...]]:
    """Query a database of the site without plotindex's code; it waits until there is one."""
    [file] = wait_for(lambda: list((site.folder / "state").glob(f"*/{database}")), START_SECONDS)
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=20)) as connection:
        return connection.execute(statement).fetchall()


def _is_idle(site: BenchmarkSite) -> bool:
    ((clock,),) = query(site, "SELECT clock FROM catalogue", "catalog.db")
    ((waiting, reached),) = query(
        site, "SELECT (SELECT count(*) FROM history_pending), (SELECT max(clock) FROM history_follower)"
    )
    return not waiting and reached > clock
