"""The history routes: the kept versions of a plot, and the plots of a session of which versions are kept."""

from collections.abc import Callable, Container
from typing import Any

from flask import Response, jsonify, request

from plotindex.errors import CatalogError, RootLostError
from plotindex.history.access import BadPlaceError, History
from plotindex.history.listing import key_to_json, version_to_json
from plotindex.index import CacheStatus, Lookup, ScansBusyError
from plotindex.storage import KeptVersion
from plotindex.system import rfc3339
from plotindex.tree import Plot, is_name
from plotindex.web.answers import REVALIDATE
from plotindex.web.entries import PlotUrl, version_url
from plotindex.web.errors import respond_history_unavailable, respond_not_found, respond_unavailable, respond_with_error
from plotindex.web.kept_versions import KeptAccess, VersionName, read_versions, version_name
from plotindex.web.views.list_parameters import BadParameterError, page_parameters
from plotindex.web.views.lists import NO_SESSION, Route, Viewer
from plotindex.web.wsgi import decode_path


class HistoryViews:
    """The history views of one instance. All responses are JSON, including errors."""

    def __init__(self, lookup: Lookup, history: History, get_viewer: Callable[[], Viewer | Response]) -> None:
        """`get_viewer` returns the caller of the current request, or an error response."""
        self._lookup = lookup
        self._history = history
        self._get_viewer = get_viewer

    def routes(self, url_prefix: str) -> list[Route]:
        """The routes to mount, after the image route, whose converter they use."""
        return [
            Route(f"{url_prefix}/history/<session_id>", "history_keys", self.keys),
            Route(f"{url_prefix}/history/<session_id>/<plotindex_filename:filename>", "history", self.versions),
        ]

    def versions(self, session_id: str, filename: str) -> Response:
        """One page of the versions of a plot, the newest first."""
        return self._handle(session_id, lambda viewer: self._versions(viewer, session_id, filename))

    def keys(self, session_id: str) -> Response:
        """One page of the plots of a session of which versions are kept, removed ones too."""
        return self._handle(session_id, lambda viewer: self._keys(viewer, session_id))

    def _handle(self, session: str, respond: Callable[[Viewer], Response]) -> Response:
        viewer = self._get_viewer()
        if isinstance(viewer, Response):
            return viewer
        # Before anything is looked up.
        if decode_path(request.environ) is None or not is_name(session) or not viewer.allows(session):
            return respond_not_found(message=NO_SESSION)
        try:
            return respond(viewer)
        except (BadParameterError, BadPlaceError) as error:
            return respond_with_error(400, str(error))
        except (ScansBusyError, RootLostError, OSError) as error:
            return respond_unavailable(error)
        except CatalogError:
            return respond_history_unavailable()

    def _versions(self, viewer: Viewer, session: str, filename: str) -> Response:
        limit, after = page_parameters(request)
        key = self._lookup.tree.layout.parse_key(session, filename)
        project = request.args.get("project")
        if key is None:
            return respond_not_found()
        access = KeptAccess(self._history, is_limited=not viewer.allows.is_all)
        new, kept, present, following = read_versions(self._lookup, access, key, project, limit, after=after)
        if not kept and not present and not after:
            return respond_not_found()
        now = set(map(version_name, present))
        versions = [_new_to_json(copy, viewer.plot_url) for copy in new]
        versions += [kept_to_json(each, viewer.plot_url, now) for each in kept]
        return _respond(session=session, filename=filename, versions=versions, next=following)

    def _keys(self, viewer: Viewer, session: str) -> Response:
        limit, after = page_parameters(request)
        only_gone = request.args.get("gone") == "1"
        page = self._history.keys(session, limit, after, is_limited=not viewer.allows.is_all, only_gone=only_gone)
        if not page.keys and not after and not self._lookup.has_session(session):
            return respond_not_found(message=NO_SESSION)
        return _respond(session=session, keys=[key_to_json(key) for key in page.keys], next=page.next)


def kept_to_json(kept: KeptVersion, plot_url: PlotUrl, present: Container[VersionName]) -> dict[str, Any]:
    """A kept version as a JSON object. `present`: the versions of its key that are there now."""
    plot = kept.plot
    current = version_name(plot) in present
    return {**version_to_json(kept), "current": current, "url": version_url(plot, plot_url)}


def _new_to_json(copy: Plot, plot_url: PlotUrl) -> dict[str, Any]:
    """A copy that is there now, and whose bytes are not kept yet."""
    return {
        "project": copy.project,
        "version": copy.version,
        "digest": None,
        "size": copy.size,
        "mtime": rfc3339(copy.mtime_ns),
        "seen": None,
        "current": True,
        "url": version_url(copy, plot_url),
    }


def _respond(**content: object) -> Response:
    response: Response = jsonify(content)
    response.headers["Cache-Control"] = REVALIDATE
    response.headers["Cache-Status"] = f"plotindex; {CacheStatus.HIT}"
    return response
