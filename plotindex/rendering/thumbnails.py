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
from plotindex.rendering.protocol import MOST_SVG_BYTES, SVG, Word, is_webp
from plotindex.system import call_in_forks
from plotindex.tree import OpenPlot, plot_of

FAILED_SECONDS = 86_400.0
"""How long it is remembered that no thumbnail can be made: the machine may have been too slow, or Pillow too old."""
MOST_REMEMBERED = 4096
"""Words that are remembered without a look at the disk."""
WIDTHS = ("160", "320", "640", "1280")
WRONG_WIDTH = f"A thumbnail's width is {', '.join(WIDTHS[:-1])} or {WIDTHS[-1]}"
MEGABYTE = 1 << 20


class Made(NamedTuple):
    """What became of a thumbnail or a verdict."""

    word: Word
    content: bytes = b""
    is_lasting: bool = True
    """Whether the same would be said of this version at any other time."""


NOT_NOW = Made(Word.BUSY, is_lasting=False)


class Thumbnails:
    """The thumbnails of one root. Opens nothing before the first is asked for. Safe to share between threads."""

    def __init__(self, settings: Settings, waiters: int) -> None:
        """So many callers may wait for drawings at once; the others do without."""
        self._kept = FileCache(
            settings.thumbnails_folder, settings.thumbnails_mb * MEGABYTE, settings.make_state_folder
        )
        self._waiters = waiters
        self._remembered: OrderedDict[str, tuple[Word, float]] = OrderedDict()
        self.drawer = RendererClient()
        self._begin()
        call_in_forks(self._begin)

    def kept(self, opened: OpenPlot, job: str) -> Made | None:
        """What was made before of this version: at the price of opening a file."""
        plot = opened.plot
        if job == SVG and plot.size > MOST_SVG_BYTES:
            return Made(Word.SLOW)
        return self._find(name_of(plot, job))

    def make(self, opened: OpenPlot, job: str) -> Made:
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
                made = self._find(name) or self._make(opened, job, name)
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

    def _make(self, opened: OpenPlot, job: str, name: str) -> Made:
        plot, fd = opened
        settled = plot.is_settled(time.time_ns())
        word, content = self.drawer.do(job, fd)
        if plot_of(plot.session, plot.project, plot.filename, os.fstat(fd)) != plot or word is Word.BUSY:
            return NOT_NOW
        if job == SVG and word is not Word.QUICK:
            word = Word.SLOW
        if not settled:
            # It may change and show the same version: nobody believes this later.
            return Made(word, content, is_lasting=False)
        self._kept.keep(name, content or word.encode())
        if not content:
            self._remember(name, word, time.time())
        return Made(word, content)

    def _find(self, name: str) -> Made | None:
        word, since = self._remembered.get(name, (None, 0.0))
        if word is not None and _is_good(word, time.time() - since):
            return Made(word)
        found = self._kept.find(name)
        if found is None:
            return None
        if is_webp(found.content):
            return Made(Word.DRAWN, found.content)
        word = next((word for word in Word if word.encode() == found.content), None)
        if word is None or not _is_good(word, found.age):
            return None
        self._remember(name, word, time.time() - found.age)
        return Made(word)

    def _remember(self, name: str, word: Word, since: float) -> None:
        with self._lock:
            self._remembered[name] = word, since
            if len(self._remembered) > MOST_REMEMBERED:
                self._remembered.popitem(last=False)

    def _begin(self) -> None:
        """Also in a forked child: whoever waits or draws is in its parent."""
        self._lock = threading.Lock()
        self._slots = threading.Semaphore(self._waiters)
        self._drawing: dict[str, Future[Made]] = {}


def _is_good(word: Word, age: float) -> bool:
    return word is not Word.FAILED or age < FAILED_SECONDS
