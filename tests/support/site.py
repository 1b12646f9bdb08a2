"""A served root and a client with a token, which can also send malformed requests."""

import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import requests

from tests.support.processes import Service, answers, clean_environment, free_port, run_plotindex

PREFIX = "/api/smartstat/plots"


class RawResponse(NamedTuple):
    """An unparsed HTTP response."""

    head: bytes
    body: bytes

    @property
    def status(self) -> int:
        return int(self.head.split(b" ", 2)[1])

    @property
    def headers(self) -> dict[bytes, bytes]:
        """Header values by lower-case name; fails on a repeated name."""
        lines = [line.split(b": ", 1) for line in self.head.split(b"\r\n")[1:]]
        headers = {name.lower(): value for name, value in lines}
        assert len(headers) == len(lines), self.head
        return headers


@dataclass
class Site:
    """A served root, and a client with a token."""

    url: str
    pid: int
    token: str
    root: Path

    def get(self, path: str, method: str = "GET", token: str | None = None, **headers: str) -> requests.Response:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        given["Authorization"] = f"Bearer {self.token if token is None else token}"
        return requests.request(method, self.url + PREFIX + path, headers=given, timeout=20)

    def send(self, target: bytes) -> RawResponse:
        """The response to a GET whose target is sent unchanged: HTTP clients would normalize it."""
        host, port = self.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            lines = [b"GET %s HTTP/1.1" % target, b"Host: 127.0.0.1", b"Connection: close", b"Accept-Encoding: gzip"]
            lines.append(b"Authorization: Bearer " + self.token.encode())
            connection.sendall(b"\r\n".join(lines) + b"\r\n\r\n")
            received = b""
            while chunk := connection.recv(1 << 16):
                received += chunk
        head, _, body = received.partition(b"\r\n\r\n")
        return RawResponse(head, body)


class ServedSite(NamedTuple):
    """A site in a folder of its own, shared by the tests of a module."""

    site: Site
    service: Service
    folder: Path
    environment: dict[str, str]


@contextmanager
def served(folder: Path, **variables: str) -> Iterator[ServedSite]:
    """Index and serve `folder`/plots; its state is `folder`/state. `variables` are of the environment."""
    root = folder / "plots"
    environment = {**clean_environment(folder), "PLOTINDEX_ROOT": str(root), **variables}
    token = run_plotindex(["token", "create", "--name", "all"], environment, folder).stdout.strip()
    assert run_plotindex(["rebuild"], environment, folder).returncode == 0
    with serving(folder, environment, "serve") as service:
        yield ServedSite(Site(service.url, service.pid, token, root), service, folder, environment)


@contextmanager
def serving(folder: Path, environment: Mapping[str, str], log: str, prefix: Sequence[str] = ()) -> Iterator[Service]:
    """`plotindex serve` on a free port, answering; its output goes to `log`.stdout and .stderr in `folder`.

    `prefix` is a command that executes the other one.
    """
    port = free_port()
    service = Service(["serve", "--port", str(port)], environment, folder, folder / log, prefix)
    try:
        service.url = f"http://127.0.0.1:{port}"
        service.wait_for(lambda: answers(service.url))
        yield service
    finally:
        service.clean_up()
