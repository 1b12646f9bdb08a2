"""The gallery's pages: sessions, the plots of a session, one plot, a comparison."""

import os
import re
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from flask import Blueprint, Response, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from plotindex.errors import CatalogError, RootLostError
from plotindex.index import CacheStatus, Lookup, ScansBusyError
from plotindex.storage import Entry, Overview, SearchResult, SessionRow
from plotindex.tree import Plot, PlotKey, clamp_int64, describe_misplaced, is_name
from plotindex.web.pages import render_message, render_page
from plotindex.web.views.lists import Viewer
from plotindex.web.wsgi import decode_path

SESSIONS_PER_PAGE = 20
MAX_SEARCH_LENGTH = 100
"""Characters; bounds the cost of a search."""
MAX_RESULTS = 60
INITIAL_PLOTS = 24
"""Plots in the HTML of a session's page; its script fetches the rest."""
MAX_COMPARED = 4
MAX_COPIES = 200
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors "
)
NO_FRAMES = "'none'"

BLANK_PLOT = Plot("", "", "", 0, 0, 0, 0)
"""Template values for a card that a script fills in."""

View = Callable[..., Any]


class ComparedPlot(NamedTuple):
    """A copy in a comparison, with its URL."""

    plot: Plot
    image: str


class GalleryViews:
    """The gallery's views of one instance."""

    def __init__(
        self,
        lookup: Lookup,
        get_viewer: Callable[[], Viewer | AnyResponse],
        api_prefix: str,
        logout_endpoint: str | None = None,
        frame_ancestors: str = NO_FRAMES,
    ) -> None:
        """`get_viewer` returns the caller of the current request, or a response (login page, error)."""
        self._frame_ancestors = frame_ancestors
        self._searching = threading.Lock()
        self._lookup = lookup
        self._overview = Overview(lookup.catalog)
        self._get_viewer = get_viewer
        self._api_prefix = api_prefix
        self._logout_endpoint = logout_endpoint
        self._name = ""

    def blueprint(self, name: str, prefix: str, guard: Callable[[View], View] | None = None) -> Blueprint:
        """The pages below `prefix`, each view wrapped by `guard`; static files are public."""
        self._name = name
        pages = Blueprint(name, "plotindex.web", static_folder="static", static_url_path=f"{prefix}/static")
        rules: list[tuple[str, str, View]] = [
            (f"{prefix}/", "sessions", self.sessions),
            (f"{prefix}/session/<session_id>", "session", self.session),
            (f"{prefix}/plot/<session_id>/<plotindex_filename:filename>", "plot", self.plot),
            (f"{prefix}/compare", "compare", self.compare),
        ]
        for rule, endpoint, view in rules:
            defaults = {} if "session_id" in rule else {"session_id": ""}
            guarded = guard(view) if guard else view
            pages.add_url_rule(rule, endpoint, guarded, methods=["GET"], merge_slashes=False, defaults=defaults)
        pages.after_request(partial(add_headers, frame_ancestors=self._frame_ancestors))
        return pages

    def sessions(self, session_id: str = "") -> AnyResponse:  # noqa: ARG002 - for the host's decorator
        """The sessions, most recently changed first; with `q` a search for sessions and plots."""
        return self._respond(self._sessions)

    def session(self, session_id: str) -> AnyResponse:
        """The plots of a session."""
        return self._respond(lambda viewer: self._session(viewer, session_id))

    def plot(self, session_id: str, filename: str) -> AnyResponse:
        """One plot at full size."""
        return self._respond(lambda viewer: self._plot(viewer, session_id, filename))

    def compare(self, session_id: str = "") -> AnyResponse:  # noqa: ARG002 - see sessions
        """A comparison of all copies of one key, or of two to four plots."""
        return self._respond(self._compare)

    def _respond(self, respond: Callable[[Viewer], Response]) -> AnyResponse:
        viewer = self._get_viewer()
        if not isinstance(viewer, Viewer):
            return viewer
        if decode_path(request.environ) is None:
            return self._message("Page not found.", 404)
        try:
            return respond(viewer)
        except ScansBusyError:
            return self._retry_message("The server is busy with other searches.", 1)
        except (RootLostError, OSError):
            return self._retry_message("The plot folder is unavailable.", 5)
        except CatalogError:
            return self._retry_message(
                "The catalogue is not available. If there is none yet, run `plotindex watch`.", 5
            )

    def _sessions(self, viewer: Viewer) -> Response:
        query = request.args.get("q", "")[:MAX_SEARCH_LENGTH]
        page = _parse_page_number(request.args.get("page", "1"))
        after = _parse_position(request.args.get("after", ""))
        allows = viewer.allows
        clock = self._overview.clock(allows)
        skip = (page - 1) * SESSIONS_PER_PAGE
        strips, count, next_session = self._overview.sessions(allows, query, skip, SESSIONS_PER_PAGE, after=after)
        results = SearchResult([], is_complete=True)
        if query and page == 1:
            results = self._overview.search(allows, query, MAX_RESULTS, after=after)
        return self._render(
            "sessions.html",
            clock=viewer.seal_clock(clock),
            query=query,
            after=_position(after),
            next=_position(_earlier(next_session, results.next)),
            page_number=page,
            pages=-(-count // SESSIONS_PER_PAGE),
            count=count,
            misplaced="" if count or query or not allows.is_all else self._describe_misplaced(),
            sessions=[
                (strip.row, [(plot, self._image_url(viewer, plot)) for plot in strip.latest]) for strip in strips
            ],
            results=[(plot, self._image_url(viewer, plot)) for plot in results.plots],
            max_results=MAX_RESULTS,
            is_complete=results.is_complete,
        )

    def _session(self, viewer: Viewer, session: str) -> Response:
        if not is_name(session) or not viewer.allows(session):
            return self._message("Session not found.", 404)
        clock, row, plots = self._overview.latest(session, INITIAL_PLOTS, viewer.allows)
        if row is None and not self._lookup.has_session(session):
            return self._message("Session not found.", 404)
        latest = [(plot, self._image_url(viewer, plot)) for plot in plots]
        misplaced = "" if latest else self._describe_misplaced(session)
        given = {"session": session, "plots": latest, "row": row, "blank": BLANK_PLOT, "misplaced": misplaced}
        return self._render("session.html", clock=viewer.seal_clock(clock), **given)

    def _describe_misplaced(self, session: str | None = None) -> str:
        """Why an empty page is empty. One search of the disk at a time; other pages do without."""
        if not self._searching.acquire(blocking=False):
            return ""
        try:
            return describe_misplaced(self._lookup.tree, session)
        finally:
            self._searching.release()

    def _plot(self, viewer: Viewer, session: str, filename: str) -> Response:
        # Read before the plots: a change in between is then reported again, not missed.
        clock = self._overview.clock(viewer.allows)
        project = request.args.get("project")
        key = self._lookup.tree.layout.parse_key(session, filename)
        entry = self._entry(key) if key and viewer.allows(session) else None
        shown = next((copy for copy in entry.copies if project in (None, copy.project)), None) if entry else None
        if key is None or entry is None or shown is None:
            return self._message("Plot not found.", 404)
        # Without the version: stays valid when the plot is drawn again.
        stable = {} if project is None else {"project": project}
        return self._render(
            "plot.html",
            clock=viewer.seal_clock(clock),
            shown=shown,
            image=self._image_url(viewer, shown),
            image_url=viewer.plot_url(key, stable),
            download_url=viewer.plot_url(key, {**stable, "download": "1"}),
            is_pinned=project is not None,
            copies=[(copy, self._image_url(viewer, copy)) for copy in entry.copies[:MAX_COPIES]],
            count=len(entry.copies),
            neighbours=self._overview.neighbours(key),
        )

    def _compare(self, viewer: Viewer) -> Response:
        clock = self._overview.clock(viewer.allows)
        session, name = request.args.get("session", ""), request.args.get("name", "")
        if name:
            key = self._lookup.tree.layout.parse_key(session, name)
            entry = self._entry(key) if key and viewer.allows(session) else None
            plots = entry.copies if entry else []
            missing = 0 if plots else 1
        else:
            paths = request.args.getlist("plot")
            if not 1 < len(paths) <= MAX_COMPARED:
                return self._message("Select two to four plots to compare.", 400)
            copies = [self._copy(viewer, path) for path in paths]
            plots = [plot for plot in copies if plot]
            missing = len(paths) - len(plots)
        if not plots:
            return self._message("None of these plots was found.", 404)
        compared = [ComparedPlot(plot, self._image_url(viewer, plot)) for plot in plots[:MAX_COPIES]]
        return self._render(
            "compare.html",
            clock=viewer.seal_clock(clock),
            compared=compared,
            omitted=len(plots) - len(compared),
            missing=missing,
            session=session if name else None,
            name=name or None,
        )

    def _entry(self, key: PlotKey) -> Entry | None:
        entry = self._overview.entry(key)
        if entry is not None:
            return entry
        # It may be new: the lookup scans for it, and heals the catalogue.
        opened = self._lookup.open(key.session, key.filename).opened
        if opened is None:
            return None
        os.close(opened.fd)
        return self._overview.entry(key) or Entry(key, [opened.plot])

    def _copy(self, viewer: Viewer, path: str) -> Plot | None:
        """The copy at `SESSION/PROJECT/FILENAME`, if it exists and the viewer may see it."""
        layout = self._lookup.tree.layout
        session, project, filename = next((scope for scope in layout.scopes_at(path) if scope.path), ("", "", ""))
        key = layout.parse_key(session or "", filename or "")
        entry = self._overview.entry(key) if key and viewer.allows(key.session) else None
        return next((copy for copy in entry.copies if copy.project == project), None) if entry else None

    def _image_url(self, viewer: Viewer, plot: Plot) -> str:
        return viewer.plot_url(PlotKey(plot.session, plot.filename), {"project": plot.project, "v": plot.version})

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
            "is_watched": self._lookup.hit_status is CacheStatus.HIT,
            "project_pattern": self._lookup.tree.layout.project_pattern,
        }


def add_headers(response: Response, frame_ancestors: str = NO_FRAMES) -> Response:
    """Add the security and cache headers of pages and static files."""
    response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY + frame_ancestors
    # Not no-referrer: then browsers send `Origin: null` with forms.
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    if (request.endpoint or "").endswith(".static"):
        response.headers["Cache-Control"] = "no-cache"
    else:
        response.headers["Cache-Control"] = "no-store"
    return response


def _parse_page_number(given: str) -> int:
    return max(1, int(given)) if given.isascii() and given.isdigit() and len(given) < 10 else 1


def _position(row: SessionRow | None) -> str:
    """The position of a session in the order of the page, as the parameter `after`."""
    return f"{row.mtime_ns}.{row.session}" if row else ""


def _parse_position(given: str) -> SessionRow | None:
    mtime_ns, _, session = given.partition(".")
    is_number = re.fullmatch("-?[0-9]{1,19}", mtime_ns)
    return SessionRow(session, 0, clamp_int64(int(mtime_ns))) if is_number and is_name(session) else None


def _earlier(first: SessionRow | None, second: SessionRow | None) -> SessionRow | None:
    """The position that comes first: a search continues from there."""
    rows = [row for row in (first, second) if row]
    return min(rows, key=lambda row: (-row.mtime_ns, row.session), default=None)
