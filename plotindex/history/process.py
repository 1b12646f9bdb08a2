"""The process that keeps the history: started by the indexer, at low priority, for as long as that runs.

A process of its own, so that reading, hashing and waiting for the disk delay no row. Its settings are its environment.
"""

import logging
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from plotindex.config import Settings
from plotindex.errors import CatalogError, PlotIndexError, UnsafePathError
from plotindex.history.keeper import Keeper, Limits
from plotindex.history.store import HistoryStore
from plotindex.index import make_tree, start_background
from plotindex.storage import Catalog, open_database
from plotindex.system import StopRequest, file_signature, format_size

POLL_SECONDS = 0.5
IDLE_SECONDS = 30.0
"""Between two steps while nobody writes the catalogue."""
RETRY_SECONDS = 5.0
LOW_PRIORITY = 10
"""As of the renderer (nice(2))."""

log = logging.getLogger("plotindex.history.process")


class KeeperLoop:
    """Keeps versions until it is told to stop; logs and records each problem once, and tries again."""

    def __init__(self, settings: Settings, stop: StopRequest) -> None:
        store = HistoryStore.from_settings(settings)
        assert store is not None
        self._settings = settings
        self._stop = stop
        self._store = store
        self._database = open_database(settings.catalog_location)
        self._keeper = Keeper(store, Catalog(self._database), make_tree(settings), Limits.from_settings(settings))
        self._problem = ""
        self._is_prepared = False
        self._stamps: list[tuple[int, ...]] | None = None
        """The files of the catalogue before the last step."""
        self._stepped_at = 0.0

    def run(self) -> None:
        while not self._stop.is_set():
            try:
                is_more = self._is_due() and self._step()
            except (PlotIndexError, OSError) as error:
                self._stamps = None
                # What was removed is created again, or named.
                self._is_prepared = self._is_prepared and self._store.is_whole()
                self._report(str(error) if isinstance(error, PlotIndexError) else _describe(error))
                self._stop.wait(RETRY_SECONDS)
            else:
                if not is_more:
                    self._stop.wait(POLL_SECONDS)
        self._store.database.close()
        self._database.close()

    def _is_due(self) -> bool:
        """Whether there may be anything to do. Costs two calls: reading two databases twice a second would not."""
        files = _read_stamps(self._database.file)
        is_quiet = files is not None and files == self._stamps and not self._keeper.is_waiting
        if is_quiet and time.monotonic() - self._stepped_at < IDLE_SECONDS:
            return False
        self._stamps, self._stepped_at = files, time.monotonic()
        return True

    def _step(self) -> bool:
        if not self._is_prepared:
            self._prepare()
        self._database.check_replaced()
        is_more = self._keeper.step()
        if self._problem:
            self._problem = ""
            self._keeper.report("")
            log.info("The history is kept again.")
        return is_more

    def _prepare(self) -> None:
        self._keeper.prepare()
        self._is_prepared = True
        # Only now: what is overwritten before that is lost.
        os.nice(max(0, LOW_PRIORITY - os.nice(0)))
        with self._store.reading() as reader:
            state = reader.state()
        if state:
            # That of a process before this one.
            self._problem = state.problem
        if state and not state.kept:
            log.info(
                "Overwritten and deleted plots are kept from now on, up to %s (history_mb; 0 turns it off): see "
                "docs/history.md.",
                format_size(self._settings.history_mb << 20),
            )

    def _report(self, problem: str) -> None:
        if problem == self._problem:
            return
        self._problem = problem
        log.error("History: %s", problem)
        with suppress(CatalogError, OSError):
            self._keeper.report(problem)


def _read_stamps(database: Path | None) -> list[tuple[int, ...]] | None:
    """What each commit changes; None for a database on a server."""
    return None if database is None else [file_signature(f"{database}{suffix}") for suffix in ("", "-wal")]


def _describe(error: OSError) -> str:
    if isinstance(error, UnsafePathError):
        return str(error)
    return f"The history cannot be written ({error.strerror}): make room on its disk, or lower history_mb."


def main() -> NoReturn:
    """Keep the history of the root in the environment."""
    KeeperLoop(*start_background()).run()
    # The indexer waits for this: all is closed, and the end of the interpreter would take longer.
    os._exit(0)


if __name__ == "__main__":
    main()
