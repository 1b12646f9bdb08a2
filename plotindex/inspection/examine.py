"""Examine one version of a plot: its digest, and its facts by the renderer.

Where the history has read the same version, its bytes are taken: the plot is read once for both.
"""

import os
import time
from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from plotindex.history.contents import digest_of
from plotindex.history.kept_content import KeptContent, OpenContent
from plotindex.rendering.facts import UNKNOWN
from plotindex.rendering.protocol import Outcome
from plotindex.rendering.renderer_client import RendererClient
from plotindex.storage import StoredFacts
from plotindex.system import closing_fd
from plotindex.tree import SETTLE_NS, Plot, PlotKey, Tree, plot_from_stat

MAX_BYTES = 256 << 20
"""A larger plot is neither inspected nor compared, whatever its file claims: it would delay all others."""
AWAIT_NS = 60 * 10**9
"""For so long after its change, a version that the history is about to read is left to it."""

FindFacts = Callable[[str, Plot], StoredFacts | None]
"""The facts of another copy in the session of this plot, with this digest."""


class Later(Enum):
    """Why a plot is to be inspected later."""

    YOUNG = "young"
    """It may still change without another version."""
    CHANGED = "changed"
    """It is gone, or another version than in the catalogue."""
    AWAITED = "awaited"
    """The history is about to read it."""
    UNREADABLE = "unreadable"
    BUSY = "busy"
    """The renderer could not look at it."""


class Examined(NamedTuple):
    """What became of a version that was to be inspected."""

    plot: Plot
    result: StoredFacts | Later


def examine(tree: Tree, renderer: RendererClient, kept: KeptContent, plot: Plot, find_facts: FindFacts) -> Examined:
    """Read a version of a plot that has stood for long enough: as the history keeps it, or from its file."""
    age = time.time_ns() - plot.ctime_ns
    if 0 <= age < SETTLE_NS:
        return Examined(plot, Later.YOUNG)
    if 0 <= age < AWAIT_NS and kept.is_awaited(plot):
        return Examined(plot, Later.AWAITED)
    if plot.size <= MAX_BYTES and (content := kept.open(plot)) is not None:
        with closing_fd(content.fd):
            result = _examine_content(renderer, content, plot, find_facts)
        if result is not None:
            return Examined(plot, result)
    return Examined(plot, _examine_file(tree, renderer, plot, find_facts))


def _examine_content(
    renderer: RendererClient, content: OpenContent, plot: Plot, find_facts: FindFacts
) -> StoredFacts | Later | None:
    """The facts of the kept bytes of a plot; None if these are damaged."""
    known = find_facts(content.digest, plot)
    if known is not None:
        return known
    try:
        if digest_of(content.fd, plot.size) != content.digest:
            return None
        return _ask_renderer(renderer, content.fd, content.digest, plot)
    except OSError:
        return None
    finally:
        # As the history does: what is kept is hardly ever read again.
        os.posix_fadvise(content.fd, 0, 0, os.POSIX_FADV_DONTNEED)


def _examine_file(tree: Tree, renderer: RendererClient, plot: Plot, find_facts: FindFacts) -> StoredFacts | Later:
    """The facts of a plot, if the version of its row is still there."""
    try:
        opened = tree.open(PlotKey(plot.session, plot.filename), plot.project)
        if opened is None:
            return Later.CHANGED
        with closing_fd(opened.fd):
            if opened.plot != plot:
                return Later.CHANGED
            result = _read_facts(renderer, opened.fd, plot, find_facts)
            after = plot_from_stat(plot.session, plot.project, plot.filename, os.fstat(opened.fd))
    except OSError:
        return Later.UNREADABLE
    return result if after == plot else Later.CHANGED


def _read_facts(renderer: RendererClient, fd: int, plot: Plot, find_facts: FindFacts) -> StoredFacts | Later:
    """The facts of an open plot. Raises OSError."""
    if plot.size > MAX_BYTES:
        return StoredFacts("", *UNKNOWN)
    digest = digest_of(fd, plot.size)
    known = find_facts(digest, plot)
    return known if known is not None else _ask_renderer(renderer, fd, digest, plot)


def _ask_renderer(renderer: RendererClient, fd: int, digest: str, plot: Plot) -> StoredFacts | Later:
    found = renderer.inspect(fd, plot.suffix)
    return Later.BUSY if isinstance(found, Outcome) else StoredFacts(digest, *found)
