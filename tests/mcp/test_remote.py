"""A server that is not what it should be: it redirects, does not answer, or answers too much."""

import select
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from plotindex.cli.mcp import remote, source
from plotindex.cli.mcp.list_tools import ListTools
from plotindex.cli.mcp.remote import RemoteSource
from plotindex.cli.mcp.source import Reader, SourceError
from plotindex.errors import SettingsError
from tests.support.agents import remote_agent
from tests.support.processes import free_port
from tests.support.site import ServedSite

Respond = Callable[[BaseHTTPRequestHandler], object]


class Recorded(BaseHTTPRequestHandler):
    """Answers as it is told, and remembers the headers of each request."""

    protocol_version = "HTTP/1.1"
    respond: Respond
    seen: list[dict[str, str]]

    def do_GET(self) -> None:
        self.seen.append(dict(self.headers.items()))
        type(self).respond(self)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def answering(respond: Respond) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """A server that answers so: its URL, and the headers of each request."""
    kind = type("Own", (Recorded,), {"respond": staticmethod(respond), "seen": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", kind.seen  # type: ignore[attr-defined]
        finally:
            server.shutdown()
            thread.join()


def sent(status: int, body: bytes = b"", **headers: str) -> Respond:
    def respond(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body)), "Connection": "close"}.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)

    return respond


def sessions_of(url: str) -> str:
    server = RemoteSource(url, "secret-token", "/api/smartstat")
    try:
        Reader(server).json("plots")
    except SourceError as error:
        return str(error)
    finally:
        server.close()
    return ""


def test_a_redirect_is_not_followed_and_the_token_goes_nowhere_else() -> None:
    with answering(sent(200, b"{}")) as (elsewhere, reached), answering(sent(302, Location=elsewhere)) as (url, asked):
        message = sessions_of(url)
    assert asked[0]["Authorization"] == "Bearer secret-token"
    assert reached == []
    assert f"status 302, and redirects to {elsewhere}, where no token is sent" in message
    assert "check the address after --url" in message


NOT_AN_ANSWER = [
    b"<html>",
    b"[]",
    b"{",
    b"\xff",
    b"[" * 200_000,
    b'{"sessions": 7, "next": null}',
    b'{"sessions": [], "next": 1}',
    b'{"sessions": [{"session": "s", "plots": "OBEY", "mtime": "2020-01-01T00:00:00Z"}], "next": null}',
    b'{"sessions": [{"session": "s", "plots": 1, "mtime": "OBEY"}], "next": null}',
    b'{"sessions": [{"session": "%s", "plots": 1, "mtime": "2020-01-01T00:00:00Z"}], "next": null}' % (b"x" * 5_000),
]


@pytest.mark.parametrize("body", NOT_AN_ANSWER, ids=range(len(NOT_AN_ANSWER)))
def test_an_answer_that_is_not_one_of_plotindex_says_so(body: bytes) -> None:
    with answering(sent(200, body)) as (url, _):
        assert "check the address after --url" in sessions_of(url)
    with answering(sent(404, body)) as (url, _):
        assert "check the address after --url. It has status 404" in sessions_of(url)


def test_too_much_and_too_little_and_nothing_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "MAX_BODY_BYTES", 1_000)
    monkeypatch.setattr(remote, "READ_SECONDS", 0.2)
    with answering(sent(200, b" " * 5_000)) as (url, _):
        assert "more than 64 MB" in sessions_of(url)

    def cut(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\n{")
        request.close_connection = True

    with answering(cut) as (url, _):
        assert "No answer from 127.0.0.1" in sessions_of(url)
    silent = threading.Event()
    with answering(lambda _request: silent.wait(20)) as (url, _):
        assert "No answer from 127.0.0.1 (timed out)" in sessions_of(url)
        silent.set()
    assert "whether `plotindex serve` runs there" in sessions_of(f"http://127.0.0.1:{free_port()}")


def test_a_server_that_drips_is_left_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "REPLY_SECONDS", 0.1)
    ended = threading.Event()

    def drip(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\nConnection: close\r\n\r\n")
        while not ended.wait(0.02):
            request.wfile.write(b" ")
        request.close_connection = True

    with answering(drip) as (url, _):
        assert "takes longer than" in sessions_of(url)
        ended.set()


@pytest.mark.parametrize("kept_on", [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 2"])
def test_a_head_that_does_not_end_is_left_in_the_end(kept_on: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "REPLY_SECONDS", 0.2)

    def drip(request: BaseHTTPRequestHandler) -> None:
        with suppress(OSError):
            while True:
                request.wfile.write(kept_on if kept_on.endswith(b"\n") else kept_on[:1])
                # The client has hung up.
                if select.select([request.connection], [], [], 0.02)[0]:
                    break
        request.close_connection = True

    with answering(drip) as (url, _):
        assert "takes longer than" in sessions_of(url)


def test_a_list_without_an_end_is_left_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "PAGES_SECONDS", 0.2)
    with answering(sent(200, b'{"sessions":[],"next":"1"}')) as (url, _):
        lists = ListTools(Reader(RemoteSource(url, "token", "/api/smartstat")))
        with pytest.raises(SourceError, match="The list does not end"):
            lists.sessions()
        with pytest.raises(SourceError, match="The list does not end"):
            lists.search("x")


def test_a_version_that_is_none_reaches_no_agent() -> None:
    with answering(sent(200, b"", ETag='"OBEY"')) as (url, _):
        reader = Reader(RemoteSource(url, "token", "/api/smartstat"))
        with pytest.raises(SourceError, match="check the address after --url"):
            reader.image("s", "x.png")


@pytest.mark.parametrize(
    "url",
    ["ftp://x", "plots.example.org", "http://", "http://user:pw@x", "http://x?q=1", "http://x:99999", "http://x/é", ""],
)
def test_a_wrong_address_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="--url is not the address of a server"):
        RemoteSource(url, "token", "/api/smartstat")


def test_a_token_is_needed_and_a_wrong_one_is_named(agent_site: ServedSite) -> None:
    for token, message in (("", "--url needs a token"), ("a\r\nHost: b", "is not a token")):
        with pytest.raises(SettingsError, match=message):
            RemoteSource("http://localhost", token, "/api/smartstat")
    with remote_agent(agent_site.site.url, "plotindex_wrong") as agent:
        assert agent.error("sessions") == (
            "The token is unknown, expired or revoked. Set PLOTINDEX_TOKEN to one that `plotindex token create` "
            "prints there, and start this server again."
        )


def test_a_connection_that_the_server_has_closed_is_opened_again(agent_site: ServedSite) -> None:
    with answering(sent(200, b'{"sessions":[],"next":null}')) as (url, asked):
        server = RemoteSource(url, "token", "/api/smartstat")
        for _ in range(3):
            assert server.ask("GET", "/plots").status == 200
        server.close()
    assert len(asked) == 3


def test_the_path_of_the_address_is_that_of_the_interface(agent_site: ServedSite) -> None:
    site = agent_site.site
    with remote_agent(f"{site.url}/api/smartstat/", site.token) as agent:
        assert agent.told("sessions")["count"] == 3
    with remote_agent(f"{site.url}/elsewhere", site.token) as agent:
        assert agent.call("sessions").is_error
    assert RemoteSource("http://plots.example.org", "t", "/").is_exposed
    assert not RemoteSource("https://plots.example.org", "t", "/").is_exposed
    assert not RemoteSource("http://[::1]:8517", "t", "/").is_exposed
