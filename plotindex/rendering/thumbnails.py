"""Thumbnails, and the estimated cost of SVGs: made once for each version of a plot, then cached."""

import os
import threading
import time
from collections import OrderedDict
from concurrent.futures import Future
from typing import NamedTuple

from plotindex.config import Settings
from plotindex.rendering.cache import FileCache, cache_key
from plotindex.rendering.protocol import MAX_SVG_BYTES, SVG_JOB, Outcome, is_webp
from plotindex.rendering.renderer_client import RendererClient
from plotindex.system import FairSlots, call_after_fork
from plotindex.tree import OpenPlot, plot_from_stat

FAILURE_SECONDS = 86_400.0
"""How long a failure is cached: the machine may have been too slow, or Pillow too old."""
MAX_REMEMBERED = 4096
"""Outcomes without a thumbnail that are cached in memory."""
WIDTHS = ("160", "320", "640", "1280")
WIDTH_ERROR = f"A thumbnail's width is {', '.join(WIDTHS[:-1])} or {WIDTHS[-1]}"
MEGABYTE = 1 << 20


class RenderResult(NamedTuple):
    """The outcome of a job, and the WebP if one was rendered."""

    outcome: Outcome
    content: bytes = b""
    is_final: bool = True
    """Whether it is valid for this version of the plot at any time."""


UNAVAILABLE = RenderResult(Outcome.BUSY, is_final=False)


class Thumbnails:
    """The thumbnails of one root. Opens nothing before the first request. Thread-safe."""

    def __init__(self, settings: Settings, max_waiting: int) -> None:
        """At most `max_waiting` callers wait for the renderer, shared between sessions; others get BUSY at once."""
        self._cache = FileCache(
            settings.thumbnails_folder, settings.thumbnails_mb * MEGABYTE, settings.make_state_folder
        )
        self._max_waiting = max_waiting
        self._remembered: OrderedDict[str, tuple[Outcome, float]] = OrderedDict()
        self.renderer = RendererClient()
        self._reset()
        call_after_fork(self._reset)

    def cached(self, opened: OpenPlot, job: str) -> RenderResult | None:
        """The cached result for this version; opens at most one file."""
        plot = opened.plot
        if job == SVG_JOB and plot.size > MAX_SVG_BYTES:
            return RenderResult(Outcome.EXPENSIVE)
        return self._read_cached(cache_key(plot, job))

    def render(self, opened: OpenPlot, job: str) -> RenderResult:
        """The result for this version; concurrent calls for one key share a job. BUSY if too many callers wait."""
        slots, session = self._slots, opened.plot.session
        if not slots.take(session):
            return UNAVAILABLE
        try:
            key = cache_key(opened.plot, job)
            with self._lock:
                running = self._running.get(key)
                own = self._running.setdefault(key, Future())
            if running is not None:
                return running.result()
            try:
                # Another caller may have completed this job since `cached`.
                result = self._read_cached(key) or self._render(opened, job, key)
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

    def _render(self, opened: OpenPlot, job: str, key: str) -> RenderResult:
        plot, fd = opened
        is_settled = plot.is_settled(time.time_ns())
        outcome, content = self.renderer.run(job, fd)
        if plot_from_stat(plot.session, plot.project, plot.filename, os.fstat(fd)) != plot or outcome is Outcome.BUSY:
            return UNAVAILABLE
        if job == SVG_JOB and outcome is not Outcome.CHEAP:
            outcome = Outcome.EXPENSIVE
        if not is_settled:
            # The file may change without a change of its version: do not cache.
            return RenderResult(outcome, content, is_final=False)
        self._cache.put(key, content or outcome.encode())
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


def _is_valid(outcome: Outcome, age: float) -> bool:
    return outcome is not Outcome.FAILED or age < FAILURE_SECONDS
