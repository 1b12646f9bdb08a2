"""Thumbnails, and what is known of how hard SVGs are to draw: each made once for each version of a plot, then kept."""

import os
import threading
import time
from collections import OrderedDict
from concurrent.futures import Future
from typing import NamedTuple

from plotindex.config import Settings
from plotindex.rendering.cache import FileCache, name_of
from plotindex.rendering.client import RendererClient
from plotindex.rendering.protocol import MAX_SVG_BYTES, SVG_JOB, Outcome, is_webp
from plotindex.system import call_after_fork
from plotindex.tree import OpenPlot, plot_from_stat

FAILED_SECONDS = 86_400.0
"""How long it is remembered that no thumbnail can be made: the machine may have been too slow, or Pillow too old."""
MOST_REMEMBERED = 4096
"""Words that are remembered without a look at the disk."""
WIDTHS = ("160", "320", "640", "1280")
WIDTH_ERROR = f"A thumbnail's width is {', '.join(WIDTHS[:-1])} or {WIDTHS[-1]}"
MEGABYTE = 1 << 20


class RenderResult(NamedTuple):
    """What became of a thumbnail or a verdict."""

    outcome: Outcome
    content: bytes = b""
    is_final: bool = True
    """Whether the same would be said of this version at any other time."""


NOT_NOW = RenderResult(Outcome.BUSY, is_final=False)


class Thumbnails:
    """The thumbnails of one root. Opens nothing before the first is asked for. Safe to share between threads."""

    def __init__(self, settings: Settings, waiters: int) -> None:
        """So many callers may wait for drawings at once; the others do without."""
        self._cache = FileCache(
            settings.thumbnails_folder, settings.thumbnails_mb * MEGABYTE, settings.make_state_folder
        )
        self._waiters = waiters
        self._remembered: OrderedDict[str, tuple[Outcome, float]] = OrderedDict()
        self.renderer = RendererClient()
        self._begin()
        call_after_fork(self._begin)

    def cached(self, opened: OpenPlot, job: str) -> RenderResult | None:
        """What was made before of this version: at the price of opening a file."""
        plot = opened.plot
        if job == SVG_JOB and plot.size > MAX_SVG_BYTES:
            return RenderResult(Outcome.EXPENSIVE)
        return self._find(name_of(plot, job))

    def render(self, opened: OpenPlot, job: str) -> RenderResult:
        """What is made of this version now; BUSY when it would take longer than this caller may wait."""
        slots = self._slots
        if not slots.acquire(blocking=False):
            return NOT_NOW
        try:
            name = name_of(opened.plot, job)
            with self._lock:
                others = self._drawing.get(name)
                own = self._drawing.setdefault(name, Future())
            if others is not None:
                return others.result()
            try:
                # Who was first may have ended in between.
                made = self._find(name) or self._render(opened, job, name)
                own.set_result(made)
            except BaseException as error:
                own.set_exception(error)
                raise
            finally:
                with self._lock:
                    del self._drawing[name]
            return made
        finally:
            slots.release()

    def _render(self, opened: OpenPlot, job: str, name: str) -> RenderResult:
        plot, fd = opened
        settled = plot.is_settled(time.time_ns())
        outcome, content = self.renderer.run(job, fd)
        if plot_from_stat(plot.session, plot.project, plot.filename, os.fstat(fd)) != plot or outcome is Outcome.BUSY:
            return NOT_NOW
        if job == SVG_JOB and outcome is not Outcome.CHEAP:
            outcome = Outcome.EXPENSIVE
        if not settled:
            # It may change and show the same version: nobody believes this later.
            return RenderResult(outcome, content, is_final=False)
        self._cache.put(name, content or outcome.encode())
        if not content:
            self._remember(name, outcome, time.time())
        return RenderResult(outcome, content)

    def _find(self, name: str) -> RenderResult | None:
        outcome, since = self._remembered.get(name, (None, 0.0))
        if outcome is not None and _is_good(outcome, time.time() - since):
            return RenderResult(outcome)
        found = self._cache.get(name)
        if found is None:
            return None
        if is_webp(found.content):
            return RenderResult(Outcome.RENDERED, found.content)
        outcome = next((outcome for outcome in Outcome if outcome.encode() == found.content), None)
        if outcome is None or not _is_good(outcome, found.age):
            return None
        self._remember(name, outcome, time.time() - found.age)
        return RenderResult(outcome)

    def _remember(self, name: str, outcome: Outcome, since: float) -> None:
        with self._lock:
            self._remembered[name] = outcome, since
            if len(self._remembered) > MOST_REMEMBERED:
                self._remembered.popitem(last=False)

    def _begin(self) -> None:
        """Also in a forked child: whoever waits or draws is in its parent."""
        self._lock = threading.Lock()
        self._slots = threading.Semaphore(self._waiters)
        self._drawing: dict[str, Future[RenderResult]] = {}


def _is_good(outcome: Outcome, age: float) -> bool:
    return outcome is not Outcome.FAILED or age < FAILED_SECONDS
