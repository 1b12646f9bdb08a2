"""A server of plotindex, by HTTP with a token. Redirects are not followed: the token goes nowhere else."""

import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import SplitResult, urlsplit

from plotindex.cli.mcp.source import MAX_BODY_BYTES, Reply, SourceError, TooLargeError
from plotindex.config import TOKEN_VARIABLE
from plotindex.errors import SettingsError

READ_SECONDS = 30.0
"""How long one read may take: a server draws a picture in less."""
REPLY_SECONDS = 120.0
CHUNK = 1 << 16
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class RemoteSource:
    """Answers as the server at a URL does. Thread-safe."""

    advice = "Try again in a few seconds; if that does not help, ask the user whether the server is well."

    def __init__(self, url: str, token: str, default_prefix: str) -> None:
        """The path of the URL, or else `default_prefix`, is that of the HTTP interface.

        Raises:
            SettingsError: the URL or the token is wrong.
        """
        place = _parse(url)
        if not token:
            raise SettingsError(
                f"--url needs a token: set {TOKEN_VARIABLE} to one that `plotindex token create` prints on the server."
            )
        if not (token.isascii() and token.isprintable()):
            raise SettingsError(f"{TOKEN_VARIABLE} is not a token: set it to one that `plotindex token create` prints.")
        self._is_secure = place.scheme == "https"
        self._host, self._port = place.hostname or "", place.port
        self._prefix = place.path.rstrip("/") or default_prefix
        self._headers = {"Authorization": f"Bearer {token}", "User-Agent": "plotindex mcp"}
        self._idle: list[http.client.HTTPConnection] = []
        self.is_exposed = not self._is_secure and self._host not in LOOPBACK
        """Whether others in the network can read the token."""

    def ask(self, method: str, target: str) -> Reply:
        """The response to a request. Raises SourceError."""
        try:
            while self._idle:
                # The server may have closed it meanwhile.
                try:
                    return self._ask(self._idle.pop(), method, target)
                except (ConnectionError, http.client.RemoteDisconnected, IndexError):
                    continue
            return self._ask(self._connect(), method, target)
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise SourceError(
                f"No answer from {self._host} ({reason}): check --url and whether `plotindex serve` runs there."
            ) from None

    def close(self) -> None:
        """Close all connections."""
        while self._idle:
            self._idle.pop().close()

    def _ask(self, connection: http.client.HTTPConnection, method: str, target: str) -> Reply:
        is_reusable = False
        try:
            with _bounded(connection):
                response, body = self._exchange(connection, method, target)
            is_reusable = not response.will_close
        finally:
            if not is_reusable:
                connection.close()
        self._idle.append(connection)
        return Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, body)

    def _exchange(
        self, connection: http.client.HTTPConnection, method: str, target: str
    ) -> tuple[http.client.HTTPResponse, bytes]:
        connection.request(method, f"{self._prefix}{target}", headers=self._headers)
        response = connection.getresponse()
        return response, _read(response)

    def _connect(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._is_secure else http.client.HTTPConnection
        return kind(self._host, self._port, timeout=READ_SECONDS)


def _parse(url: str) -> SplitResult:
    try:
        place = urlsplit(url)
        is_valid = place.scheme in ("http", "https") and bool(place.hostname) and (place.port or 1) > 0
    except ValueError:
        is_valid = False
    if not is_valid or place.username is not None or place.query or place.fragment or not url.isascii():
        raise SettingsError(
            "--url is not the address of a server: give one such as https://plots.example.org, without a user or query."
        )
    return place


@contextmanager
def _bounded(connection: http.client.HTTPConnection) -> Iterator[None]:
    """Hang up after REPLY_SECONDS, whichever part of a reply it is that does not end. Raises SourceError."""
    hung_up = threading.Event()

    def hang_up() -> None:
        hung_up.set()
        # The connection forgets its socket when a response is the last one.
        for each in (connection.sock, known):
            if each is not None:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    known: socket.socket | None = None
    timer = threading.Timer(REPLY_SECONDS, hang_up)
    timer.daemon = True
    timer.start()
    try:
        if connection.sock is None:
            connection.connect()
        known = connection.sock
        yield
    except (OSError, http.client.HTTPException, ValueError):
        # ValueError: TLS reads from a socket that was shut down meanwhile.
        if not hung_up.is_set():
            raise
    finally:
        timer.cancel()
    # What was read until then may look whole.
    if hung_up.is_set():
        raise SourceError(f"The server takes longer than {REPLY_SECONDS:.0f} s to answer: try again later.")


def _read(response: http.client.HTTPResponse) -> bytes:
    """The body. Raises SourceError."""
    body = bytearray()
    while chunk := response.read1(CHUNK):
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise TooLargeError
    if response.length:
        raise http.client.IncompleteRead(b"", response.length)
    # Only then can the connection be used again.
    response.close()
    return bytes(body)
