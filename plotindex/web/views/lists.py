"""The list routes: sessions, the plots of a session, and changes since a clock."""

import json
import threading
import time
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import quote, urlencode

from flask import Response, request

from plotindex.auth import ClockSealer
from plotindex.errors import CatalogError, RootLostError
from plotindex.index import CacheStatus, Lookup, ScansBusyError
from plotindex.storage import (
    ChangesPage,
    Entry,
    Listing,
    NameFilter,
    SearchTimeoutError,
    entries_of,
    page_of,
    with_siblings,
)
from plotindex.system import rfc3339
from plotindex.tree import SessionFilter, is_name
from plotindex.web.answers import REVALIDATE
from plotindex.web.entries import JsonText, PlotUrl, entries_to_json
from plotindex.web.errors import (
    respond_catalog_unavailable,
    respond_not_found,
    respond_unavailable,
    respond_with_error,
)
from plotindex.web.views.list_parameters import (
    BadParameterError,
    clock_parameter,
    facts_parameters,
    page_parameters,
    seconds_parameter,
    text_parameter,
)
from plotindex.web.wsgi import decode_path

MAX_LINK_LENGTH = 1_000
"""Proxies limit the headers of an answer."""
MAX_WAIT_SECONDS = 20.0
CHECK_SECONDS = 5.0
"""How often a request that waits for changes reads the clock without a commit: not every writer may be reported."""
MIN_READ_SECONDS = 0.02
STOP_SECONDS = 0.25
"""How often it checks whether the server stops."""
NO_SESSION = "Session not found"


class Route(NamedTuple):
    """A route to mount."""

    rule: str
    endpoint: str
    view: Callable[..., Response]
    method: str = "GET"


class Viewer(NamedTuple):
    """The permissions of the caller, and how to build plot URLs for the caller."""

    allows: SessionFilter
    plot_url: PlotUrl
    clock_sealer: ClockSealer
    name: str = ""
    """Identifies the caller; empty for those of a host."""

    def seal_clock(self, clock: int, within: bytes = b"") -> str:
        """The clock, with a position within its commit, encrypted for the caller."""
        return self.clock_sealer.seal(clock, self.name, within)

    def open_clock(self, text: str) -> tuple[int, bytes]:
        """The clock in a text; 0, of which nothing is known, if it is another caller's or from an older version."""
        return self.clock_sealer.open(text, self.name) or (0, b"")


class ListViews:
    """The list views of one instance. All responses are JSON, including errors."""

    def __init__(
        self,
        lookup: Lookup,
        get_viewer: Callable[[], Viewer | Response],
        max_waiters: int,
        max_wait: float = MAX_WAIT_SECONDS,
        is_stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        """`get_viewer` returns the caller of the current request, or an error response.

        At most `max_waiters` requests wait for changes, each at most `max_wait` seconds, and none while `is_stopping`.
        """
        self._lookup = lookup
        self._listing = Listing(lookup.catalog.database)
        self._get_viewer = get_viewer
        self._max_wait = max_wait
        self._is_stopping = is_stopping
        self._wait_slots = threading.BoundedSemaphore(max_waiters) if max_waiters else None

    def routes(self, url_prefix: str) -> list[Route]:
        """The routes to mount; a rule with `session_id` passes it to the view."""
        return [
            Route(f"{url_prefix}/plots/<session_id>", "plots", self.plots),
            Route(f"{url_prefix}/plots", "sessions", self.sessions),
            Route(f"{url_prefix}/changes", "changes", self.changes),
        ]

    def plots(self, session_id: str) -> Response:
        """One page of the plots of a session."""
        return self._handle(lambda viewer: self._plots(viewer, session_id))

    def sessions(self, session_id: str = "") -> Response:  # noqa: ARG002 - for the host's decorator
        """One page of the sessions that the caller may see."""
        return self._handle(self._sessions)

    def changes(self, session_id: str = "") -> Response:  # noqa: ARG002 - see sessions
        """Changes since a clock."""
        return self._handle(self._changes)

    def _handle(self, respond: Callable[[Viewer], Response]) -> Response:
        viewer = self._get_viewer()
        if isinstance(viewer, Response):
            return viewer
        try:
            return respond(viewer)
        except BadParameterError as error:
            return respond_with_error(400, str(error))
        except (ScansBusyError, RootLostError, OSError) as error:
            return respond_unavailable(error)
        except CatalogError:
            return respond_catalog_unavailable()
        except SearchTimeoutError:
            message = "The session has too much text to search it now; retry later"
            return respond_with_error(503, message, Retry_After="5")

    def _plots(self, viewer: Viewer, session: str) -> Response:
        limit, after = page_parameters(request)
        query = text_parameter(request, "q") or ""
        project = text_parameter(request, "project")
        if project is not None and not self._lookup.tree.layout.is_project(project):
            # Not every database can compare with every text.
            project = ""
        facts_filter = facts_parameters(request, session, viewer.allows)
        if decode_path(request.environ) is None or not is_name(session) or not viewer.allows(session):
            return respond_not_found(message=NO_SESSION)
        page = self._lookup.read(
            lambda: self._listing.plots(
                session, limit, after, query, project=project, allows=viewer.allows, facts_filter=facts_filter
            )
        )
        if page is None and facts_filter is not None:
            return respond_catalog_unavailable()
        if page is not None:
            clock, entries, next_after = viewer.seal_clock(page.clock), page.entries, page.next
            cache_status = self._lookup.hit_status
        else:
            # Clock 0: a client that passes it to /changes gets `fresh` and lists again.
            clock, cache_status = "0", CacheStatus.MISS
            entries, next_after = self._scan(session, project, limit, after, query)
        if not entries and not self._lookup.has_session(session):
            return respond_not_found(message=NO_SESSION)
        plots = entries_to_json(entries, viewer.plot_url, of_project=project is not None)
        return respond_list(cache_status, session=session, clock=clock, plots=plots, next=next_after)

    def _scan(
        self, session: str, project: str | None, limit: int, after: str, query: str
    ) -> tuple[list[Entry], str | None]:
        start = after.encode(errors="replace")
        plots = [plot for plot in self._lookup.scan_session(session) if project in (None, plot.project)]
        names = NameFilter(query)
        behind = (plot for plot in plots if plot.filename.encode() > start)
        page, following = page_of(names.filter_entries(entries_of(behind)), limit)
        existing = ((plot.filename, plot.project) for plot in plots)
        return with_siblings(page, existing), following or names.stopped_after

    def _sessions(self, viewer: Viewer) -> Response:
        limit, after = page_parameters(request)
        query = text_parameter(request, "q") or ""
        require_catalog(self._lookup)
        clock, rows, next_after = self._listing.sessions(viewer.allows, limit, after, query)
        sessions = [{"session": name, "plots": plots, "mtime": rfc3339(mtime_ns)} for name, plots, mtime_ns in rows]
        return respond_list(self._lookup.hit_status, clock=viewer.seal_clock(clock), sessions=sessions, next=next_after)

    def _changes(self, viewer: Viewer) -> Response:
        since, within = viewer.open_clock(clock_parameter(request))
        wait = seconds_parameter(request, "wait", MAX_WAIT_SECONDS)
        session = request.args.get("session")
        if session is not None and not (is_name(session) and viewer.allows(session)):
            return respond_not_found(message=NO_SESSION)
        require_catalog(self._lookup)
        page = self._listing.changes(since, viewer.allows, session, within=within)
        # A removed session still reports the removal of its last plots.
        if session is not None and not (page.changed or page.removed or self._session_exists(session)):
            return respond_not_found(message=NO_SESSION)
        if not wait or not _is_empty(page):
            return self._respond_changes(page, viewer)
        if self._wait_slots is None or not self._wait_slots.acquire(blocking=False):
            # Retry-After keeps the client from polling without pause.
            return self._respond_changes(page, viewer, Retry_After="1")
        try:
            page = self._wait(page, viewer, session, time.monotonic() + min(wait, self._max_wait))
        finally:
            self._wait_slots.release()
        # The token may have been revoked during the wait.
        current = self._get_viewer()
        return current if isinstance(current, Response) else self._respond_changes(page, current)

    def _respond_changes(self, page: ChangesPage, viewer: Viewer, **headers: str) -> Response:
        response = respond_list(
            self._lookup.hit_status,
            clock=viewer.seal_clock(page.clock, page.within),
            fresh=page.fresh,
            more=page.more,
            changed=entries_to_json(page.changed, viewer.plot_url),
            removed=[key._asdict() for key in page.removed],
        )
        response.headers.extend({name.replace("_", "-"): value for name, value in headers.items()})
        return response

    def _wait(self, page: ChangesPage, viewer: Viewer, session: str | None, deadline: float) -> ChangesPage:
        last_commit = None
        while True:
            seen, read_at = self._listing.database.notifications, time.monotonic()
            require_catalog(self._lookup)
            commit = self._listing.clock()
            if commit != last_commit:
                last_commit = commit
                page = self._listing.changes(page.clock, viewer.allows, session)
            if not _is_empty(page) or time.monotonic() >= deadline or self._is_stopping():
                return page
            self._wait_for_commit(seen, min(deadline, read_at + CHECK_SECONDS))
            # Beside sessions that change without pause, a waiter reads no more often than this.
            time.sleep(max(0.0, read_at + MIN_READ_SECONDS - time.monotonic()))

    def _wait_for_commit(self, seen: int, until: float) -> None:
        """Return once there may be new commits, the server stops, or at `until`."""
        database = self._listing.database
        while (left := until - time.monotonic()) > 0 and not self._is_stopping():
            if database.wait_for_commit(seen, min(left, STOP_SECONDS)):
                return

    def _session_exists(self, session: str) -> bool:
        return self._lookup.catalog.session_row(session) is not None or self._lookup.has_session(session)


def require_catalog(lookup: Lookup) -> None:
    """Raise CatalogError unless there is a catalogue."""
    if not lookup.has_catalog():
        raise CatalogError("There is no catalogue for this root.")


def _is_empty(page: ChangesPage) -> bool:
    return not (page.fresh or page.more or page.changed or page.removed)


def respond_list(cache_status: CacheStatus, **content: object) -> Response:
    """A JSON object; if it has `next`, with a link to the next page."""
    fields = [
        f"{json.dumps(name)}:{value if isinstance(value, JsonText) else json.dumps(value, separators=(',', ':'))}"
        for name, value in content.items()
    ]
    response = Response(f"{{{','.join(fields)}}}\n", mimetype="application/json")
    response.headers["Cache-Control"] = REVALIDATE
    response.headers["Cache-Status"] = f"plotindex; {cache_status}"
    if following := content.get("next"):
        link = f'<?{urlencode({**request.args.to_dict(), "after": following}, quote_via=quote)}>; rel="next"'
        if len(link) <= MAX_LINK_LENGTH:
            response.headers["Link"] = link
    return response
