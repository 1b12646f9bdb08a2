"""The Flask extension: plots in an application with its own access control."""

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from flask import Blueprint, Flask, Response, current_app, has_app_context, has_request_context, request

from plotindex.comparison.background import BackgroundComparer
from plotindex.config import Settings
from plotindex.errors import SettingsError
from plotindex.index import Lookup
from plotindex.tree import SessionFilter
from plotindex.web.app_state import AppState
from plotindex.web.authentication import is_same_origin, is_signed, sent_by_browser
from plotindex.web.entries import below
from plotindex.web.errors import FOREIGN_FORM, respond_not_found, respond_with_error
from plotindex.web.host_app import (
    SessionCheck,
    check_endpoint,
    read_settings,
    resolve,
    unused_blueprint_name,
    warn_about_existing_route,
)
from plotindex.web.kept_versions import KeptAccess
from plotindex.web.plot_files import PlotFiles
from plotindex.web.shadow import ShadowView
from plotindex.web.views.diff import DiffViews
from plotindex.web.views.export import ExportViews
from plotindex.web.views.facts import FactsViews
from plotindex.web.views.gallery import GalleryViews
from plotindex.web.views.history import HistoryViews
from plotindex.web.views.image import plot_url_rule, serve_plot
from plotindex.web.views.like import LikeViews
from plotindex.web.views.lists import ListViews, Route, Viewer

MAX_HOST_WAIT_SECONDS = 5.0
"""Shorter than in the server: after a wait, `may_see` is called again, but the decorator is not."""
EXAMPLE_PATH = "/plots/session/plot.png"

View = Callable[..., Any]


class PlotIndex(PlotFiles):
    """Serves the plots of one root at `{url_prefix}/plots/<session_id>/<path:filename>`.

        plots = PlotIndex(root="/srv/plots", decorator=require_auth)
        plots.init_app(app)

    `decorator` wraps the views; `may_see(session_id)` must return True. Given both, both must allow the request. For
    pages and lists of several sessions the decorator is called with `session_id=""` and checks the login only.
    `may_see` adds the lists, the changes and, with `gallery=True`, the gallery.
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        root: str | Path | None = None,
        database: str | None = None,
        decorator: Callable[[View], View] | None = None,
        may_see: Callable[[str], bool] | None = None,
        endpoint: str | None = None,
        wait: int = 0,
        gallery: bool = False,
        gallery_decorator: Callable[[View], View] | None = None,
        **settings: object,
    ) -> None:
        """At most `wait` requests may wait for changes at once. `settings`: as in plotindex.toml, such as url_prefix.

        `endpoint` is the name of the image route, by default plotindex.plot. `gallery` adds the gallery below
        `{url_prefix}/gallery`; `gallery_decorator` wraps its pages instead of `decorator`.

        Raises:
            SettingsError: neither `decorator` nor `may_see` is given, or a setting is wrong.
        """
        if decorator is None and may_see is None:
            raise SettingsError(
                "PlotIndex needs access control: pass decorator=your_auth_decorator or may_see=function."
            )
        if gallery and may_see is None:
            raise SettingsError("gallery=True needs may_see=function, which selects the sessions to show.")
        if gallery_decorator is not None and not gallery:
            raise SettingsError("gallery_decorator= needs gallery=True: without it there are no pages to wrap.")
        functions = {"decorator": decorator, "may_see": may_see, "gallery_decorator": gallery_decorator}
        for name, value in functions.items():
            if value is not None and not callable(value):
                raise SettingsError(f"{name}= must be a function, not {value!r}.")
        given = {**settings, "root": root, "database": database}
        self._given = {name: value for name, value in given.items() if value is not None}
        self._decorator = decorator
        self._gallery_decorator = gallery_decorator or decorator
        self._may_see = SessionCheck(may_see) if may_see is not None else None
        self._endpoint = endpoint
        self._max_waiters = wait
        self._has_gallery = gallery
        self._shadow_view: ShadowView | None = None
        self._states: dict[Flask, AppState] = {}
        self._endpoints: dict[Flask, str] = {}
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Read the settings and add the routes. Opens no file or connection before the first request (fork-safe).

        Settings that were not passed come from `app.config` (PLOTINDEX_ROOT and so on), then from the environment.

        Raises:
            SettingsError: a setting is missing or wrong, or the URL prefix is in use.
        """
        settings = read_settings(app, self._given)
        if self._endpoint is not None:
            check_endpoint(app, self._endpoint)
        state = AppState.create(app, settings)
        extensions = app.extensions.setdefault("plotindex", {})
        if extensions.setdefault(settings.url_prefix, self) is not self or app in self._states:
            prefix = settings.url_prefix or "/"
            raise SettingsError(f"The application already has a PlotIndex at {prefix}: pass another url_prefix=.")
        self._states[app] = state
        self._endpoints[app] = self._add_routes(app, settings, state.lookup)
        if self._shadow_view is not None:
            self._mount(self._shadow_view)

    @property
    def lookup(self) -> Lookup:
        """The lookup of the current application."""
        return self._state().lookup

    def url_for(
        self,
        session_id: str,
        filename: str,
        *,
        expires: int = 3600,
        project: str | None = None,
        version: str | None = None,
        width: int | None = None,
        format: str | None = None,
        download: bool = False,
        external: bool = False,
    ) -> str:
        """A signed URL for `<img>`, valid for at least `expires` seconds without any access check.

        With `width` (160, 320, 640, 1280 or 2560) it opens the picture, with `format` (such as "pdf") the sibling. The
        caller decides who gets it. The key is PLOTINDEX_SECRET_KEY or, without it, `app.secret_key`.

        Raises:
            PlotIndexError: not a valid plot, width or format.
            SettingsError: there is no key, or `external` without PLOTINDEX_PUBLIC_URL.
        """
        state = self._state()
        options = {
            "project": project,
            "v": version,
            "width": str(width) if width is not None else None,
            "format": format,
            "download": "1" if download else None,
        }
        parameters = {name: value for name, value in options.items() if value is not None}
        path = state.sign_url(session_id, filename, parameters, expires)
        if not external:
            return (request.script_root if has_request_context() else "") + path
        if state.settings.public_url:
            return state.settings.public_url + path
        # The request's Host is no substitute: the client chooses it, and would receive the signature.
        raise SettingsError("external=True needs the public URL of the application: set PLOTINDEX_PUBLIC_URL.")

    def shadow(self, old_view: View) -> View:
        """Keep serving the responses of `old_view`, and log each difference from plotindex.

        Routes of `old_view` that the application has by now are compared; mount the returned view on later ones. The
        plot routes of this extension use it too, also for signed URLs.

        Raises:
            SettingsError: `old_view` does not accept `session_id` and `filename`.
        """
        try:
            inspect.signature(old_view).bind(session_id="", filename="")
        except TypeError:
            raise SettingsError("The old view must accept the arguments session_id and filename.") from None
        self._shadow_view = ShadowView(old_view, lambda: self.lookup)
        self._mount(self._shadow_view)
        return self._shadow_view

    def _mount(self, shadow: ShadowView) -> None:
        for app, state in self._states.items():
            shadow.mount(app, self._endpoints[app], f"{state.settings.url_prefix}{EXAMPLE_PATH}")

    def _add_routes(self, app: Flask, settings: Settings, lookup: Lookup) -> str:
        """Add the routes; return the endpoint of the image route."""
        prefix = settings.url_prefix
        view: View = self._authorized_view
        if self._decorator is not None:
            view = self._decorator(view)
            if not callable(view):
                raise SettingsError(f"decorator= must return a view, not {view!r}: give the decorator itself.")
        pages = Blueprint(unused_blueprint_name(app, "plotindex"), __name__)
        endpoint = self._endpoint or f"{pages.name}.plot"
        # An empty path part must not match: it is not part of a key.
        rule = plot_url_rule(app, prefix)
        warn_about_existing_route(app, f"{prefix}{EXAMPLE_PATH}")
        # Not by a blueprint: the endpoint may belong to one of the application.
        app.add_url_rule(rule, endpoint, self._accept_signed_url(view), methods=["GET"], merge_slashes=False)
        if self._may_see is not None:
            state = self._states[app]
            comparer = BackgroundComparer.from_settings(settings, lookup, state.history)
            for views in (
                ListViews(lookup, self._viewer, self._max_waiters, MAX_HOST_WAIT_SECONDS),
                HistoryViews(lookup, state.history, self._viewer),
                FactsViews(lookup, self._viewer),
                ExportViews(lookup, self._viewer, settings.export_mb, self._check_form),
                LikeViews(lookup, state.history, self._viewer, self._check_form),
                DiffViews(lookup, state.history, comparer, self._viewer),
            ):
                self._add_list_routes(pages, views.routes(prefix))
        app.register_blueprint(pages)
        if self._has_gallery:
            gallery = GalleryViews(
                lookup, self._states[app].history, self._viewer, prefix, frame_ancestors=settings.frame_ancestors
            )
            gallery_name = unused_blueprint_name(app, "plotindex_gallery")
            app.register_blueprint(gallery.blueprint(gallery_name, f"{prefix}/gallery", self._gallery_decorator))
        return endpoint

    def _add_list_routes(self, pages: Blueprint, routes: Sequence[Route]) -> None:
        for rule, name, view, method in routes:
            guarded = self._decorator(view) if self._decorator is not None else view
            # The decorator may read session_id from the arguments: empty where the route has none.
            defaults = {} if "session_id" in rule else {"session_id": ""}
            pages.add_url_rule(rule, name, guarded, methods=[method], merge_slashes=False, defaults=defaults)

    def _accept_signed_url(self, guarded: View) -> View:
        """A view that bypasses the decorator and `may_see` for a valid signed URL."""

        def plot(session_id: str, filename: str) -> Any:  # noqa: ANN401 - the decorator's return value
            if is_signed(request.environ):
                state = self._state()
                if state.url_signer.verify(session_id, filename, request.args.items(multi=True)):
                    return self._serve(session_id, filename)
            return resolve(guarded(session_id=session_id, filename=filename))

        return plot

    def _authorized_view(self, session_id: str, filename: str) -> Any:  # noqa: ANN401 - the old view's return value
        if self._may_see is not None and not self._may_see(session_id):
            return respond_not_found()
        return self._serve(session_id, filename)

    def _serve(self, session_id: str, filename: str) -> Any:  # noqa: ANN401 - see above
        if self._shadow_view is not None:
            return self._shadow_view(session_id=session_id, filename=filename)
        state = self._state()
        accel = state.settings.x_accel_prefix or None
        kept = KeptAccess(state.history, is_limited=True)
        return serve_plot(state.lookup, state.thumbnails, request, session_id, filename, kept=kept, accel=accel)

    def _viewer(self) -> Viewer | Response:
        may_see, state = self._may_see, self._state()
        assert may_see is not None

        plot_url = below(request.script_root, state.url_signer.unsigned_path)
        return Viewer(SessionFilter(may_see), plot_url, state.clock_sealer)

    def _check_form(self) -> Response | None:
        if sent_by_browser(request) and not is_same_origin(request, self._state().settings.public_url):
            return respond_with_error(403, FOREIGN_FORM)
        return None

    def _state(self) -> AppState:
        """The state for the current application; outside an application context, for the only one."""
        if has_app_context():
            state = self._states.get(current_app._get_current_object())  # type: ignore[attr-defined]  # of the proxy
            if state is not None:
                return state
        elif len(self._states) == 1:
            return next(iter(self._states.values()))
        raise SettingsError("PlotIndex is not initialised for this application: call init_app(app) first.")
