"""Shadow mode for a migration: serve the old view's response and log each difference from plotindex."""

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

MAX_COMPARED_BYTES = 64 * 2**20
"""The content of larger responses is not compared."""
FOUND_STATUSES = (200, 206, 304)
SKIPPED_STATUSES = (401, 403)
"""Not compared: the old view has denied access."""

log = logging.getLogger(__name__)


class OldResponse(NamedTuple):
    """The response of the old view."""

    status: int
    media_type: str | None
    content: bytes | None
    """None if not compared."""


def shadow_view(old_view: Callable[..., Any], lookup: Callable[[], Lookup]) -> Callable[..., Any]:
    """A view that returns the response of `old_view` and logs each difference from plotindex."""

    @functools.wraps(old_view)
    def view(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as `old_view`
        try:
            response = current_app.make_response(current_app.ensure_sync(old_view)(*args, **kwargs))
        except HTTPException as error:
            _compare(lookup, OldResponse(error.code or 500, None, None))
            raise
        _compare(lookup, _read_response(response))
        return response

    return view


def _read_response(response: Response) -> OldResponse:
    size = response.content_length
    is_comparable = (
        response.status_code == 200 and request.method == "GET" and size is not None and size <= MAX_COMPARED_BYTES
    )
    if not is_comparable:
        return OldResponse(response.status_code, response.mimetype, None)
    response.direct_passthrough = False
    return OldResponse(response.status_code, response.mimetype, response.get_data())


def _compare(lookup: Callable[[], Lookup], old: OldResponse) -> None:
    if old.status in SKIPPED_STATUSES:
        return
    arguments = request.view_args or {}
    session, filename = str(arguments.get("session_id")), str(arguments.get("filename"))
    try:
        differences = list(_differences(lookup(), session, filename, old))
    except (PlotIndexError, OSError) as error:
        # The old response is served anyway.
        differences = [f"cannot compare: {error}"]
    for difference in differences:
        log.warning("Shadow: %s: %s", printable(f"{session}/{filename}"), difference)


def _differences(lookup: Lookup, session: str, filename: str, old: OldResponse) -> Iterator[str]:
    opened = lookup.open(session, filename, request.args.get("project")).opened
    if opened is None:
        if old.status in FOUND_STATUSES:
            yield f"the old view returns {old.status}, plotindex does not find the plot (see `plotindex doctor`)"
        return
    try:
        if old.status not in FOUND_STATUSES:
            yield f"the old view returns {old.status}, plotindex finds the plot in {printable(opened.plot.project)}"
            return
        suffix = filename[filename.rindex(".") :].lower()
        if old.status != 304 and old.media_type != MEDIA_TYPES[suffix]:
            yield f"the old view returns type {old.media_type}, plotindex {MEDIA_TYPES[suffix]}"
        if old.content is not None and old.content != _read(opened):
            yield f"the old view returns other content than the current copy in {printable(opened.plot.project)}"
    finally:
        os.close(opened.fd)


def _read(opened: OpenPlot) -> bytes:
    with open(opened.fd, "rb", closefd=False) as file:
        return file.read(MAX_COMPARED_BYTES + 1)
