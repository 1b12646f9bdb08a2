"""Requests to plotindex's application in this process, which prints its memory now and then."""

import json
import os
import sys
from io import BytesIO

import psutil
from flask import Flask
from werkzeug.test import run_wsgi_app

from benchmarks.serving import PLOT
from plotindex.web import create_app

PREFIX = "/api/smartstat/plots"


def main() -> None:
    application = create_app()
    resident = []
    stops = json.loads(os.environ["REQUESTS"])
    for number in range(1, stops[-1] + 1):
        _ask(application, number)
        if number in stops:
            resident.append(psutil.Process().memory_info().rss / 1e6)
    json.dump(resident, sys.stdout)


def _ask(application: Flask, number: int) -> None:
    session, name, query, expected = [
        ("session_1", PLOT, f"x={number}", "200"),
        ("session_1", f"unknown-{number}.png", "", "404"),
        (f"unknown-{number}", PLOT, "", "404"),
        ("session_1", PLOT, f"project=project_{number}", "404"),
    ][number % 4]
    environ = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": f"{PREFIX}/{session}/{name}",
        "QUERY_STRING": query,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8517",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "127.0.0.1:8517",
        "HTTP_AUTHORIZATION": f"Bearer {os.environ['TOKEN']}",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    body, status, _ = run_wsgi_app(application, environ, buffered=True)
    b"".join(body)
    if status[:3] != expected:
        raise RuntimeError(f"Request {number} is answered by {status}, not {expected}")


if __name__ == "__main__":
    main()
