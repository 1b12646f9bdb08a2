"""The process that inspects plots: started by the indexer, at low priority, for as long as that runs.

A process of its own, so that reading files and waiting for the renderer delay no row. Its settings are its environment.
"""

import logging
import mmap
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from plotindex.config import Settings
from plotindex.errors import LockTimeoutError, PlotIndexError
from plotindex.history.kept_content import KeptContent
from plotindex.history.store import HistoryStore
from plotindex.index import make_tree, start_background
from plotindex.inspection.inspector import Inspector, Step
from plotindex.inspection.report import Reporter
from plotindex.inspection.turn import inspection_turn
from plotindex.rendering.renderer_client import RendererClient
from plotindex.storage import Catalog, open_database
from plotindex.system import NETWORK_FS_TYPES, StopRequest, find_mount

IDLE_SECONDS = 1.0
RETRY_SECONDS = 5.0
UNAVAILABLE_SECONDS = 60.0
STEP_SECONDS = 0.1
"""Time for the plots of one step, but one plot at least; the pause after it is longer by the share."""
LOW_PRIORITY = 15
"""Lower than that of the process that keeps the history, which loses what it does not read in time (nice(2))."""

log = logging.getLogger("plotindex.inspection.process")


class InspectionLoop:
    """Inspects within a share of one core until it is told to stop; logs and records each problem once."""

    def __init__(self, settings: Settings, stop: StopRequest, is_busy: Callable[[], bool]) -> None:
        """`is_busy`: rows wait to be written, which comes first."""
        self._settings = settings
        self._stop = stop
        self._is_busy = is_busy
        self._database = open_database(settings.catalog_location)
        self._renderer = RendererClient()
        catalog, tree = Catalog(self._database), make_tree(settings)
        self._history = HistoryStore.from_settings(settings)
        kept = KeptContent(self._history)
        self._inspector = Inspector(catalog, tree, self._renderer, kept, has_backlog=not _is_on_network(settings))
        self._reporter = Reporter(catalog)
        self._problem = ""

    def run(self) -> None:
        while not self._stop.is_set():
            try:
                pause = IDLE_SECONDS if self._is_busy() else self._step()
            except LockTimeoutError:
                # A command inspects all plots.
                pause = IDLE_SECONDS
            except (PlotIndexError, OSError) as error:
                self._report(str(error))
                # Often it is the catalogue itself that cannot be used.
                with suppress(PlotIndexError, OSError):
                    self._reporter.count(Step(0, is_more=False, problem=str(error)))
                pause = RETRY_SECONDS
            self._stop.wait(pause)
        self._renderer.close()
        self._database.close()
        if self._history is not None:
            self._history.database.close()

    def _step(self) -> float:
        """Inspect some plots; return how long to pause."""
        self._database.check_replaced()
        with inspection_turn(self._settings, 0.0):
            started = time.monotonic()
            step = self._inspector.step(STEP_SECONDS, lambda: self._stop.is_set() or self._is_busy())
            used = time.monotonic() - started
        self._report(step.problem)
        self._reporter.count(step)
        if step.problem:
            return UNAVAILABLE_SECONDS
        return used * (100 / self._settings.inspect_share - 1) if step.is_more else IDLE_SECONDS

    def _report(self, problem: str) -> None:
        if problem == self._problem:
            return
        self._problem = problem
        if problem:
            log.error("Inspection: %s", problem)
        else:
            log.info("Plots are inspected again.")


def _is_on_network(settings: Settings) -> bool:
    """Whether the plots lie on a network file system, of which all files are read only on request."""
    mount = find_mount(settings.root)
    return mount is not None and mount.fs_type in NETWORK_FS_TYPES


def main() -> NoReturn:
    """Inspect the plots of the root in the environment."""
    os.nice(LOW_PRIORITY)
    settings, stop = start_background()
    memory = mmap.mmap(sys.stdin.fileno(), mmap.PAGESIZE, prot=mmap.PROT_READ)
    InspectionLoop(settings, stop, lambda: bool(memory[0])).run()
    # The indexer waits for this: all is closed, and the end of the interpreter would take longer.
    os._exit(0)


if __name__ == "__main__":
    main()
