"""Shadow mode for a migration: serve the old view's response and log each difference from plotindex."""

import functools
import logging
import os
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from flask import Flask, Response, current_app, request
from werkzeug.exceptions import HTTPException

from plotindex.errors import PlotIndexError
from plotindex.index import Lookup
from plotindex.system import printable
from plotindex.tree import MEDIA_TYPES, OpenPlot
from plotindex.web.host_app import find_rule

MAX_COMPARED_BYTES = 64 * 2**20
"""The content of larger responses is not compared."""
FOUND_STATUSES = (200, 206, 304)
SKIPPED_STATUSES = (401, 403)
"""Not compared: the old view has denied access."""

View = Callable[..., Any]

log = logging.getLogger(__name__)


class OldResponse(NamedTuple):
    """The response of the old view."""

    status: int
    media_type: str | None
    content: bytes | None
    """None if not compared."""


class ShadowView:
    """A view that returns the response of `old_view` and logs each difference from plotindex."""

    def __init__(self, old_view: View, lookup: Callable[[], Lookup]) -> None:
        functools.update_wrapper(self, old_view)
        self._old_view = old_view
        self._lookup = lookup

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as `old_view`
        try:
            response = current_app.make_response(current_app.ensure_sync(self._old_view)(*args, **kwargs))
        except HTTPException as error:
            _compare(self._lookup, OldResponse(error.code or 500, None, None))
            raise
        _compare(self._lookup, _read_response(response))
        return response

    def mount(self, app: Flask, endpoint: str, path: str) -> None:
        """Compare on each route of the old view, bare or decorated.

        Warn if `path` is answered neither by such a route nor by `endpoint`.
        """
        for name, view in app.view_functions.items():
            if not isinstance(view, ShadowView) and self._old_view in _unwrapped(view):
                app.view_functions[name] = ShadowView(view, self._lookup)
        rule = find_rule(app, path)
        if rule and rule.endpoint != endpoint and not isinstance(app.view_functions[rule.endpoint], ShadowView):
            log.warning(
                "Nothing is compared: %s answers %s, and its view is not the old view. Give its view to shadow(), or "
                "delete that route.",
                rule.endpoint,
                rule.rule,
            )


def _unwrapped(view: View) -> list[View]:
    """A view, and the views that its decorators wrap (functools.wraps)."""
    views = [view]
    while (wrapped := getattr(views[-1], "__wrapped__", None)) is not None and wrapped not in views:
        views.append(wrapped)
    return views


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
