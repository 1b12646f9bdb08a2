"""The baseline applications and their server: `python -m benchmarks.applications TARGET PORT`."""

import hashlib
import os
import sqlite3
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Flask, Response, jsonify, send_file, send_from_directory
from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels
from werkzeug.http import http_date

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


def create_bare() -> Callable[[dict[str, Any], Callable[..., Any]], list[bytes]]:
    """The floor: a callable that checks a token's digest, runs one query, and sends the file with headers."""
    root = os.environ["PLOTINDEX_ROOT"]
    tokens = {hashlib.sha256(os.environ["BENCHMARK_TOKEN"].encode()).hexdigest()}
    local = threading.local()
    query = "SELECT project, size, mtime_ns FROM plot WHERE session = ? AND filename = ? ORDER BY mtime_ns DESC LIMIT 1"
    folder, file = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, os.O_RDONLY | os.O_NOFOLLOW

    def bare(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        secret = environ["HTTP_AUTHORIZATION"].removeprefix("Bearer ")
        if hashlib.sha256(secret.encode()).hexdigest() not in tokens:
            start_response("401 Unauthorized", [])
            return []
        session, _, name = environ["PATH_INFO"].removeprefix("/api/smartstat/plots/").partition("/")
        if not hasattr(local, "catalog"):
            local.catalog = sqlite3.connect(os.environ["BENCHMARK_CATALOG"])
        project, size, mtime_ns = local.catalog.execute(query, (session, name)).fetchone()
        session_fd = os.open(f"{root}/{session}", folder)
        project_fd = os.open(project, folder, dir_fd=session_fd)
        fd = os.open(name, file, dir_fd=project_fd)
        status = os.fstat(fd)
        content = os.read(fd, status.st_size)
        for opened in (session_fd, project_fd, fd):
            os.close(opened)
        headers = [
            ("Content-Type", "image/png"),
            ("Content-Length", str(size)),
            ("ETag", f'"{mtime_ns}"'),
            ("Last-Modified", http_date(mtime_ns // 10**9)),
            ("X-Content-Type-Options", "nosniff"),
            ("Cache-Control", "private, no-cache"),
        ]
        start_response("200 OK", headers)
        return [content]

    return bare


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
