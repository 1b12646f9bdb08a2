"""The views that read, for one caller in this process: without a server, without tokens. Nothing is written."""

import secrets
from dataclasses import replace
from typing import NamedTuple

from flask import Flask, Response, request

from plotindex.auth import ClockSealer, ExternalKeys
from plotindex.config import Settings
from plotindex.history.access import History
from plotindex.index import REQUEST_DATABASE_SECONDS, make_lookup
from plotindex.rendering.renderer_client import RendererClient
from plotindex.rendering.thumbnails import Thumbnails
from plotindex.tree import SessionFilter
from plotindex.web.errors import respond_not_found
from plotindex.web.kept_versions import KeptAccess
from plotindex.web.views.facts import FactsViews
from plotindex.web.views.history import HistoryViews
from plotindex.web.views.image import plot_url_rule, serve_plot
from plotindex.web.views.lists import ListViews, Viewer

MAX_RENDER_WAITERS = 8


class LocalApp(NamedTuple):
    """The application, and its renderer."""

    flask: Flask
    renderer: RendererClient


def create_local_app(settings: Settings, sessions: SessionFilter, prefix: str) -> LocalApp:
    """An application below `prefix` for a caller who may see these sessions. Opens nothing before the first request."""
    settings = replace(settings, heal=False)
    app = Flask("plotindex", static_folder=None)
    app.url_map.merge_slashes = False
    lookup = make_lookup(settings)
    history = History.from_settings(settings, lookup.tree, REQUEST_DATABASE_SECONDS)
    thumbnails = Thumbnails(settings, MAX_RENDER_WAITERS)
    keys = [secrets.token_bytes()]
    viewer = Viewer(sessions, lambda _key, _parameters: "", ClockSealer(ExternalKeys(lambda: keys), str(settings.root)))
    kept = KeptAccess(history, is_limited=not sessions.is_all)

    def plot(session_id: str, filename: str) -> Response:
        if not sessions(session_id):
            return respond_not_found()
        return serve_plot(lookup, thumbnails, request, session_id, filename, kept=kept)

    app.add_url_rule(plot_url_rule(app, prefix), "plot", plot, methods=["GET"])
    for views in (
        ListViews(lookup, lambda: viewer, 0),
        HistoryViews(lookup, history, lambda: viewer),
        FactsViews(lookup, lambda: viewer),
    ):
        for rule, name, view, method in views.routes(prefix):
            app.add_url_rule(rule, name, view, methods=[method])
    return LocalApp(app, thumbnails.renderer)
