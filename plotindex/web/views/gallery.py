"""The gallery's pages: sessions, the plots of a session, one plot, a comparison."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from flask import Blueprint, Response, jsonify, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from plotindex.errors import CatalogError, RootLostError
from plotindex.history.access import History
from plotindex.history.contents import HistoryError
from plotindex.index import CacheStatus, Lookup, ScansBusyError
from plotindex.storage import Overview, SearchResult, SearchTimeoutError, one_of_each
from plotindex.system import rfc3339
from plotindex.tree import Plot, PlotKey, is_name
from plotindex.web.assets import gallery_assets
from plotindex.web.entries import copy_url, version_url
from plotindex.web.pages import NO_FRAMES, add_headers, render_message, render_page
from plotindex.web.views.comparisons import MAX_COMPARED, Comparisons
from plotindex.web.views.gallery_diff import GalleryDiff
from plotindex.web.views.gallery_facts import GalleryFacts
from plotindex.web.views.gallery_history import GalleryHistory
from plotindex.web.views.gallery_plots import GalleryPlots
from plotindex.web.views.lists import Viewer
from plotindex.web.views.overview_parameters import (
    earlier,
    format_position,
    parse_page_number,
    parse_position,
    parse_since,
)
from plotindex.web.wsgi import decode_path

SESSIONS_PER_PAGE = 20
MAX_SEARCH_LENGTH = 100
"""Characters; bounds the cost of a search."""
MAX_RESULTS = 60
INITIAL_PLOTS = 24
"""Plots in the HTML of a session's page; its script fetches the rest."""
MAX_COPIES = 200

NO_CATALOG = "The catalogue is not available. If there is none yet, run `plotindex watch`."
NO_HISTORY = "The history is not available."
BLANK_PLOT = Plot("", "", "", 0, 0, 0, 0)
"""Template values for a card that a script fills in."""

View = Callable[..., Any]


class GalleryViews:
    """The gallery's views of one instance."""

    def __init__(
        self,
        lookup: Lookup,
        history: History,
        get_viewer: Callable[[], Viewer | AnyResponse],
        api_prefix: str,
        *,
        logout_endpoint: str | None = None,
        frame_ancestors: str = NO_FRAMES,
    ) -> None:
        """`get_viewer` returns the caller of the current request, or a response (login page, error)."""
        self._frame_ancestors = frame_ancestors
        self._lookup = lookup
        self._overview = Overview(lookup.catalog)
        self._plots = GalleryPlots(lookup, self._overview)
        self._history = GalleryHistory(lookup, history)
        self._facts = GalleryFacts(lookup)
        self._changes = GalleryDiff(lookup, self._overview, self._history)
        self._comparisons = Comparisons(lookup.tree.layout, self._overview, self._plots, self._history)
        self._get_viewer = get_viewer
        self._api_prefix = api_prefix
        self._logout_endpoint = logout_endpoint
        self._name = ""

    def blueprint(self, name: str, prefix: str, guard: Callable[[View], View] | None = None) -> Blueprint:
        """The pages below `prefix`, each view wrapped by `guard`; static files are public."""
        self._name = name
        pages = Blueprint(name, "plotindex.web")
        rules: list[tuple[str, str, View]] = [
            (f"{prefix}/", "sessions", self.sessions),
            (f"{prefix}/session/<session_id>", "session", self.session),
            (f"{prefix}/session/<session_id>/history", "session_history", self.session_history),
            (f"{prefix}/session/<session_id>/facts", "session_facts", self.session_facts),
            (f"{prefix}/plot/<session_id>/<plotindex_filename:filename>", "plot", self.plot),
            (f"{prefix}/compare", "compare", self.compare),
            (f"{prefix}/diff", "diff", self.diff),
        ]
        for rule, endpoint, view in rules:
            defaults = {} if "session_id" in rule else {"session_id": ""}
            guarded = guard(view) if guard else view
            pages.add_url_rule(rule, endpoint, guarded, methods=["GET"], merge_slashes=False, defaults=defaults)
        # As in Flask a path, which is no filename of a plot.
        pages.add_url_rule(
            f"{prefix}/static/<version>/<path:filename>", "static", gallery_assets().respond, methods=["GET"]
        )
        pages.after_request(partial(add_headers, frame_ancestors=self._frame_ancestors))
        return pages

    def sessions(self, session_id: str = "") -> AnyResponse:  # noqa: ARG002 - for the host's decorator
        """The sessions, most recently changed first; with `q` a search for sessions and plots."""
        return self._respond(self._sessions)

    def session(self, session_id: str) -> AnyResponse:
        """The plots of a session."""
        return self._respond(lambda viewer: self._session(viewer, session_id))

    def session_history(self, session_id: str) -> AnyResponse:
        """For the script of a session's page, as JSON: how often its plots were drawn again, or which were removed."""
        return self._respond(lambda viewer: self._session_history(viewer, session_id))

    def session_facts(self, session_id: str) -> AnyResponse:
        """For the script of a session's page, as JSON: which plots have flags or, with `text`, show it."""
        return self._respond(lambda viewer: self._session_facts(viewer, session_id))

    def plot(self, session_id: str, filename: str) -> AnyResponse:
        """One plot at full size."""
        return self._respond(lambda viewer: self._plot(viewer, session_id, filename))

    def compare(self, session_id: str = "") -> AnyResponse:  # noqa: ARG002 - see sessions
        """A comparison of all copies of one key, or of two to four plots."""
        return self._respond(self._compare)

    def diff(self, session_id: str = "") -> AnyResponse:  # noqa: ARG002 - see sessions
        """What changed between two sides, or the choice of these."""
        return self._respond(self._diff)

    def _respond(self, respond: Callable[[Viewer], Response]) -> AnyResponse:
        viewer = self._get_viewer()
        if not isinstance(viewer, Viewer):
            return viewer
        if decode_path(request.environ) is None:
            return self._message("Page not found.", 404)
        try:
            return respond(viewer)
        except (ScansBusyError, SearchTimeoutError):
            return self._retry_message("The server is busy with other searches.", 1)
        except (RootLostError, OSError):
            return self._retry_message("The plot folder is unavailable.", 5)
        except CatalogError as error:
            return self._retry_message(NO_HISTORY if isinstance(error, HistoryError) else NO_CATALOG, 5)

    def _sessions(self, viewer: Viewer) -> Response:
        query = request.args.get("q", "")[:MAX_SEARCH_LENGTH].strip()
        since, since_ns = parse_since(request.args.get("since", ""), request.args.get("from", ""))
        page = parse_page_number(request.args.get("page", "1"))
        after = parse_position(request.args.get("after", ""))
        allows = viewer.allows
        clock = self._overview.clock(allows)
        skip = (page - 1) * SESSIONS_PER_PAGE
        strips, count, next_session = self._overview.sessions(
            allows, query, skip, SESSIONS_PER_PAGE, after=after, since=since_ns
        )
        results = SearchResult([], is_complete=True)
        if query and page == 1:
            results = self._overview.search(allows, query, MAX_RESULTS, after=after, since=since_ns)
        shown = self._facts.latest(viewer, query, MAX_RESULTS, since_ns) if query and page == 1 and not after else {}
        return self._render(
            "sessions.html",
            clock=viewer.seal_clock(clock),
            query=query,
            since=since,
            since_seconds=since_ns // 1_000_000_000,
            after=format_position(after),
            next=format_position(earlier(next_session, results.next)),
            page_number=page,
            pages=-(-count // SESSIONS_PER_PAGE),
            count=count,
            misplaced="" if count or query or since or not allows.is_all else self._plots.describe_misplaced(),
            sessions=[(row, _with_images(viewer, plots), total) for row, plots, total in strips],
            results=_with_images(viewer, one_of_each([*results.plots, *shown])),
            wheres=shown,
            is_limited=results.is_limited,
            is_complete=results.is_complete,
        )

    def _session(self, viewer: Viewer, session: str) -> Response:
        if not is_name(session) or not viewer.allows(session):
            return self._message("Session not found.", 404)
        clock, row, plots = self._overview.latest(session, INITIAL_PLOTS, viewer.allows)
        if row is None and not self._lookup.has_session(session) and not self._history.has_removed(viewer, session):
            return self._message("Session not found.", 404)
        latest = _with_images(viewer, plots)
        ahead = (
            {version: rfc3339(drawn) for version, drawn in self._overview.drawn_ahead(session).items()} if row else {}
        )
        given: dict[str, object] = {"session": session, "plots": latest, "ahead": ahead, "blank": BLANK_PLOT}
        given["has_history"] = self._history.is_on
        given["misplaced"] = "" if latest else self._plots.describe_misplaced(session)
        return self._render("session.html", clock=viewer.seal_clock(clock), **given)

    def _session_history(self, viewer: Viewer, session: str) -> Response:
        if not is_name(session) or not viewer.allows(session):
            return self._message("Session not found.", 404)
        if "removed" in request.args:
            return jsonify(self._history.removed_to_json(viewer, session, request.args.get("after", "")))
        return jsonify(self._history.redrawn_to_json(viewer, session))

    def _session_facts(self, viewer: Viewer, session: str) -> Response:
        if not is_name(session) or not viewer.allows(session):
            return self._message("Session not found.", 404)
        return jsonify(self._facts.to_json(viewer, session, request.args.get("text", "").strip()))

    def _plot(self, viewer: Viewer, session: str, filename: str) -> Response:
        # Read before the plots: a change in between is then reported again, not missed.
        clock = self._overview.clock(viewer.allows)
        project = request.args.get("project")
        key = self._lookup.tree.layout.parse_key(session, filename)
        if key is None or not viewer.allows(session):
            return self._message("Plot not found.", 404)
        entry = self._plots.entry(key)
        present = next((copy for copy in entry.copies if project in (None, copy.project)), None) if entry else None
        shown = present or self._history.last_version(viewer, key, project)
        if shown is None:
            return self._message("Plot not found.", 404)
        files = self._overview.formats(entry) if entry else []
        copies = one_of_each(files, filename)
        stable = {} if project is None else {"project": project}  # valid when the plot is drawn again
        if present is None:
            stable = {"project": shown.project, "version": shown.version}
        return self._render(
            "plot.html",
            clock=viewer.seal_clock(clock),
            shown=shown,
            image=copy_url(shown, viewer.plot_url) if present else version_url(shown, viewer.plot_url),
            image_url=viewer.plot_url(key, stable),
            formats=[
                (file, viewer.plot_url(PlotKey(session, file.filename), {"project": file.project, "download": "1"}))
                for file in sorted(files, key=lambda file: file.filename)
                if file.project == shown.project
            ],
            max_compared=MAX_COMPARED,
            download_url=viewer.plot_url(key, {**stable, "download": "1"}),
            is_pinned=project is not None,
            is_removed=present is None,
            has_history=self._history.is_on,
            lost=self._history.count_lost(viewer, shown),
            copies=_with_images(viewer, copies[:MAX_COPIES]),
            count=len(copies),
            neighbours=self._overview.neighbours(key, {file.filename for file in files}),
        )

    def _compare(self, viewer: Viewer) -> Response:
        clock = self._overview.clock(viewer.allows)
        session, name = request.args.get("session", ""), request.args.get("name", "")
        missing = 0
        if name:
            wanted = request.args.getlist("version")
            if wanted or "versions" in request.args:
                compared = self._comparisons.versions(viewer, session, name, request.args.get("project"), wanted)
            else:
                compared = self._comparisons.copies(viewer, session, name)
        else:
            paths = request.args.getlist("plot")
            if not 1 < len(paths) <= MAX_COMPARED:
                return self._message("Select two to four plots to compare.", 400)
            compared = self._comparisons.plots(viewer, paths)
            missing = len(paths) - len(compared)
        if not compared:
            return self._message("None of these plots was found.", 404)
        shown = compared[:MAX_COPIES]
        return self._render(
            "compare.html",
            clock=viewer.seal_clock(clock),
            compared=shown,
            omitted=len(compared) - len(shown),
            missing=missing,
            name=name or None,
            noun=("version", "versions") if compared[0].number else ("copy", "copies"),
        )

    def _diff(self, viewer: Viewer) -> Response:
        values = self._changes.values(viewer)
        return self._message("Session not found.", 404) if values is None else self._render("diff.html", **values)

    def _message(self, message: str, status: int) -> Response:
        return render_message(self._name, message, status, **self._common_context())

    def _retry_message(self, message: str, seconds: int) -> Response:
        response = self._message(f"{message} This page retries automatically.", 503)
        response.headers["Retry-After"] = response.headers["Refresh"] = str(seconds)
        return response

    def _render(self, template: str, **values: object) -> Response:
        return render_page(self._name, template, **self._common_context(), **values)

    def _common_context(self) -> dict[str, object]:
        return {
            "api_prefix": request.script_root + self._api_prefix,
            "logout_url": url_for(self._logout_endpoint) if self._logout_endpoint else None,
            # `has_catalog` reads the state again, if it is old.
            "is_watched": self._lookup.has_catalog() and self._lookup.hit_status is CacheStatus.HIT,
            "project_pattern": self._lookup.tree.layout.project_pattern,
        }


def _with_images(viewer: Viewer, plots: Iterable[Plot]) -> list[tuple[Plot, str]]:
    return [(plot, copy_url(plot, viewer.plot_url)) for plot in plots]
