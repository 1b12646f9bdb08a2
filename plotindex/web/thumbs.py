"""`?width=`: a thumbnail of the plot; the plot itself when it is an SVG, or when there is none to be had now."""

import os
import time
from contextlib import ExitStack

from flask import Request, Response

from plotindex.index import Source
from plotindex.rendering.protocol import SVG, Word
from plotindex.rendering.thumbnails import Thumbnails
from plotindex.tree import OpenPlot, plot_of
from plotindex.web.responses import respond_with_plot, respond_with_thumbnail

DRAWING = "Plotindex-Drawing"
"""The header that says how hard an SVG is to draw."""


def respond_with_width(
    thumbnails: Thumbnails, width: str, opened: OpenPlot, source: Source, request: Request, *, accel: str | None
) -> Response:
    """What an open plot is answered with when a thumbnail is asked for; closes it.

    Raises:
        OSError: it cannot be read.
    """
    plot, fd = opened
    job = SVG if plot.suffix == ".svg" else width
    with ExitStack() as stack:
        stack.callback(os.close, fd)
        made = thumbnails.kept(opened, job)
        if made is None and job != SVG:
            # Who has it already needs none to be made.
            has_it = respond_with_thumbnail(plot, width, None, source, request)
            if has_it is not None:
                return has_it
        made = made or thumbnails.make(opened, job)
        answer = respond_with_thumbnail(plot, width, made, source, request) if made.word is Word.DRAWN else None
        if answer is not None:
            return answer
        # It may have been written to while somebody tried.
        now = plot_of(plot.session, plot.project, plot.filename, os.fstat(fd))
        stack.pop_all()
    for_now = not made.is_lasting
    if job != SVG:
        return respond_with_plot(OpenPlot(now, fd), source, request, time.time_ns(), accel, for_now=for_now)
    # Not by nginx, which hands on the headers that it knows.
    response = respond_with_plot(OpenPlot(now, fd), source, request, time.time_ns(), for_now=for_now)
    response.headers[DRAWING] = str(made.word) if made.word is not Word.BUSY and now == plot else "unknown"
    return response
