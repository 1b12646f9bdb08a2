"""Find where a picture is from: by its bytes, then by how it looks."""

import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from itertools import chain, islice

from plotindex.errors import PlotIndexError
from plotindex.history.access import History
from plotindex.history.contents import HistoryError, digest_of
from plotindex.rendering.facts import BLANK
from plotindex.rendering.protocol import Outcome
from plotindex.rendering.renderer_client import RendererClient
from plotindex.storage import AlikePlot, Catalog, find_alike
from plotindex.tree import Plot, PlotKey, SessionFilter

MAX_BYTES = 20 << 20
MAX_MATCHES = 20


class NotAPictureError(PlotIndexError):
    """The file cannot be read as a picture."""


class RendererBusyError(PlotIndexError):
    """The renderer cannot look at the picture now."""


def find_sources(
    catalog: Catalog, history: History, renderer: RendererClient, fd: int, allows: SessionFilter
) -> list[AlikePlot]:
    """The plots that an open picture may be from, as far as the caller may see them, the likeliest first.

    An earlier version is found by its bytes alone.

    Raises:
        NotAPictureError: it cannot be read, and no plot has its bytes.
        RendererBusyError: try again later.
        CatalogError: the catalogue cannot be read.
        OSError: the file cannot be read.
    """
    digest, found = digest_of(fd, os.fstat(fd).st_size), renderer.inspect(fd, "")
    if isinstance(found, Outcome):
        raise RendererBusyError("The renderer is busy; try again.")
    # All blank pictures look alike.
    picture_hash = b"" if BLANK in found.flags else found.picture_hash
    present = find_alike(catalog.database, digest, picture_hash, allows, MAX_MATCHES)
    same = [match for match in present if match.is_same]
    kept = _kept(catalog, history, digest, allows, {match.plot for match in same})
    matches = list(islice(chain(same, kept, present[len(same) :]), MAX_MATCHES))
    if not matches and not found.format:
        raise NotAPictureError("This is not a picture, or it is damaged.")
    return matches


def _kept(
    catalog: Catalog, history: History, digest: str, allows: SessionFilter, known: Collection[Plot]
) -> Iterator[AlikePlot]:
    """The kept versions with these bytes, without those that are known."""
    # Without a history the present versions are found all the same.
    with suppress(HistoryError):
        for plot in history.with_digest(digest, allows):
            if plot not in known:
                is_current = catalog.copy(PlotKey(plot.session, plot.filename), plot.project) == plot
                yield AlikePlot(plot, is_same=True, distance=0, is_current=is_current)
