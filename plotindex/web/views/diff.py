"""The route that tells what changed between two sessions, projects or moments."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from flask import Response, request

from plotindex.comparison.background import BackgroundComparer
from plotindex.comparison.difference import Kind, Pair, PlotDifference, difference_to_json, make_pairs
from plotindex.comparison.listing import BadPositionError, list_pairs
from plotindex.comparison.sides import Side, SidePlot, UnknownSideError, parse_side, read_side, side_names
from plotindex.errors import CatalogError, RootLostError
from plotindex.history.access import History, UnknownMomentError
from plotindex.history.contents import HistoryError
from plotindex.index import Lookup
from plotindex.system import rfc3339
from plotindex.tree import SESSION_PROJECT, Plot, is_name
from plotindex.web.caller_turns import CallerTurns, caller_of
from plotindex.web.entries import PlotUrl, copy_url, version_url
from plotindex.web.errors import (
    respond_catalog_unavailable,
    respond_history_unavailable,
    respond_not_found,
    respond_unavailable,
    respond_with_error,
)
from plotindex.web.views.list_parameters import BadParameterError, page_parameters
from plotindex.web.views.lists import NO_SESSION, Route, Viewer, require_catalog, respond_list

TURN_SECONDS = 2.0
"""How long a request waits for an earlier one of the same caller: each reads both sides whole."""
UNKNOWN: dict[str, Any] = {"kind": None, "score": None, "regions": [], "words": []}
"""The fields of a plot that is not compared yet."""


class DiffViews:
    """The view of one instance. All responses are JSON, including errors."""

    def __init__(
        self,
        lookup: Lookup,
        history: History,
        comparer: BackgroundComparer,
        get_viewer: Callable[[], Viewer | Response],
    ) -> None:
        """`get_viewer` returns the caller of the current request, or an error response."""
        self._lookup = lookup
        self._history = history
        self._comparer = comparer
        self._get_viewer = get_viewer
        self._turns = CallerTurns()

    def routes(self, url_prefix: str) -> list[Route]:
        """The routes to mount."""
        return [Route(f"{url_prefix}/diff", "diff", self.diff)]

    def diff(self, session_id: str = "") -> Response:  # noqa: ARG002 - for the host's decorator
        """One page of what changed, from the worst. What is not known yet is compared in the background."""
        viewer = self._get_viewer()
        if isinstance(viewer, Response):
            return viewer
        caller = caller_of(viewer, request)
        if not self._turns.take(caller, TURN_SECONDS):
            return respond_with_error(503, "One comparison at a time; retry later", Retry_After="1")
        try:
            return self._answer(viewer, caller)
        finally:
            self._turns.release(caller)

    def _answer(self, viewer: Viewer, caller: str) -> Response:
        try:
            return self._diff(viewer, caller)
        except (BadParameterError, BadPositionError) as error:
            return respond_with_error(400, str(error))
        except (RootLostError, OSError) as error:
            return respond_unavailable(error)
        except HistoryError:
            return respond_history_unavailable()
        except CatalogError:
            return respond_catalog_unavailable()

    def _diff(self, viewer: Viewer, caller: str) -> Response:
        limit, after = page_parameters(request)
        kinds, first = _kinds_parameter(), frozenset(request.args.getlist("first"))
        texts = [_side_parameter(name) for name in ("from", "to")]
        # Before anything is looked up.
        if not all(any(map(viewer.allows, side_names(text))) for text in texts):
            return respond_not_found(message=NO_SESSION)
        require_catalog(self._lookup)
        sides = self._parse_sides(viewer, texts)
        if not all(viewer.allows(side.session) for side in sides):
            return respond_not_found(message=NO_SESSION)
        is_limited = not viewer.allows.is_all
        plots: list[dict[str, SidePlot]] = []
        for side in sides:
            try:
                plots.append(read_side(side, self._lookup.catalog, self._history, is_limited=is_limited))
            except (UnknownSideError, UnknownMomentError) as error:
                is_known = self._exists(side.session, None)
                return respond_not_found(message=str(error).rstrip(".") if is_known else NO_SESSION)
        page = list_pairs(make_pairs(*plots), self._comparer.known, kinds, limit, after, first=first)
        self._comparer.queue(caller, tuple(texts), page.pending)
        return respond_list(
            self._lookup.hit_status,
            **dict(zip(("from", "to"), texts, strict=True)),
            counts=page.counts,
            pending=len(page.pending),
            plots=[_plot_to_json(pair, difference, viewer.plot_url) for pair, difference in page.plots],
            next=page.next,
        )

    def _parse_sides(self, viewer: Viewer, texts: Sequence[str]) -> list[Side]:
        def exists(session: str, project: str | None) -> bool:
            return viewer.allows(session) and self._exists(session, project)

        now_ns = time.time_ns()
        return [parse_side(text, exists, now_ns) for text in texts]

    def _exists(self, session: str, project: str | None) -> bool:
        catalog = self._lookup.catalog
        if project is None:
            return catalog.session_row(session) is not None
        return any(plot.project == project for plot in catalog.plots(session))


def _kinds_parameter() -> list[Kind] | None:
    """`kind`: one or several, separated by commas."""
    text = request.args.get("kind")
    if text is None:
        return None
    try:
        return [Kind(name) for name in text.split(",")]
    except ValueError:
        raise BadParameterError(f"kind must be one or several of {', '.join(Kind)}, separated by commas") from None


def _side_parameter(name: str) -> str:
    text = request.args.get(name, "")
    session, slash, project = text.partition("/")
    if not is_name(session) or (slash and not (is_name(project) or project.partition("@")[0] == SESSION_PROJECT)):
        raise BadParameterError(f"{name} must be SESSION or SESSION/PROJECT, each with or without @ and a time")
    return text


def _plot_to_json(pair: Pair, difference: PlotDifference | None, plot_url: PlotUrl) -> dict[str, Any]:
    return {
        "filename": pair.filename,
        **(difference_to_json(difference) if difference else UNKNOWN),
        "from": _side_to_json(pair.before, plot_url),
        "to": _side_to_json(pair.after, plot_url),
    }


def _side_to_json(side: SidePlot | None, plot_url: PlotUrl) -> dict[str, Any] | None:
    """The compared copy, as an entry of a list with all copies of its key on this side."""
    if side is None:
        return None
    url_of = version_url if side.shown.is_kept else copy_url
    plot = side.shown.plot
    return {
        "session": plot.session,
        "filename": plot.filename,
        **_copy_to_json(plot, url_of(plot, plot_url)),
        "copies": [_copy_to_json(copy, url_of(copy, plot_url)) for copy in side.copies],
        "siblings": sorted(file.plot.suffix[1:] for file in side.files if file is not side.shown),
    }


def _copy_to_json(plot: Plot, url: str) -> dict[str, Any]:
    return {
        "project": plot.project,
        "size": plot.size,
        "mtime": rfc3339(plot.mtime_ns),
        "version": plot.version,
        "url": url,
    }
