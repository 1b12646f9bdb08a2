"""The list routes: sessions, the plots of a session, and changes since a clock."""

import re
import threading
import time
from collections.abc import Callable
from operator import attrgetter
from typing import Any, NamedTuple

from flask import Request, Response, jsonify, request

from plotindex.auth import CLOCK_TEXT, ClockSealer
from plotindex.errors import CatalogError, RootLostError
from plotindex.index import CacheStatus, Lookup, ScansBusyError
from plotindex.storage import ChangesPage, Entry, Listing, NameFilter, entries_of, page_of
from plotindex.system import rfc3339
from plotindex.tree import Plot, PlotKey, SessionFilter, is_name
from plotindex.web.answers import REVALIDATE
from plotindex.web.errors import respond_not_found, respond_unavailable, respond_with_error
from plotindex.web.wsgi import decode_path

MAX_PAGE_SIZE = 1_000
DEFAULT_PAGE_SIZE = 100
MAX_QUERY_LENGTH = 500
MAX_WAIT_SECONDS = 20.0
POLL_SECONDS = 0.25
"""Maximum interval between checks of the clock while a request waits for changes."""
NO_SESSION = "Session not found"

PlotUrl = Callable[[PlotKey, dict[str, str]], str]
"""Returns the URL of a plot with query parameters."""
Route = tuple[str, str, Callable[..., Response]]
"""Rule, endpoint and view."""


class Viewer(NamedTuple):
    """The permissions of the caller, and how to build plot URLs for the caller."""

    allows: SessionFilter
    plot_url: PlotUrl
    clock_sealer: ClockSealer
    name: str = ""
    """Identifies the caller; empty for those of a host."""

    def seal_clock(self, clock: int) -> str:
        """The clock, encrypted for the caller."""
        return self.clock_sealer.seal(clock, self.name)

    def open_clock(self, text: str) -> int:
        """The clock in a text; 0, of which nothing is known, if it is another caller's or from an older version."""
        return self.clock_sealer.open(text, self.name) or 0


class BadParameterError(Exception):
    """A query parameter is invalid; the message is the response."""


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
            (f"{url_prefix}/plots/<session_id>", "plots", self.plots),
            (f"{url_prefix}/plots", "sessions", self.sessions),
            (f"{url_prefix}/changes", "changes", self.changes),
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
            return respond_with_error(503, "The catalogue is not available; retry later", Retry_After="5")

    def _plots(self, viewer: Viewer, session: str) -> Response:
        limit, after, query = _page_parameters(request)
        if decode_path(request.environ) is None or not is_name(session) or not viewer.allows(session):
            return respond_not_found(message=NO_SESSION)
        page = self._lookup.read(lambda: self._listing.plots(session, limit, after, query, allows=viewer.allows))
        if page is not None:
            clock, entries, next_after = viewer.seal_clock(page.clock), page.entries, page.next
            cache_status = self._lookup.hit_status
        else:
            # Clock 0: a client that passes it to /changes gets `fresh` and lists again.
            clock, cache_status = "0", CacheStatus.MISS
            entries, next_after = self._scan(session, limit, after, query)
        if not entries and not self._lookup.has_session(session):
            return respond_not_found(message=NO_SESSION)
        plots = [entry_to_json(entry, viewer.plot_url) for entry in entries]
        return _respond(cache_status, session=session, clock=clock, plots=plots, next=next_after)

    def _scan(self, session: str, limit: int, after: str, query: str) -> tuple[list[Entry], str | None]:
        start, plots = after.encode(errors="replace"), self._lookup.scan_session(session)
        names = NameFilter(query)
        behind = (plot for plot in plots if plot.filename.encode() > start)
        page, following = page_of(entries_of(names.filter(behind, attrgetter("filename"))), limit)
        return page, following or names.stopped_after

    def _sessions(self, viewer: Viewer) -> Response:
        limit, after, query = _page_parameters(request)
        self._require_catalog()
        clock, rows, next_after = self._listing.sessions(viewer.allows, limit, after, query)
        sessions = [{"session": name, "plots": plots, "mtime": rfc3339(mtime_ns)} for name, plots, mtime_ns in rows]
        return _respond(self._lookup.hit_status, clock=viewer.seal_clock(clock), sessions=sessions, next=next_after)

    def _changes(self, viewer: Viewer) -> Response:
        since = viewer.open_clock(_clock_parameter(request))
        wait = _seconds_parameter(request, "wait", MAX_WAIT_SECONDS)
        session = request.args.get("session")
        if session is not None and not (is_name(session) and viewer.allows(session)):
            return respond_not_found(message=NO_SESSION)
        self._require_catalog()
        page = self._listing.changes(since, viewer.allows, session)
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
        response = _respond(
            self._lookup.hit_status,
            clock=viewer.seal_clock(page.clock),
            fresh=page.fresh,
            more=page.more,
            changed=[entry_to_json(entry, viewer.plot_url) for entry in page.changed],
            removed=[key._asdict() for key in page.removed],
        )
        response.headers.extend({name.replace("_", "-"): value for name, value in headers.items()})
        return response

    def _wait(self, page: ChangesPage, viewer: Viewer, session: str | None, deadline: float) -> ChangesPage:
        last_commit = None
        while True:
            seen = self._listing.database.notifications
            self._require_catalog()
            commit = self._listing.clock()
            if commit != last_commit:
                last_commit = commit
                page = self._listing.changes(page.clock, viewer.allows, session)
            if not _is_empty(page) or time.monotonic() >= deadline or self._is_stopping():
                return page
            self._listing.database.wait_for_commit(seen, POLL_SECONDS)

    def _session_exists(self, session: str) -> bool:
        return self._lookup.catalog.session_row(session) is not None or self._lookup.has_session(session)

    def _require_catalog(self) -> None:
        if not self._lookup.has_catalog():
            raise CatalogError("There is no catalogue for this root.")


def entry_to_json(entry: Entry, plot_url: PlotUrl) -> dict[str, Any]:
    """An entry as a JSON object: its current copy and all copies."""
    current = entry.copies[0]
    return {
        **entry.key._asdict(),
        **copy_to_json(current),
        "url": plot_url(entry.key, {"v": current.version}),
        "copies": [
            {
                **copy_to_json(copy),
                "url": plot_url(entry.key, {"project": copy.project, "v": copy.version}),
            }
            for copy in entry.copies
        ],
    }


def copy_to_json(copy: Plot) -> dict[str, Any]:
    """The fields of a copy, except its URL."""
    return {
        "project": copy.project,
        "size": copy.size,
        "mtime": rfc3339(copy.mtime_ns),
        "version": copy.version,
    }


def _is_empty(page: ChangesPage) -> bool:
    return not (page.fresh or page.more or page.changed or page.removed)


def _respond(cache_status: CacheStatus, **content: object) -> Response:
    response: Response = jsonify(content)
    response.headers["Cache-Control"] = REVALIDATE
    response.headers["Cache-Status"] = f"plotindex; {cache_status}"
    return response


def _page_parameters(request: Request) -> tuple[int, str, str]:
    limit = _integer_parameter(request, "limit", DEFAULT_PAGE_SIZE, 1, MAX_PAGE_SIZE)
    query = request.args.get("q", "")
    if len(query) > MAX_QUERY_LENGTH:
        raise BadParameterError(f"q must be at most {MAX_QUERY_LENGTH} characters long")
    return limit, request.args.get("after", ""), query


def _integer_parameter(request: Request, name: str, default: int, minimum: int, maximum: int) -> int:
    text = request.args.get(name)
    if text is None:
        return default
    # int() also accepts signs, spaces, underscores and non-ASCII digits.
    value = int(text) if text.isascii() and text.isdigit() and len(text) <= 30 else -1
    if not minimum <= value <= maximum:
        raise BadParameterError(f"{name} must be a whole number from {minimum} to {maximum}")
    return value


def _clock_parameter(request: Request) -> str:
    text = request.args.get("since", "0")
    # Older versions gave numbers.
    if not (CLOCK_TEXT.fullmatch(text) or re.fullmatch(r"[0-9]{1,30}", text)):
        raise BadParameterError("since must be 0 or the clock of an earlier response")
    return text


def _seconds_parameter(request: Request, name: str, maximum: float) -> float:
    text = request.args.get(name, "0")
    # float() also accepts signs, underscores, "nan" and non-ASCII digits.
    seconds = float(text) if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text) else -1.0
    if not 0 <= seconds <= maximum:
        raise BadParameterError(f"{name} must be a number of seconds from 0 to {maximum:g}")
    return seconds
