"""The baseline applications and their server: `python -m benchmarks.applications TARGET PORT`."""

import os
import sys
from pathlib import Path

from flask import Flask, Response, jsonify, send_file, send_from_directory
from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from benchmarks.serving import THREADS, asked_plot

RULE = "/api/smartstat/plots/<session_id>/<path:filename>"


def create_glob() -> Flask:
    """The function that plotindex replaces, without its authentication."""
    app = Flask("glob", static_folder=None)
    root = Path(os.environ["PLOTINDEX_ROOT"])

    @app.get(RULE)
    def plot(session_id: str, filename: str) -> Response | tuple[Response, int]:
        try:
            for project_dir in (root / session_id).glob("project_*"):
                plot_path = project_dir / filename
                if plot_path.exists() and plot_path.suffix in [".png", ".jpg", ".svg"]:
                    return send_file(plot_path, mimetype=f"image/{plot_path.suffix[1:]}")
            return jsonify({"error": "Plot not found"}), 404
        except Exception as error:  # noqa: BLE001 - as it was
            return jsonify({"error": str(error)}), 500

    return app


def create_known_path() -> Flask:
    """The minimum in Flask: no lookup, no authentication."""
    app = Flask("known path", static_folder=None)
    root = Path(os.environ["PLOTINDEX_ROOT"])
    folders = {session.name: str(asked_plot(session).parent) for session in root.iterdir()}

    @app.get(RULE)
    def plot(session_id: str, filename: str) -> Response:
        return send_from_directory(folders[session_id], filename)

    return app


def serve(target: str, port: int) -> None:
    """Serve any application as plotindex.web.server.service does."""
    Granian(
        target,
        factory=True,
        interface=Interfaces.WSGI,
        address="127.0.0.1",
        port=port,
        workers=1,
        blocking_threads=THREADS,
        log_level=LogLevels.warning,
        respawn_failed_workers=True,
        workers_kill_timeout=2,
    ).serve()


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
