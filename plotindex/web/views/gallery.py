"""Pages for a browser: the sessions, a session's plots as they are drawn, one plot, several beside each other."""

import os
from collections.abc import Callable
from typing import Any, NamedTuple

from flask import Blueprint, Response, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from plotindex.errors import CatalogError, RootLostError
from plotindex.index import CacheStatus, Lookup, ScansBusyError
from plotindex.storage import Entry, Overview, SearchResult
from plotindex.tree import Plot, PlotKey, is_name
from plotindex.web.errors import has_utf8_path
from plotindex.web.templating import render_message, render_page
from plotindex.web.views.lists import Viewer

SESSIONS = 20
MAX_SEARCH_LENGTH = 100
"""Characters: what one search costs grows with them, and with every name."""
FOUND = 60
"""Plots that a search names at most."""
INITIAL_PLOTS = 24
"""Plots that a session's page comes with; its script asks for the rest."""
MAX_COMPARED = 4
MAX_COPIES = 200
"""Copies of one key that a page shows."""
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)

BLANK_PLOT = Plot("", "", "", 0, 0, 0, 0)
"""What a script fills in."""

View = Callable[..., Any]


class ComparedPlot(NamedTuple):
    """A plot of a comparison: one copy of a key."""

    plot: Plot
    image: str
    """Its address."""


class GalleryViews:
    """The pages of one instance."""

    def __init__(
        self, lookup: Lookup, viewer: Callable[[], Viewer | AnyResponse], api: str, log_out: str | None = None
    ) -> None:
        """`viewer` says who asks, or answers him itself. `api` is where the lists are, `log_out` an endpoint."""
        self._lookup = lookup
        self._overview = Overview(lookup.catalog)
        self._viewer = viewer
        self._api = api
        self._log_out = log_out
        self._name = ""

    def blueprint(self, name: str, prefix: str, guard: Callable[[View], View] | None = None) -> Blueprint:
        """The pages below `prefix`, each view within `guard`; style and scripts are no secret."""
        self._name = name
        pages = Blueprint(name, "plotindex.web", static_folder="static", static_url_path=f"{prefix}/static")
        rules: list[tuple[str, str, View]] = [
            (f"{prefix}/", "sessions", self.sessions),
            (f"{prefix}/session/<session_id>", "session", self.session),
            (f"{prefix}/plot/<session_id>/<plotindex_filename:filename>", "plot", self.plot),
            (f"{prefix}/compare", "compare", self.compare),
        ]
        for rule, endpoint, view in rules:
            empty = {} if "session_id" in rule else {"session_id": ""}
            guarded = guard(view) if guard else view
            pages.add_url_rule(rule, endpoint, guarded, methods=["GET"], merge_slashes=False, defaults=empty)
        pages.after_request(add_headers)
        return pages

    def sessions(self, session_id: str = "") -> AnyResponse:  # noqa: ARG002 - for the host's decorator
        """The sessions, the one drawn in last first; with `q` also the plots that are so called."""
        return self._answer(self._sessions)

    def session(self, session_id: str) -> AnyResponse:
        """A session's latest plots; the page's script shows all."""
        return self._answer(lambda viewer: self._session(viewer, session_id))

    def plot(self, session_id: str, filename: str) -> AnyResponse:
        """One plot at full size."""
        return self._answer(lambda viewer: self._plot(viewer, session_id, filename))

    def compare(self, session_id: str = "") -> AnyResponse:  # noqa: ARG002 - see sessions
        """All copies of one key, or two to four plots, beside each other."""
        return self._answer(self._compare)

    def _answer(self, respond: Callable[[Viewer], Response]) -> AnyResponse:
        viewer = self._viewer()
        if not isinstance(viewer, Viewer):
            return viewer
        if not has_utf8_path(request):
            return self._say("There is no such page.", 404)
        try:
            return respond(viewer)
        except ScansBusyError:
            return self._say_later("Too much is being looked for at once: this page tries again by itself.", 1)
        except (RootLostError, OSError):
            return self._say_later("The plots cannot be seen now: this page tries again by itself.", 5)
        except CatalogError:
            message = (
                "The catalogue cannot be read now; where there is none yet, `plotindex watch` makes it. "
                "This page tries again by itself."
            )
            return self._say_later(message, 5)

    def _sessions(self, viewer: Viewer) -> Response:
        query = request.args.get("q", "")[:MAX_SEARCH_LENGTH]
        page = _page_number(request.args.get("page", "1"))
        clock = self._overview.clock()
        strips, count = self._overview.sessions(
            viewer.allows, query, (page - 1) * SESSIONS, SESSIONS, allows_all=viewer.allows_all
        )
        found, is_complete = SearchResult([], is_complete=True)
        if query and page == 1:
            found, is_complete = self._overview.search(viewer.allows, query, FOUND, allows_all=viewer.allows_all)
        return self._render(
            "sessions.html",
            clock=clock,
            query=query,
            page_number=page,
            pages=-(-count // SESSIONS),
            count=count,
            sessions=[(strip.row, [(plot, self._image(viewer, plot)) for plot in strip.latest]) for strip in strips],
            found=[(plot, self._image(viewer, plot)) for plot in found],
            most=FOUND,
            is_complete=is_complete,
        )

    def _session(self, viewer: Viewer, session: str) -> Response:
        if not is_name(session) or not viewer.allows(session):
            return self._say("There is no such session.", 404)
        clock, row, plots = self._overview.latest(session, INITIAL_PLOTS)
        if row is None and not self._lookup.has_session(session):
            return self._say("There is no such session.", 404)
        latest = [(plot, self._image(viewer, plot)) for plot in plots]
        return self._render("session.html", clock=clock, session=session, plots=latest, row=row, blank=BLANK_PLOT)

    def _plot(self, viewer: Viewer, session: str, filename: str) -> Response:
        # Read first: what changes in between is told once more.
        clock = self._overview.clock()
        project = request.args.get("project")
        key = self._lookup.tree.layout.parse_key(session, filename)
        entry = self._entry(key) if key and viewer.allows(session) else None
        shown = next((copy for copy in entry.copies if project in (None, copy.project)), None) if entry else None
        if key is None or entry is None or shown is None:
            return self._say("There is no such plot, or not any more.", 404)
        # Stays the same when it is drawn again.
        stable = {} if project is None else {"project": project}
        return self._render(
            "plot.html",
            clock=clock,
            shown=shown,
            image=self._image(viewer, shown),
            address=viewer.address(key, stable),
            download=viewer.address(key, {**stable, "download": "1"}),
            pinned=project is not None,
            copies=[(copy, self._image(viewer, copy)) for copy in entry.copies[:MAX_COPIES]],
            count=len(entry.copies),
            beside=self._overview.neighbours(key),
        )

    def _compare(self, viewer: Viewer) -> Response:
        clock = self._overview.clock()
        session, name = request.args.get("session", ""), request.args.get("name", "")
        if name:
            key = self._lookup.tree.layout.parse_key(session, name)
            entry = self._entry(key) if key and viewer.allows(session) else None
            plots = entry.copies if entry else []
            missing = 0 if plots else 1
        else:
            wanted = request.args.getlist("plot")
            if not 1 < len(wanted) <= MAX_COMPARED:
                return self._say("Choose two to four plots to compare.", 400)
            looked = [self._copy(viewer, path) for path in wanted]
            plots = [plot for plot in looked if plot]
            missing = len(wanted) - len(plots)
        if not plots:
            return self._say("There is nothing left to compare: no such plot is there, or not any more.", 404)
        chosen = [ComparedPlot(plot, self._image(viewer, plot)) for plot in plots[:MAX_COPIES]]
        return self._render(
            "compare.html",
            clock=clock,
            chosen=chosen,
            left_out=len(plots) - len(chosen),
            missing=missing,
            session=session if name else None,
            name=name or None,
        )

    def _entry(self, key: PlotKey) -> Entry | None:
        entry = self._overview.entry(key)
        if entry is not None:
            return entry
        # Drawn a moment ago, perhaps: this looks for it, and mends the catalogue.
        opened = self._lookup.open(key.session, key.filename).opened
        if opened is None:
            return None
        os.close(opened.fd)
        return self._overview.entry(key) or Entry(key, [opened.plot])

    def _copy(self, viewer: Viewer, path: str) -> Plot | None:
        """The copy that SESSION/PROJECT/FILENAME names, if there is one that the viewer may see."""
        session, _, rest = path.partition("/")
        project, _, filename = rest.partition("/")
        key = self._lookup.tree.layout.parse_key(session, filename)
        entry = self._overview.entry(key) if key and viewer.allows(session) else None
        return next((copy for copy in entry.copies if copy.project == project), None) if entry else None

    def _image(self, viewer: Viewer, plot: Plot) -> str:
        return viewer.address(PlotKey(plot.session, plot.filename), {"project": plot.project, "v": plot.version})

    def _say(self, message: str, status: int) -> Response:
        return render_message(self._name, message, status, **self._common())

    def _say_later(self, message: str, seconds: int) -> Response:
        response = self._say(message, 503)
        response.headers["Retry-After"] = response.headers["Refresh"] = str(seconds)
        return response

    def _render(self, template: str, **values: object) -> Response:
        return render_page(self._name, template, **self._common(), **values)

    def _common(self) -> dict[str, object]:
        return {
            "api": request.script_root + self._api,
            "log_out": url_for(self._log_out) if self._log_out else None,
            "is_watched": self._lookup.hit_status is CacheStatus.HIT,
        }


def add_headers(response: Response) -> Response:
    """What every page and its parts are sent with."""
    response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    # With no-referrer a browser would not say, either, that a form comes from here.
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    if (request.endpoint or "").endswith(".static"):
        response.headers["Cache-Control"] = "no-cache"
    else:
        response.headers["Cache-Control"] = "no-store"
    return response


def _page_number(given: str) -> int:
    return max(1, int(given)) if given.isascii() and given.isdigit() and len(given) < 10 else 1
