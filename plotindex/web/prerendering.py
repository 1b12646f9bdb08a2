"""Draw the pictures of cards before anybody asks for them: of what was drawn lately, while no request is open."""

import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress

from plotindex.config import Settings
from plotindex.errors import PlotIndexError
from plotindex.index import REQUEST_DATABASE_SECONDS, make_tree
from plotindex.rendering.thumbnails import Thumbnails
from plotindex.storage import Catalog, open_database
from plotindex.system import open_private
from plotindex.tree import Plot, PlotKey

WIDTH = "320"
RECENT_SECONDS = 3600
"""A plot with an earlier mtime is drawn when it is asked for."""
MAX_SESSIONS, MAX_PLOTS = 20, 100
"""Sessions, and plots of each, that are drawn at the start: the newest. Later ones follow the commits."""
MAX_PENDING = 1000
"""Plots that wait; a flood drops the oldest."""
POLL_SECONDS = 1.0
PAUSE = 1.0
"""Pause after each picture, as a multiple of the time that it took: half a core at most."""
LOCK = "prerender.lock"
"""File whose lock the one process holds that draws ahead."""

log = logging.getLogger(__name__)


class Prerenderer:
    """A thread of a server process, with a renderer of its own, so that no request waits for it."""

    def __init__(self, settings: Settings, is_busy: Callable[[], bool], is_stopping: Callable[[], bool]) -> None:
        """`is_busy`: whether requests are open."""
        self._settings = settings
        self._is_busy = is_busy
        self._is_stopping = is_stopping
        self._tree = make_tree(settings)
        self._catalog = Catalog(open_database(settings.catalog_location, REQUEST_DATABASE_SECONDS))
        self._thumbnails = Thumbnails(settings, max_waiting=1)
        self._clock: int | None = None
        self._pending: dict[str, Plot] = {}
        """Plots that may have no picture yet, by path; those of the latest commits last."""

    def start(self) -> None:
        """Start the thread, unless pictures are not kept."""
        if self._settings.prerender and self._settings.heal and self._settings.thumbnails_mb:
            threading.Thread(target=self._run, name="prerender", daemon=True).start()

    def _run(self) -> None:
        lock = -1
        while not self._is_stopping():
            time.sleep(POLL_SECONDS)
            # Until the catalogue is there, or if it cannot be read now.
            with suppress(PlotIndexError, OSError):
                lock = lock if lock >= 0 else self._take_lock()
                if lock >= 0:
                    self._look()
                    self._draw()
        self._thumbnails.renderer.close()

    def _take_lock(self) -> int:
        """The descriptor of the lock file; -1 while another process holds the lock."""
        if not self._settings.state_folder.is_dir():
            return -1
        fd = open_private(self._settings.state_folder / LOCK)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return -1
        return fd

    def _look(self) -> None:
        """Note what was drawn lately."""
        catalog = self._catalog
        if self._clock is None:
            self._clock = catalog.header().clock
            sessions = [row.session for row in catalog.latest_sessions(0, MAX_SESSIONS)]
            plots = [plot for session in sessions for plot in catalog.latest_plots(session, MAX_PLOTS)]
        else:
            self._clock, plots = catalog.changed_plots(self._clock, MAX_PENDING)
        oldest_ns = time.time_ns() - RECENT_SECONDS * 10**9
        self._pending |= {plot.path: plot for plot in reversed(plots) if plot.mtime_ns > oldest_ns}
        for path in list(self._pending)[:-MAX_PENDING]:
            del self._pending[path]

    def _draw(self) -> None:
        """Draw what is missing, the latest first, while no request is open."""
        for path, plot in reversed(list(self._pending.items())):
            if self._is_busy() or self._is_stopping():
                return
            # A plot that may still change is drawn later: its picture would not be kept.
            if plot.is_settled(time.time_ns()):
                del self._pending[path]
                self._draw_plot(plot)
        if not self._pending:
            # Its memory is not needed until the next change.
            self._thumbnails.renderer.close()

    def _draw_plot(self, plot: Plot) -> None:
        opened = self._tree.open(PlotKey(plot.session, plot.filename), plot.project)
        if opened is None:
            return
        with closing(os.fdopen(opened.fd, "rb", 0)):
            if opened.plot == plot and self._thumbnails.cached(opened, WIDTH) is None:
                began = time.monotonic()
                self._thumbnails.render(opened, WIDTH)
                time.sleep(PAUSE * (time.monotonic() - began))
