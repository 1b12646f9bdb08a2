"""Both ways to an answer in one process: directly, and from the Flask application alone."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from flask import Flask
from werkzeug.test import run_wsgi_app

from plotindex.auth import Logins, Tokens, UrlSigner, signed_url_salt, signing_keys
from plotindex.config.settings import Settings
from plotindex.tree import PlotKey
from plotindex.web import create_app
from plotindex.web.direct_hits import Front
from plotindex.web.server.environ import environ_of
from plotindex.web.server.gateway import read_cached
from tests.support.hostile_requests import PREFIX, encode

VARYING = {"date", "retry-after"}

Headers = Sequence[tuple[str, str]]


class Response(NamedTuple):
    """What a client receives; headers in any order, without those that vary."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @classmethod
    def of(cls, status: int, headers: Iterable[tuple[str, str]], body: Iterable[bytes]) -> "Response":
        return cls(status, sorted(h for h in headers if h[0].lower() not in VARYING), b"".join(body))


class TwoWays:
    """One served root: an application, its tokens, cookies and signatures."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder = folder
        self.app: Flask = create_app(settings)
        front = self.app.wsgi_app
        assert isinstance(front, Front)
        self.front = front
        tokens, keys = Tokens.from_settings(settings), signing_keys(settings)
        self.secrets = {name: tokens.create(name, session=name) for name in ("s", "other")}
        self.secrets["all"] = tokens.create("all")
        self.token = tokens.list()["s"]
        self.cookie = self._log_in(settings)
        self._signer = UrlSigner(keys, settings.url_prefix, signed_url_salt(settings))
        self.is_behind_nginx = bool(settings.x_accel_prefix)

    def _log_in(self, settings: Settings) -> str:
        """The name and the value of a cookie."""
        code = Logins.from_settings(settings).create_code(self.token)
        answer = self.app.test_client().post(f"/login?code={code}", base_url="http://127.0.0.1:8517")
        return answer.headers["Set-Cookie"].partition(";")[0]

    def bearer(self, name: str = "all") -> Headers:
        return [("Authorization", f"Bearer {self.secrets[name]}")]

    def signed(self, session: str, filename: str, parameters: dict[str, str], seconds: float = 60) -> bytes:
        return self._signer.sign(PlotKey(session, filename), parameters, seconds, self.token.id).encode()

    def ask(self, target: bytes, method: str = "GET", headers: Headers = ()) -> tuple[Response | None, Response]:
        """The response to a target, as sent, of the direct way if it answers, and of Flask alone."""
        # What answers directly does not read the catalogue's state, which is valid for a second: it may end in between.
        direct = self._ask_directly(target, method, headers) or self._ask_directly(target, method, headers)
        return direct, self.flask(target, method, headers)

    def _ask_directly(self, target: bytes, method: str, headers: Headers) -> Response | None:
        self.flask(PREFIX + b"/s/x.png", "GET", self.bearer())
        answer = self.front.answer(environ(target, method, headers), read_cached)
        if answer is None:
            return None
        response = Response.of(answer.status, answer.headers, answer.body)
        getattr(answer.body, "close", lambda: None)()
        return response

    def flask(self, target: bytes, method: str, headers: Headers) -> Response:
        body, status, answered = run_wsgi_app(self.front.flask, environ(target, method, headers), buffered=True)
        return Response.of(int(status.split()[0]), answered, body)


def environ(target: bytes, method: str, headers: Headers) -> dict[str, object]:
    """What the server makes of a request."""
    path, _, query = target.partition(b"?")
    sent = [("host", "127.0.0.1:8517"), *headers]
    return environ_of(
        {
            "method": method,
            "raw_path": path,
            "query_string": query,
            "http_version": "1.1",
            "scheme": "http",
            "server": ("127.0.0.1", 8517),
            "client": ("127.0.0.1", 50_000),
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in sent],
        }
    )


def plot_path(session: str, filename: str) -> bytes:
    return PREFIX + b"/" + encode(session.encode()) + b"/" + encode(filename.encode())
