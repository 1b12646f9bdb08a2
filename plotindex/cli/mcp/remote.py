"""A server of plotindex, by HTTP with a token. Redirects are not followed: the token goes nowhere else."""

import http.client
import time
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
            connection.request(method, f"{self._prefix}{target}", headers=self._headers)
            response = connection.getresponse()
            body = _read(response)
            is_reusable = not response.will_close
        finally:
            if not is_reusable:
                connection.close()
        self._idle.append(connection)
        return Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, body)

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


def _read(response: http.client.HTTPResponse) -> bytes:
    """The body, in bounded time. Raises SourceError."""
    deadline = time.monotonic() + REPLY_SECONDS
    body = bytearray()
    while chunk := response.read1(CHUNK):
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise TooLargeError
        if time.monotonic() > deadline:
            raise SourceError(f"The server takes longer than {REPLY_SECONDS:.0f} s to answer: try again later.")
    if response.length:
        raise http.client.IncompleteRead(b"", response.length)
    # Only then can the connection be used again.
    response.close()
    return bytes(body)
