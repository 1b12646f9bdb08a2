"""A real browser, and a web server that records the requests it gets."""

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

PAGE_TIMEOUT_MS = 20_000
"""Timeout of expectations about a page."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's headless chromium; the headless-only build costs half as much."""
    program = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    if program is None:
        pytest.skip("There is no chromium here: sh tests/tools/install.sh installs it.")
    expect.set_options(timeout=PAGE_TIMEOUT_MS)
    with sync_playwright() as playwright:
        # A renderer costs a second of CPU to start: the pages of one context share one. Its own sandbox does not work
        # for root.
        args = ["--process-per-site", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
        browser = playwright.chromium.launch(executable_path=program, args=args)
        try:
            yield browser
        finally:
            browser.close()


class RecordingServer(ThreadingHTTPServer):
    """Serves `pages`, and records each requested path."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), PageResponder)
        self.pages: dict[str, tuple[str, bytes]] = {}
        """Path -> content type and content."""
        self.requested: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class PageResponder(BaseHTTPRequestHandler):
    """Responses of a recording server, readable from any origin."""

    server: RecordingServer

    def do_GET(self) -> None:
        self.server.requested.append(self.path)
        kind, content = self.server.pages.get(self.path, ("text/plain", b""))
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Access-Control-Allow-Origin", "*")
        # The browser may leave the page before it has loaded.
        with suppress(ConnectionError):
            self.end_headers()
            self.wfile.write(content)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@contextmanager
def run_recording_server() -> Iterator[RecordingServer]:
    """A recording server, in a thread of its own."""
    with RecordingServer() as listener:
        thread = threading.Thread(target=listener.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield listener
        finally:
            listener.shutdown()
            thread.join()
