"""Examine one version of a plot: its digest, and its facts by the renderer."""

import os
import time
from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from plotindex.history.contents import digest_of
from plotindex.rendering.facts import UNKNOWN
from plotindex.rendering.protocol import Outcome
from plotindex.rendering.renderer_client import RendererClient
from plotindex.storage import StoredFacts
from plotindex.tree import SETTLE_NS, OpenPlot, Plot, PlotKey, Tree, plot_from_stat

MAX_BYTES = 1 << 30
"""A larger plot is not read, whatever its file claims: it would delay all others."""

FindFacts = Callable[[str, str], StoredFacts | None]
"""The facts of other bytes with this digest and this suffix."""


class Later(Enum):
    """Why a plot is to be inspected later."""

    YOUNG = "young"
    """It may still change without another version."""
    CHANGED = "changed"
    """It is gone, or another version than in the catalogue."""
    UNREADABLE = "unreadable"
    BUSY = "busy"
    """The renderer could not look at it."""


class Examined(NamedTuple):
    """What became of a version that was to be inspected."""

    plot: Plot
    result: StoredFacts | Later


def examine(tree: Tree, renderer: RendererClient, plot: Plot, find_facts: FindFacts) -> Examined:
    """Read a plot, if the version of its row is still there and has stood for long enough."""
    if 0 <= time.time_ns() - plot.ctime_ns < SETTLE_NS:
        return Examined(plot, Later.YOUNG)
    try:
        opened = tree.open(PlotKey(plot.session, plot.filename), plot.project)
    except OSError:
        return Examined(plot, Later.UNREADABLE)
    if opened is None:
        return Examined(plot, Later.CHANGED)
    try:
        if opened.plot != plot:
            return Examined(plot, Later.CHANGED)
        result = _read_facts(renderer, opened, find_facts)
        after = plot_from_stat(plot.session, plot.project, plot.filename, os.fstat(opened.fd))
    except OSError:
        return Examined(plot, Later.UNREADABLE)
    finally:
        os.close(opened.fd)
    return Examined(plot, result if after == plot else Later.CHANGED)


def _read_facts(renderer: RendererClient, opened: OpenPlot, find_facts: FindFacts) -> StoredFacts | Later:
    """The facts of an open plot. Raises OSError."""
    plot, fd = opened
    if plot.size > MAX_BYTES:
        return StoredFacts("", *UNKNOWN)
    digest = digest_of(fd)
    known = find_facts(digest, plot.suffix)
    if known is not None:
        return known
    found = renderer.inspect(fd, plot.suffix)
    return Later.BUSY if isinstance(found, Outcome) else StoredFacts(digest, *found)
