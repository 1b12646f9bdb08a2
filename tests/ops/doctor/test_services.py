"""Checks of the indexer, the port and the sandbox."""

import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from werkzeug.serving import make_server

from plotindex.config.settings import Settings
from plotindex.ops.doctor import services
from plotindex.rendering.sandbox import ConfinementError
from plotindex.storage.catalog import Catalog
from plotindex.storage.heartbeat import Heartbeat
from plotindex.storage.stats import IndexerStats
from plotindex.web.app import create_app
from tests.ops.doctor.test_checks import findings_of
from tests.support.processes import free_port


class OtherProgram(BaseHTTPRequestHandler):
    """Answers everything, and is not plotindex."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"ok\n")

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def serving(server: HTTPServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def own_port(settings: Settings) -> Settings:
    return replace(settings, port=free_port())


def port_verdict(settings: Settings) -> tuple[str, str]:
    (finding,) = findings_of(settings, "port")
    assert (finding.verdict == "ok") == (not finding.remedy)
    return finding.verdict, finding.seen.partition(f" {settings.port} ")[2]


def test_port_is_free_or_used_by_plotindex_or_another_program(
    own_port: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A proxy of the environment's is not asked.
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert port_verdict(own_port) == ("ok", "is free; no server runs there")
    with serving(make_server(own_port.host, own_port.port, create_app(own_port))):
        (finding,) = findings_of(own_port, "port")
        assert finding.seen == f"A plotindex server answers at 127.0.0.1 port {own_port.port}"
    with serving(HTTPServer((own_port.host, own_port.port), OtherProgram)):
        assert port_verdict(own_port) == ("bad", "is in use by another program")


def test_silent_port_is_another_program(own_port: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "PROBE_SECONDS", 0.1)
    with socket.create_server((own_port.host, own_port.port)):
        assert port_verdict(own_port) == ("bad", "is in use by another program")


@pytest.mark.parametrize(
    ("first", "drips"),
    [
        (b"HTTP/1.1 200 OK\r\n", True),
        (b"HTTP/1.1 302 Found\r\nLocation: http://[\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\nCache-Status: plotindexer; hit\r\n\r\n", False),
        (b"", False),
    ],
)
def test_hostile_program_on_the_port_cannot_delay_or_redirect_the_probe(
    own_port: Settings, monkeypatch: pytest.MonkeyPatch, first: bytes, *, drips: bool
) -> None:
    monkeypatch.setattr(services, "PROBE_SECONDS", 0.5)
    with socket.create_server((own_port.host, own_port.port)) as listening:
        thread = threading.Thread(target=answer_slowly, args=(listening, first), kwargs={"drips": drips})
        thread.start()
        assert port_verdict(own_port) == ("bad", "is in use by another program")
        # It has hung up, and not waited for more.
        thread.join(10)
        assert not thread.is_alive()


def answer_slowly(listening: socket.socket, first: bytes, *, drips: bool) -> None:
    """Answer one request so and, where it `drips`, go on letter by letter for as long as somebody listens."""
    connection, _ = listening.accept()
    with connection, suppress(OSError):
        connection.recv(1000)
        connection.sendall(first)
        while drips:
            connection.sendall(b"x")
            drips = not select.select([connection], [], [], 0.05)[0]


@pytest.mark.parametrize("host", ["203.0.113.1", "a..b", "no such host"])
def test_address_of_another_host_is_bad(own_port: Settings, host: str) -> None:
    verdict, seen = port_verdict(replace(own_port, host=host))
    assert (verdict, seen.startswith("cannot be used (")) == ("bad", True)


def test_sandbox_is_tried_in_a_child_process(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    (finding,) = findings_of(settings, "thumbnails")
    assert finding.verdict == "ok", finding

    def refuse(_most: int) -> list[str]:
        raise ConfinementError("chroot: no; Landlock: no")

    monkeypatch.setattr(services, "confine", refuse)
    (finding,) = findings_of(settings, "thumbnails")
    assert (finding.verdict, "(chroot: no; Landlock: no)" in finding.seen) == ("warn", True)


@pytest.mark.parametrize(("unwatched", "closed"), [(1, 1), (5, 2), (3, 0)])
def test_unreadable_folders_differ_from_polled_ones(
    settings: Settings, catalog: Catalog, unwatched: int, closed: int
) -> None:
    now, measured = time.time(), IndexerStats(closed=closed, rolled_folders=unwatched)
    store_heartbeat = Heartbeat(
        "here", 1, now, now, "watching", watched=1, unwatched=unwatched, measured=measured.dump()
    )
    catalog.store_heartbeat(store_heartbeat)
    (finding,) = findings_of(settings, "indexer")
    assert (finding.verdict, "may not read" in finding.text) == (("warn", True) if closed else ("ok", False))
    assert f"it polls {unwatched} folders" in finding.text or closed
    assert "1 folders" not in finding.text


def test_no_catalogue_means_no_indexer(settings: Settings) -> None:
    (finding,) = findings_of(settings, "indexer")
    assert (finding.verdict, finding.remedy) == ("warn", "start `plotindex watch`")
