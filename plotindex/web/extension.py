"""The Flask extension: plots in an application that has its own idea of who may see what."""

import inspect
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from flask import Blueprint, Flask, Response, current_app, has_app_context, has_request_context, request

from plotindex.auth import ExternalKeys, UrlSigner, signed_url_salt
from plotindex.config import Settings
from plotindex.errors import PlotIndexError, SettingsError
from plotindex.index import Lookup, make_lookup
from plotindex.rendering.thumbnails import WIDTH_ERROR, WIDTHS, Thumbnails
from plotindex.storage import Entry, Listing, entries_of
from plotindex.system import printable
from plotindex.tree import PlotKey
from plotindex.web.authentication import is_signed
from plotindex.web.errors import respond_not_found
from plotindex.web.host_app import read_settings, host_signing_keys, unused_blueprint_name, warn_about_existing_route
from plotindex.web.shadow import shadow_view
from plotindex.web.views.gallery import GalleryViews
from plotindex.web.views.image import plot_url_rule, serve_plot
from plotindex.web.views.lists import MAX_PAGE_SIZE, ListViews, Viewer, entry_to_json

HOST_WAIT = 5.0
"""Who may see what is asked again only behind the waiting, and not of the decorator: so it is short."""
DRAWING_THREADS = 1
"""How many requests of a process wait for drawings: how many threads the host has is not known."""

View = Callable[..., Any]


@dataclass(frozen=True)
class Mounted:
    """What one application has of an extension."""

    settings: Settings
    lookup: Lookup
    url_signer: UrlSigner
    thumbnails: Thumbnails


class PlotIndex:
    """Serves the plots of one root at `{url_prefix}/plots/<session_id>/<path:filename>`.

        plots = PlotIndex(root="/srv/plots", decorator=require_auth)
        plots.init_app(app)

    `decorator` wraps the view, as it would wrap the application's own; `may_see` is asked with the session's id and
    must answer True. Given both, both must agree; on pages and lists of several sessions the decorator, called with
    `session_id=""`, says only who is logged in. `may_see` adds the lists and changes of what it allows and, with
    `gallery=True`, the pages.
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        root: str | Path | None = None,
        database: str | None = None,
        decorator: Callable[[View], View] | None = None,
        may_see: Callable[[str], bool] | None = None,
        endpoint: str = "plotindex.plot",
        wait: int = 0,
        gallery: bool = False,
        **settings: object,
    ) -> None:
        """`settings` are those of plotindex.toml, such as url_prefix; so many requests may `wait` for changes at once.

        `gallery` mounts the pages below `{url_prefix}/gallery`: each session's plots as they are drawn.

        Raises:
            SettingsError: neither `decorator` nor `may_see` is given, or a setting is wrong.
        """
        if decorator is None and may_see is None:
            raise SettingsError(
                "PlotIndex must know who may see a plot: give decorator=your_auth_decorator or may_see=a_function."
            )
        if gallery and may_see is None:
            raise SettingsError("gallery=True needs may_see=a_function: the pages name the sessions that it allows.")
        for name, value in (("decorator", decorator), ("may_see", may_see)):
            if value is not None and not callable(value):
                raise SettingsError(f"{name}= must be a function, not {value!r}.")
        given = {**settings, "root": root, "database": database}
        self._given = {name: value for name, value in given.items() if value is not None}
        self._decorator = decorator
        self._may_see = may_see
        self._endpoint = endpoint
        self._waiters = wait
        self._has_gallery = gallery
        self._shadowed: View | None = None
        self._mounted: dict[Flask, Mounted] = {}
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Read the settings and add the routes. Opens nothing: that waits for the first request, after any fork.

        What was not given is read from `app.config` (PLOTINDEX_ROOT and so on), then from the environment.

        Raises:
            SettingsError: a setting is missing or wrong, or the endpoint is taken.
        """
        settings = read_settings(app, self._given)
        lookup = make_lookup(settings)
        mounted = app.extensions.setdefault("plotindex", {})
        if mounted.setdefault(settings.url_prefix, self) is not self or app in self._mounted:
            taken = settings.url_prefix or "/"
            raise SettingsError(f"There is a PlotIndex below {taken} already: give this one another url_prefix=.")
        # Not those of plotindex's own server, though the keys may be the same: these end with a token.
        salt = f"{signed_url_salt(settings)} in an application"
        url_signer = UrlSigner(ExternalKeys(lambda: host_signing_keys(app, settings)), settings.url_prefix, salt)
        self._mounted[app] = Mounted(settings, lookup, url_signer, Thumbnails(settings, DRAWING_THREADS))
        self._mount(app, settings.url_prefix, lookup)

    @property
    def lookup(self) -> Lookup:
        """The look-up of the current application."""
        return self._here().lookup

    def url_for(
        self,
        session_id: str,
        filename: str,
        *,
        expires: int = 3600,
        project: str | None = None,
        version: str | None = None,
        width: int | None = None,
        download: bool = False,
        external: bool = False,
    ) -> str:
        """A signed address, for `<img>`: it opens that plot, without asking who comes, for `expires` seconds at least.

        With a `width`, 160, 320, 640 or 1280, it is that of a thumbnail. Whoever calls this decides who gets it. Signed
        with PLOTINDEX_SECRET_KEY or, without one, the application's.

        Raises:
            PlotIndexError: no plot can have that name, no thumbnail that width, there is no key, or no host is known
                for `external`.
        """
        here = self._here()
        key = here.lookup.tree.layout.parse_key(session_id, filename)
        if key is None:
            raise PlotIndexError(f"{printable(f'{session_id}/{filename}')} can be no plot: check session and filename.")
        if width is not None and str(width) not in WIDTHS:
            raise PlotIndexError(f"{WIDTH_ERROR}, not {width!r}.")
        if not host_signing_keys(current_app, here.settings):
            raise SettingsError("Addresses cannot be signed without a key: set app.secret_key or PLOTINDEX_SECRET_KEY.")
        wanted = {
            "project": project,
            "v": version,
            "width": str(width) if width is not None else None,
            "download": "1" if download else None,
        }
        given = {name: value for name, value in wanted.items() if value is not None}
        address = here.url_signer.sign(key, given, expires)
        if not external:
            return (request.script_root if has_request_context() else "") + address
        if here.settings.public_url:
            return here.settings.public_url + address
        # Not the request's Host, which whoever asks may choose: he would be sent the signature.
        raise SettingsError("The application's own address is not known: set PLOTINDEX_PUBLIC_URL.")

    def open(self, session_id: str, filename: str, project: str | None = None) -> BinaryIO | None:
        """The plot that a key answers with, open for reading, or None: for mails, documents and downloads.

        Whoever calls this decides who may see it.

        Raises:
            ScansBusyError: it is not in the catalogue, and too many others are being looked for.
            RootLostError: it is not found, but the root is not there either.
            OSError: it cannot be opened.
        """
        opened = self.lookup.open(session_id, filename, project).opened
        return cast(BinaryIO, os.fdopen(opened.fd, "rb")) if opened else None

    def list(self, session_id: str) -> list[dict[str, Any]]:
        """Every key of a session as the lists over HTTP describe it, by filename; none of a session that is not there.

        Whoever calls this decides who may see it.

        Raises:
            ScansBusyError: there is no catalogue, and too many others are being looked for.
            CatalogError: the catalogue cannot be read.
            OSError: there is no catalogue, and something cannot be looked at.
        """
        here = self._here()
        return [entry_to_json(entry, here.url_signer.unsigned_path) for entry in _entries(here.lookup, session_id)]

    def shadow(self, old_view: View) -> View:
        """Let the old function go on answering, and log each answer in which plotindex differs.

        It is called with `session_id` and `filename`. Returns the function to mount in its place; where plotindex is
        mounted, before or afterwards, it answers there, too, and for signed addresses.

        Raises:
            SettingsError: it cannot be called so.
        """
        try:
            inspect.signature(old_view).bind(session_id="", filename="")
        except TypeError:
            raise SettingsError("The old function must take session_id and filename, by these names.") from None
        self._shadowed = shadow_view(old_view, lambda: self.lookup)
        return self._shadowed

    def _mount(self, app: Flask, prefix: str, lookup: Lookup) -> None:
        view: View = self._view
        if self._decorator is not None:
            view = self._decorator(view)
            if not callable(view):
                raise SettingsError(f"decorator= must return a view, not {view!r}: give the decorator itself.")
        blueprint, _, name = self._endpoint.rpartition(".")
        pages = Blueprint(unused_blueprint_name(app, blueprint or "plotindex"), __name__)
        target: Flask | Blueprint = pages if blueprint else app
        # Slashes are not merged: an empty part is no part of a key.
        rule = plot_url_rule(app, prefix)
        warn_about_existing_route(app, f"{prefix}/plots/session/plot.png")
        target.add_url_rule(rule, name, self._open_by_address(view), methods=["GET"], merge_slashes=False)
        if self._may_see is not None:
            self._mount_lists(pages, prefix, ListViews(lookup, self._viewer, self._waiters, HOST_WAIT))
        app.register_blueprint(pages)
        if self._has_gallery:
            gallery = GalleryViews(lookup, self._viewer, prefix)
            own = unused_blueprint_name(app, "plotindex_gallery")
            app.register_blueprint(gallery.blueprint(own, f"{prefix}/gallery", self._decorator))

    def _mount_lists(self, pages: Blueprint, prefix: str, lists: ListViews) -> None:
        for rule, name, view in lists.routes(prefix):
            guarded = self._decorator(view) if self._decorator is not None else view
            # A decorator may read the session's id from the arguments: where there is none it is empty.
            empty = {} if "session_id" in rule else {"session_id": ""}
            pages.add_url_rule(rule, name, guarded, methods=["GET"], merge_slashes=False, defaults=empty)

    def _open_by_address(self, guarded: View) -> View:
        """A signed address stands for the permission of whoever made it: the decorator is not asked."""

        def plot(session_id: str, filename: str) -> Any:  # noqa: ANN401 - what the decorator makes of it
            if is_signed(request):
                here = self._here()
                if here.url_signer.verify(session_id, filename, request.args.items(multi=True)):
                    return self._answer(session_id, filename)
            return guarded(session_id=session_id, filename=filename)

        return plot

    def _view(self, session_id: str, filename: str) -> Any:  # noqa: ANN401 - what the old function makes of it
        # Only True opens: a decorator handed in by mistake answers with a function.
        if self._may_see is not None and self._may_see(session_id) is not True:
            return respond_not_found()
        return self._answer(session_id, filename)

    def _answer(self, session_id: str, filename: str) -> Any:  # noqa: ANN401 - see above
        if self._shadowed is not None:
            return self._shadowed(session_id=session_id, filename=filename)
        here = self._here()
        accel = here.settings.x_accel_prefix or None
        return serve_plot(here.lookup, here.thumbnails, request, session_id, filename, accel=accel)

    def _viewer(self) -> Viewer | Response:
        may_see, here = self._may_see, self._here()
        assert may_see is not None

        def address(key: PlotKey, parameters: dict[str, str]) -> str:
            return request.script_root + here.url_signer.unsigned_path(key, parameters)

        return Viewer(lambda session: may_see(session) is True, address)

    def _here(self) -> Mounted:
        """What the current application has; outside of any, what the only one has."""
        if has_app_context():
            mounted = self._mounted.get(current_app._get_current_object())  # type: ignore[attr-defined]  # of the proxy
            if mounted is not None:
                return mounted
        elif len(self._mounted) == 1:
            return next(iter(self._mounted.values()))
        raise SettingsError("PlotIndex is not part of this application: call init_app(app) first.")


def _entries(lookup: Lookup, session: str) -> Iterator[Entry]:
    if not lookup.has_catalog():
        yield from entries_of(lookup.scan_session(session))
        return
    listing = Listing(lookup.catalog.database)
    after: str | None = ""
    while after is not None:
        page = listing.plots(session, MAX_PAGE_SIZE, after)
        yield from page.entries
        after = page.next
