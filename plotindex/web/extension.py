"""The Flask extension: plots in an application that has its own idea of who may see what."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, cast

from flask import Blueprint, Flask, Response, request

from plotindex.catalog import Catalog
from plotindex.database import Database
from plotindex.errors import SettingsError
from plotindex.lookup import Lookup
from plotindex.settings import Settings, load_settings
from plotindex.tree import Tree
from plotindex.web.view import answer_plot, plot_rule, respond_not_found

READ_SECONDS = 0.25
"""How long a request waits for a program that holds the database; after that it is answered by a scan."""

View = Callable[..., Any]


class PlotIndex:
    """Serves the plots of one root at `{url_prefix}/plots/<session_id>/<path:filename>`.

        plots = PlotIndex(root="/srv/plots", decorator=require_auth)
        plots.init_app(app)

    `decorator` wraps the view, as it would wrap the application's own; `may_see` is asked with the session's id and
    must answer True. Given both, both must agree.
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
        **settings: object,
    ) -> None:
        """`settings` are those of plotindex.toml, such as url_prefix or suffixes.

        Raises:
            SettingsError: neither `decorator` nor `may_see` is given, or a setting is wrong.
        """
        if decorator is None and may_see is None:
            raise SettingsError(
                "PlotIndex must know who may see a plot: give decorator=your_auth_decorator or may_see=a_function."
            )
        self._given = {**settings, "root": root, "database": database}
        self._decorator = decorator
        self._may_see = may_see
        self._endpoint = endpoint
        self._lookup: Lookup | None = None
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Read the settings and add the route. Opens nothing: that waits for the first request, after any fork.

        What was not given is read from `app.config` (PLOTINDEX_ROOT and so on), then from the environment.

        Raises:
            SettingsError: a setting is missing or wrong.
        """
        configured = {name: value for name, value in app.config.items() if name.startswith("PLOTINDEX_")}
        environment = {**os.environ, **{name: str(value) for name, value in configured.items() if value is not None}}
        settings = load_settings(self._given, environment)
        self._lookup = make_lookup(settings)
        view: View = self._view
        if self._decorator is not None:
            view = self._decorator(view)
        blueprint, _, name = self._endpoint.rpartition(".")
        rule = plot_rule(app, settings.url_prefix)
        target: Flask | Blueprint = Blueprint(blueprint, __name__) if blueprint else app
        # Slashes are not merged: an empty part is no part of a key.
        target.add_url_rule(rule, name, view, methods=["GET"], merge_slashes=False)
        if isinstance(target, Blueprint):
            app.register_blueprint(target)

    @property
    def lookup(self) -> Lookup:
        if self._lookup is None:
            raise SettingsError("PlotIndex has no application yet: call init_app(app) first.")
        return self._lookup

    def open(self, session_id: str, filename: str, project: str | None = None) -> BinaryIO | None:
        """The plot that a key answers with, open for reading, or None: for mails, documents and downloads.

        Whoever calls this decides who may see it.

        Raises:
            ScansBusyError: it is not in the catalogue, and too many others are being looked for.
            OSError: it cannot be opened.
        """
        opened = self.lookup.open(session_id, filename, project).opened
        return cast(BinaryIO, os.fdopen(opened.fd, "rb")) if opened else None

    def _view(self, session_id: str, filename: str) -> Response:
        # Only True opens: a decorator handed in by mistake answers with a function.
        if self._may_see is not None and self._may_see(session_id) is not True:
            return respond_not_found()
        return answer_plot(self.lookup, request, session_id, filename)


def make_lookup(settings: Settings) -> Lookup:
    """The look-up that settings describe. Opens and creates nothing."""
    tree = Tree(settings.root, settings.layout)
    database = Database(settings.catalog_place, patience=READ_SECONDS)
    return Lookup(tree, Catalog(database), heal=settings.heal)
