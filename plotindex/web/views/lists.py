"""Lists over HTTP: sessions, the plots of one, and what has changed since a clock."""

import re
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from flask import Request, Response, jsonify, request

from plotindex.errors import CatalogError, RootLostError
from plotindex.index import CacheStatus, Lookup, ScansBusyError
from plotindex.storage import Allows, ChangesPage, Entry, Listing, entries_of, page_of
from plotindex.system import rfc3339
from plotindex.tree import Plot, PlotKey, is_name, name_matcher
from plotindex.web.answers import REVALIDATE
from plotindex.web.errors import has_utf8_path, respond_not_found, respond_unavailable, respond_with_error

MAX_PAGE_SIZE = 1_000
DEFAULT_PAGE_SIZE = 100
MAX_QUERY_LENGTH = 500
MAX_WAIT_SECONDS = 20.0
POLL_SECONDS = 0.25
"""How often at least somebody who waits looks whether the clock has moved, and whether he is to wait on."""
NO_SESSION = "Session not found"


Address = Callable[[PlotKey, dict[str, str]], str]
"""The address of a plot, with parameters."""
Route = tuple[str, str, Callable[..., Response]]
"""Rule, name and view."""


class Viewer(NamedTuple):
    """What the caller may see, and by which address he fetches a plot."""

    allows: Allows
    address: Address
    allows_all: bool | None = None
    """Whether he may see every session that there is or will be; None where only a host's function knows."""


class BadParameterError(Exception):
    """A parameter of the request is wrong; the message says how."""


class ListViews:
    """The list routes of one instance. Each view answers with JSON, also when something is wrong."""

    def __init__(
        self,
        lookup: Lookup,
        viewer: Callable[[], Viewer | Response],
        max_waiters: int,
        max_wait: float = MAX_WAIT_SECONDS,
        is_stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        """`viewer` says who asks, or answers him itself.

        So many requests may wait for changes at once, each for so many seconds at most, and none while `is_stopping`.
        """
        self._lookup = lookup
        self._listing = Listing(lookup.catalog.database)
        self._viewer = viewer
        self._max_wait = max_wait
        self._is_stopping = is_stopping
        self._waiting = threading.BoundedSemaphore(max_waiters) if max_waiters else None

    def routes(self, url_prefix: str) -> list[Route]:
        """Where each view is to be mounted; the rule says whether it takes a session."""
        return [
            (f"{url_prefix}/plots/<session_id>", "plots", self.plots),
            (f"{url_prefix}/plots", "sessions", self.sessions),
            (f"{url_prefix}/changes", "changes", self.changes),
        ]

    def plots(self, session_id: str) -> Response:
        """The keys of a session, a page of them."""
        return self._answer(lambda viewer: self._plots(viewer, session_id))

    def sessions(self, session_id: str = "") -> Response:  # noqa: ARG002 - for the host's decorator
        """The sessions that the caller may see, a page of them."""
        return self._answer(self._sessions)

    def changes(self, session_id: str = "") -> Response:  # noqa: ARG002 - see sessions
        """What has changed since a clock."""
        return self._answer(self._changes)

    def _answer(self, respond: Callable[[Viewer], Response]) -> Response:
        viewer = self._viewer()
        if isinstance(viewer, Response):
            return viewer
        try:
            return respond(viewer)
        except BadParameterError as error:
            return respond_with_error(400, str(error))
        except (ScansBusyError, RootLostError, OSError) as error:
            return respond_unavailable(error)
        except CatalogError:
            return respond_with_error(503, "There is no catalogue to read now", Retry_After="5")

    def _plots(self, viewer: Viewer, session: str) -> Response:
        limit, after, query = _page_parameters(request)
        if not has_utf8_path(request) or not is_name(session) or not viewer.allows(session):
            return respond_not_found(message=NO_SESSION)
        if self._lookup.has_catalog():
            clock, entries, following = self._listing.plots(session, limit, after, query)
            cache_status = self._lookup.hit_status
        else:
            # There is no clock to begin with; a reader of /changes is told to list again.
            clock, cache_status = 0, CacheStatus.MISS
            entries, following = self._walk(session, limit, after, query)
        if not entries and not self._lookup.has_session(session):
            return respond_not_found(message=NO_SESSION)
        listed = [entry_to_json(entry, viewer.address) for entry in entries]
        return _respond(cache_status, session=session, clock=clock, plots=listed, next=following)

    def _walk(self, session: str, limit: int, after: str, query: str) -> tuple[list[Entry], str | None]:
        wanted, behind = name_matcher(query), after.encode(errors="replace")
        entries = entries_of(plot for plot in self._lookup.scan_session(session) if wanted(plot.filename))
        return page_of((entry for entry in entries if entry.key.filename.encode() > behind), limit)

    def _sessions(self, viewer: Viewer) -> Response:
        limit, after, query = _page_parameters(request)
        self._require_catalog()
        clock, rows, following = self._listing.sessions(viewer.allows, limit, after, query)
        listed = [{"session": name, "plots": plots, "mtime": rfc3339(mtime_ns)} for name, plots, mtime_ns in rows]
        return _respond(self._lookup.hit_status, clock=clock, sessions=listed, next=following)

    def _changes(self, viewer: Viewer) -> Response:
        since = _integer_parameter(request, "since", 0, 0, None)
        wait = _seconds_parameter(request, "wait", MAX_WAIT_SECONDS)
        session = request.args.get("session")
        if session is not None and not (is_name(session) and viewer.allows(session)):
            return respond_not_found(message=NO_SESSION)
        self._require_catalog()
        found = self._listing.changes(since, viewer.allows, session)
        # That its last plot was removed is told of a session that is gone, too.
        if session is not None and not (found.changed or found.removed or self._session_exists(session)):
            return respond_not_found(message=NO_SESSION)
        if not wait or not _is_empty(found):
            return self._respond_changes(found, viewer)
        if self._waiting is None or not self._waiting.acquire(blocking=False):
            # So that nobody asks again without a pause.
            return self._respond_changes(found, viewer, Retry_After="1")
        try:
            found = self._wait(found, viewer, session, time.monotonic() + min(wait, self._max_wait))
        finally:
            self._waiting.release()
        # The token may have been revoked meanwhile.
        again = self._viewer()
        return again if isinstance(again, Response) else self._respond_changes(found, again)

    def _respond_changes(self, found: ChangesPage, viewer: Viewer, **headers: str) -> Response:
        response = _respond(
            self._lookup.hit_status,
            clock=found.clock,
            fresh=found.fresh,
            more=found.more,
            changed=[entry_to_json(entry, viewer.address) for entry in found.changed],
            removed=[key._asdict() for key in found.removed],
        )
        response.headers.extend({name.replace("_", "-"): value for name, value in headers.items()})
        return response

    def _wait(self, found: ChangesPage, viewer: Viewer, session: str | None, until: float) -> ChangesPage:
        while True:
            seen = self._listing.database.notifications
            self._require_catalog()
            if self._listing.clock() != found.clock:
                found = self._listing.changes(found.clock, viewer.allows, session)
            if not _is_empty(found) or time.monotonic() >= until or self._is_stopping():
                return found
            self._listing.database.wait_for_commit(seen, POLL_SECONDS)

    def _session_exists(self, session: str) -> bool:
        return self._lookup.catalog.session_row(session) is not None or self._lookup.has_session(session)

    def _require_catalog(self) -> None:
        if not self._lookup.has_catalog():
            raise CatalogError("There is no catalogue of this root.")


def entry_to_json(entry: Entry, address: Address) -> dict[str, Any]:
    """An entry as JSON has it: the current copy, and each copy by itself."""
    current = entry.copies[0]
    return {
        **entry.key._asdict(),
        **copy_to_json(current),
        "url": address(entry.key, {"v": current.version}),
        "copies": [
            {
                **copy_to_json(copy),
                "url": address(entry.key, {"project": copy.project, "v": copy.version}),
            }
            for copy in entry.copies
        ],
    }


def copy_to_json(copy: Plot) -> dict[str, Any]:
    """What is told of a copy."""
    return {
        "project": copy.project,
        "size": copy.size,
        "mtime": rfc3339(copy.mtime_ns),
        "version": copy.version,
    }


def _is_empty(found: ChangesPage) -> bool:
    return not (found.fresh or found.more or found.changed or found.removed)


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


def _integer_parameter(request: Request, name: str, default: int, lowest: int, highest: int | None) -> int:
    given = request.args.get(name)
    if given is None:
        return default
    bounds = f"from {lowest} to {highest}" if highest is not None else f"of at least {lowest}"
    # int() takes signs, spaces, underscores and the digits of every script.
    if not (given.isascii() and given.isdigit() and len(given) <= 30):
        raise BadParameterError(f"{name} must be a whole number {bounds}")
    number = int(given)
    if number < lowest or (highest is not None and number > highest):
        raise BadParameterError(f"{name} must be a whole number {bounds}")
    return number


def _seconds_parameter(request: Request, name: str, highest: float) -> float:
    given = request.args.get(name, "0")
    # float() takes signs, underscores, "nan" and the digits of every script.
    seconds = float(given) if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", given) else -1.0
    if not 0 <= seconds <= highest:
        raise BadParameterError(f"{name} must be a number of seconds from 0 to {highest:g}")
    return seconds
