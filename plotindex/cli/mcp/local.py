"""The catalogue of this machine, with the rights of the user who runs this process."""

from collections.abc import Iterable

from werkzeug.test import run_wsgi_app

from plotindex.cli.mcp.source import MAX_BODY_BYTES, Reply, TooLargeError
from plotindex.config import Settings
from plotindex.tree import ALL_SESSIONS, SessionFilter
from plotindex.web.local_app import create_local_app
from plotindex.web.server.environ import environ_of

PREFIX = "/api"
HERE = ("127.0.0.1", 1)


class LocalSource:
    """Answers from the catalogue and the tree, as a server would."""

    advice = "Try again in a few seconds; if that does not help, ask the user to run `plotindex status`."

    def __init__(self, settings: Settings, only: str | None = None) -> None:
        """With `only`, no other session exists."""
        allows = ALL_SESSIONS if only is None else SessionFilter.only(only)
        self._app, self.renderer = create_local_app(settings, allows, PREFIX)

    def ask(self, method: str, target: str) -> Reply:
        """The response to a request. Raises SourceError."""
        path, _, query = f"{PREFIX}{target}".partition("?")
        scope = {
            "method": method,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "http_version": "1.1",
            "scheme": "http",
            "server": HERE,
            "client": HERE,
            "headers": [(b"host", b"localhost")],
        }
        chunks, status, headers = run_wsgi_app(self._app, environ_of(scope))
        return Reply(int(status.split()[0]), {name.lower(): value for name, value in headers}, _read(chunks))


def _read(chunks: Iterable[bytes]) -> bytes:
    body = bytearray()
    try:
        for chunk in chunks:
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                raise TooLargeError
    finally:
        if hasattr(chunks, "close"):
            chunks.close()
    return bytes(body)
