"""A real browser, and a listener that counts what it is made to fetch."""

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

PATIENCE = 20_000
"""Milliseconds for which a page may take to show what is expected of it."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's chromium, without a window: the one that cannot have any costs half as much."""
    program = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    if program is None:
        pytest.skip("There is no chromium here: sh tests/tools/install.sh installs it.")
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        # A renderer costs a second of CPU to start: the pages of one context share one. Its own sandbox does not work
        # for root.
        args = ["--process-per-site", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
        browser = playwright.chromium.launch(executable_path=program, args=args)
        try:
            yield browser
        finally:
            browser.close()


class Listener(ThreadingHTTPServer):
    """Serves the pages it was given, and writes down each path that it is asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.pages: dict[str, tuple[str, bytes]] = {}
        """Path -> type and content."""
        self.asked: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class Answer(BaseHTTPRequestHandler):
    """One answer of a listener; whoever may read it may be anywhere."""

    server: Listener

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        kind, content = self.server.pages.get(self.path, ("text/plain", b""))
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Access-Control-Allow-Origin", "*")
        # A page may be left before all of it has come.
        with suppress(ConnectionError):
            self.end_headers()
            self.wfile.write(content)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def listening() -> Iterator[Listener]:
    """A listener, in a thread of its own."""
    with Listener() as listener:
        thread = threading.Thread(target=listener.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield listener
        finally:
            listener.shutdown()
            thread.join()
