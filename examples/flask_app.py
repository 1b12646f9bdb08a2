"""An application before and after: the function that searched every project, and its one-line replacement.

export PLOTINDEX_ROOT=plots USER_TOKEN=let-me-in
flask --app examples.flask_app:create_before run
flask --app examples.flask_app:create_after run
flask --app examples.flask_app:create_shadowed run      # the old function answers, differences are logged
curl -H 'Authorization: Bearer let-me-in' http://127.0.0.1:5000/api/smartstat/plots/stocks/correlation_plot.png
"""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Flask, jsonify, request, send_file

from plotindex.web import PlotIndex


def require_auth(view: Callable[..., Any]) -> Callable[..., Any]:
    """The application's own decorator: it authenticates users, and reads the session from the view's arguments."""

    @functools.wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        if request.headers.get("Authorization") != f"Bearer {os.environ['USER_TOKEN']}":
            return jsonify({"error": "Unauthorized"}), 401
        if kwargs["session_id"].startswith("private-"):
            return jsonify({"error": "Forbidden"}), 403
        return view(*args, **kwargs)

    return guarded


def get_plot(session_id: str, filename: str) -> Any:
    """The replaced function."""
    root = Path(os.environ["PLOTINDEX_ROOT"])
    try:
        for project_dir in (root / session_id).glob("project_*"):
            plot_path = project_dir / filename
            if plot_path.exists() and plot_path.suffix in [".png", ".jpg", ".svg"]:
                return send_file(plot_path.absolute(), mimetype=f"image/{plot_path.suffix[1:]}")
        return jsonify({"error": "Plot not found"}), 404
    except Exception as error:  # noqa: BLE001 - as it was
        return jsonify({"error": str(error)}), 500


def create_before() -> Flask:
    """The application before."""
    app = Flask(__name__)
    app.add_url_rule("/api/smartstat/plots/<session_id>/<path:filename>", view_func=require_auth(get_plot))
    return app


def create_after() -> Flask:
    """The application with plotindex: one line for the route."""
    app = Flask(__name__)
    PlotIndex(app, decorator=require_auth)
    return app


def create_shadowed() -> Flask:
    """During the migration: the old function still answers, and each difference is logged."""
    app = Flask(__name__)
    plots = PlotIndex(app, decorator=require_auth)
    plots.shadow(get_plot)
    return app
