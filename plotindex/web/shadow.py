"""How a careful team moves over: the old function answers, plotindex looks too, and each difference is logged."""

import functools
import logging
import os
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from flask import Response, current_app, request
from werkzeug.exceptions import HTTPException

from plotindex.errors import PlotIndexError
from plotindex.index import Lookup
from plotindex.system import printable
from plotindex.tree import MEDIA_TYPES, OpenPlot

MOST_BYTES = 64 * 2**20
"""Of what is larger the content is not compared."""
FOUND = (200, 206, 304)
NOT_COMPARED = (401, 403)
"""The old function's own refusals."""

log = logging.getLogger(__name__)


class Told(NamedTuple):
    """What the old function answered."""

    status: int
    media_type: str | None
    content: bytes | None
    """None when it is not compared."""


def shadow_view(old_view: Callable[..., Any], lookup: Callable[[], Lookup]) -> Callable[..., Any]:
    """A view that answers as `old_view` does, and logs in what plotindex differs."""

    @functools.wraps(old_view)
    def view(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as the old one
        try:
            response = current_app.make_response(current_app.ensure_sync(old_view)(*args, **kwargs))
        except HTTPException as error:
            _compare(lookup, Told(error.code or 500, None, None))
            raise
        _compare(lookup, _told(response))
        return response

    return view


def _told(response: Response) -> Told:
    size = response.content_length
    is_comparable = response.status_code == 200 and request.method == "GET" and size is not None and size <= MOST_BYTES
    if not is_comparable:
        return Told(response.status_code, response.mimetype, None)
    response.direct_passthrough = False
    return Told(response.status_code, response.mimetype, response.get_data())


def _compare(lookup: Callable[[], Lookup], told: Told) -> None:
    if told.status in NOT_COMPARED:
        return
    arguments = request.view_args or {}
    session, filename = str(arguments.get("session_id")), str(arguments.get("filename"))
    try:
        differences = list(_differences(lookup(), session, filename, told))
    except (PlotIndexError, OSError) as error:
        # The old function has answered: that it cannot be compared is news for the log alone.
        differences = [f"plotindex cannot say now: {error}"]
    for difference in differences:
        log.warning("Shadow: %s: %s", printable(f"{session}/{filename}"), difference)


def _differences(lookup: Lookup, session: str, filename: str, told: Told) -> Iterator[str]:
    opened = lookup.open(session, filename, request.args.get("project")).opened
    if opened is None:
        if told.status in FOUND:
            yield f"the old function answers {told.status}, plotindex has no such plot (see `plotindex doctor`)"
        return
    try:
        if told.status not in FOUND:
            yield f"the old function answers {told.status}, plotindex has it in {printable(opened.plot.project)}"
            return
        suffix = filename[filename.rindex(".") :].lower()
        if told.status != 304 and told.media_type != MEDIA_TYPES[suffix]:
            yield f"the old function calls it {told.media_type}, plotindex {MEDIA_TYPES[suffix]}"
        if told.content is not None and told.content != _read(opened):
            yield f"the old function serves other content than the newest, in {printable(opened.plot.project)}"
    finally:
        os.close(opened.fd)


def _read(opened: OpenPlot) -> bytes:
    with open(opened.fd, "rb", closefd=False) as file:
        return file.read(MOST_BYTES + 1)
