"""Pictures of plots: made once for each version of a plot and each width, then cached."""

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from typing import NamedTuple

from plotindex.config import Settings
from plotindex.rendering.cache import FileCache, cache_key
from plotindex.rendering.protocol import REASONS, Outcome, is_webp, job_of
from plotindex.rendering.renderer_client import RendererClient
from plotindex.system import FairSlots, call_after_fork
from plotindex.tree import OpenPlot, plot_from_stat

FAILURE_SECONDS = 86_400.0
"""How long a failure is cached: the machine may have been too slow, or a library too old."""
MAX_REMEMBERED = 4096
"""Outcomes without a picture that are cached in memory."""
WIDTHS = ("160", "320", "640", "1280", "2560")
PICTURE_ONLY = frozenset({".svg", ".pdf", ".tif", ".tiff"})
"""Suffixes of plots that cannot stand in for their picture: too costly to draw, or not displayed in pages."""
WIDTH_ERROR = f"A picture's width is {', '.join(WIDTHS[:-1])} or {WIDTHS[-1]}"
MEGABYTE = 1 << 20
IsKept = Callable[[], bool]
"""Whether a version is kept still."""


class RenderResult(NamedTuple):
    """The outcome of a job, and the WebP if one was rendered."""

    outcome: Outcome
    content: bytes = b""
    is_final: bool = True
    """Whether it is valid for this version of the plot at any time."""


UNAVAILABLE = RenderResult(Outcome.BUSY, is_final=False)


class Thumbnails:
    """The pictures of one root. Opens nothing before the first request. Thread-safe."""

    def __init__(self, settings: Settings, max_waiting: int) -> None:
        """At most `max_waiting` callers wait for the renderer, shared between sessions; others get BUSY at once."""
        self._cache = make_cache(settings)
        self._max_waiting = max_waiting
        self._remembered: OrderedDict[str, tuple[Outcome, float]] = OrderedDict()
        self.renderer = RendererClient()
        self._reset()
        call_after_fork(self._reset)

    def cached(self, opened: OpenPlot, width: str) -> RenderResult | None:
        """The cached result for this version; opens at most one file."""
        return self._read_cached(cache_key(opened.plot, width))

    def render(self, opened: OpenPlot, width: str, is_kept: IsKept | None = None) -> RenderResult:
        """The result for this version; concurrent calls for one key share a job. BUSY if too many callers wait.

        With `is_kept` the file is a copy that never changes, and has other times than the plot.
        """
        slots, session = self._slots, opened.plot.session
        if not slots.take(session):
            return UNAVAILABLE
        try:
            key = cache_key(opened.plot, width)
            with self._lock:
                running = self._running.get(key)
                own = self._running.setdefault(key, Future())
            if running is not None:
                return running.result()
            try:
                # Another caller may have completed this job since `cached`.
                result = self._read_cached(key) or self._render(opened, width, key, is_kept)
                own.set_result(result)
            except BaseException as error:
                own.set_exception(error)
                raise
            finally:
                with self._lock:
                    del self._running[key]
            return result
        finally:
            slots.release(session)

    def _render(self, opened: OpenPlot, width: str, key: str, is_kept: IsKept | None) -> RenderResult:
        plot, fd = opened
        is_settled = is_kept is not None or plot.is_settled(time.time_ns())
        outcome, content = self.renderer.run(job_of(plot.suffix, width), fd)
        is_same = is_kept is not None or plot_from_stat(plot.session, plot.project, plot.filename, os.fstat(fd)) == plot
        if not is_same or outcome is Outcome.BUSY:
            return UNAVAILABLE
        if len(content) > plot.size and plot.suffix not in PICTURE_ONLY:
            outcome, content = Outcome.LARGER, b""
        if not is_settled:
            # The file may change without a change of its version: do not cache.
            return RenderResult(outcome, content, is_final=False)
        self._cache.put(key, content or outcome.encode(), is_kept or _always)
        if not content:
            self._remember(key, outcome, time.time())
        return RenderResult(outcome, content)

    def _read_cached(self, key: str) -> RenderResult | None:
        outcome, since = self._remembered.get(key, (None, 0.0))
        if outcome is not None and _is_valid(outcome, time.time() - since):
            return RenderResult(outcome)
        file = self._cache.get(key)
        if file is None:
            return None
        if is_webp(file.content):
            return RenderResult(Outcome.RENDERED, file.content)
        outcome = next((outcome for outcome in Outcome if outcome.encode() == file.content), None)
        if outcome is None or not _is_valid(outcome, file.age):
            return None
        self._remember(key, outcome, time.time() - file.age)
        return RenderResult(outcome)

    def _remember(self, key: str, outcome: Outcome, since: float) -> None:
        with self._lock:
            self._remembered[key] = outcome, since
            if len(self._remembered) > MAX_REMEMBERED:
                self._remembered.popitem(last=False)

    def _reset(self) -> None:
        """Start without running jobs: in a forked child, these run in threads of the parent."""
        self._lock = threading.Lock()
        self._slots = FairSlots(self._max_waiting)
        self._running: dict[str, Future[RenderResult]] = {}


def make_cache(settings: Settings) -> FileCache:
    """The cache of pictures, and of how they differ, for a server."""
    # With heal off this process writes nothing to the state.
    max_bytes = settings.thumbnails_mb * MEGABYTE if settings.heal else 0
    return FileCache(settings.thumbnails_folder, max_bytes, settings.make_state_folder)


def _always() -> bool:
    return True


def _is_valid(outcome: Outcome, age: float) -> bool:
    return outcome not in REASONS or age < FAILURE_SECONDS
