"""Plain hits, answered before Flask: an image that the index has, for a caller who may see it.

Flask answers everything else, including refusals; it would answer a plain hit identically.
"""

import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.middleware.proxy_fix import ProxyFix

from plotindex.auth import EXPIRES_PARAMETER, SIGNATURE_PARAMETER, TOKEN_ID_PARAMETER
from plotindex.config import Settings
from plotindex.errors import PlotIndexError
from plotindex.index import CacheStatus, Lookup
from plotindex.inspection.alike import MAX_BYTES
from plotindex.rendering.protocol import Outcome
from plotindex.rendering.thumbnails import PICTURE_ONLY, WIDTHS, Thumbnails
from plotindex.tree import OpenPlot
from plotindex.web.answers import Answer, ImageRequest, Read, answer_with_plot, answer_with_thumbnail, read_file
from plotindex.web.authentication import Authenticator
from plotindex.web.instrumentation import RequestObserver
from plotindex.web.login_throttle import client_key
from plotindex.web.views.export import MAX_CHOICE_BYTES
from plotindex.web.views.like import PATH as LIKE_PATH
from plotindex.web.wsgi import Environ, decode_path

PARAMETERS = {"v", "version", "project", "width", "format"}
PARAMETERS |= {SIGNATURE_PARAMETER, EXPIRES_PARAMETER, TOKEN_ID_PARAMETER}
MAX_QUERY = 2048

Application = Callable[[Environ, Any], Iterable[bytes]]


class DirectHits:
    """Answers requests of the image route from the index."""

    def __init__(
        self,
        settings: Settings,
        lookup: Lookup,
        thumbnails: Thumbnails,
        authenticator: Authenticator,
        observer: RequestObserver,
    ) -> None:
        self._prefix = f"{settings.url_prefix}/plots/"
        self._exports = f"{settings.url_prefix}/export/"
        self._like = f"{settings.url_prefix}{LIKE_PATH}"
        self._accel = settings.x_accel_prefix or None
        self._lookup = lookup
        self._thumbnails = thumbnails
        self._authenticator = authenticator
        self.observer = observer

    def answer(self, environ: Environ, read: Read = read_file) -> Answer | None:
        """The answer to a plain hit; None for every other request, which Flask then answers and counts.

        `read` raises BlockingIOError if it would wait for the disk; the result is then None.
        """
        path = environ["PATH_INFO"]
        if not path.startswith(self._prefix) or environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return None
        self.observer.start(environ)
        path = decode_path(environ)
        pairs = _parameters(environ.get("QUERY_STRING", ""))
        if path is None or pairs is None:
            return None
        session, _, filename = path[len(self._prefix) :].partition("/")
        if not filename:
            return None
        try:
            headers = self._authorize(environ, session, filename, pairs)
            if headers is None:
                return None
            answer = self._answer(environ, session, filename, dict(reversed(pairs)), read)
        except (PlotIndexError, OSError):
            return None
        if answer is not None:
            answer.headers.extend(headers)
            self.observer.finish(environ, "plot", path, answer.status, answer.headers)
        return answer

    def caller(self, environ: Environ) -> str:
        """Whom a request counts for: its token or, for a signed URL, the client's address.

        Not the headers as sent: a caller could be many by changing what the signature or cookie does not need.
        """
        caller = self._authenticator.authenticate(environ)
        return f"token {caller.token.id}" if caller is not None else client_key(environ.get("REMOTE_ADDR"))

    def max_body(self, environ: Environ) -> int:
        """The bytes of a body that a caller with a token may send there: plots to export, a picture; else 0."""
        path = environ["PATH_INFO"]
        most = MAX_CHOICE_BYTES if path.startswith(self._exports) else MAX_BYTES if path == self._like else 0
        return most if most and self._authenticator.authenticate(environ) is not None else 0

    def _authorize(
        self, environ: Environ, session: str, filename: str, pairs: list[tuple[str, str]]
    ) -> Sequence[tuple[str, str]] | None:
        """The headers that the kind of access adds to an answer; None without access."""
        is_signed = pairs and any(name == SIGNATURE_PARAMETER for name, _ in pairs)
        if is_signed and self._authenticator.signing_token(session, filename, pairs):
            return ()
        caller = self._authenticator.authenticate(environ)
        return caller.headers if caller is not None and caller.token.allows(session) else None

    def _answer(
        self, environ: Environ, session: str, filename: str, arguments: dict[str, str], read: Read
    ) -> Answer | None:
        width = arguments.get("width")
        if width is not None and width not in WIDTHS:
            return None
        started = time.perf_counter()
        opened = self._lookup.open_hit(session, filename, arguments.get("project"))
        if opened is not None and "format" in arguments and "version" not in arguments:
            opened = self._open_sibling(opened, arguments["format"])
        if opened is None:
            return None
        seconds, status = time.perf_counter() - started, self._lookup.hit_status
        if (version := arguments.get("version")) is not None:
            # Flask looks for other versions than the current one.
            if opened.plot.version != version:
                os.close(opened.fd)
                return None
            arguments["v"] = version
        request = ImageRequest(environ, arguments)
        if width is not None:
            answer = self._answer_with_thumbnail(opened, width, status, request, read)
        else:
            answer = answer_with_plot(opened, status, request, time.time_ns(), accel=self._accel, read=read)
        if answer is not None:
            self._lookup.observe(status, seconds)
        return answer

    def _answer_with_thumbnail(
        self, opened: OpenPlot, width: str, status: CacheStatus, request: ImageRequest, read: Read
    ) -> Answer | None:
        plot, fd = opened
        with ExitStack() as stack:
            stack.callback(os.close, fd)
            result = self._thumbnails.cached(opened, width)
            if result is None:
                return None
            if result.outcome is Outcome.RENDERED:
                return answer_with_thumbnail(plot, width, result, status, request)
            if plot.suffix in PICTURE_ONLY:
                return None
            stack.pop_all()
        return answer_with_plot(opened, status, request, time.time_ns(), accel=self._accel, read=read)

    def _open_sibling(self, opened: OpenPlot, wanted: str) -> OpenPlot | None:
        """Close an open plot, and open its sibling if it has the likeliest name."""
        os.close(opened.fd)
        session, project, filename = opened.plot[:3]
        names = self._lookup.tree.layout.sibling_names(filename, wanted)
        return self._lookup.open_hit(session, names[0], project) if names else None


class Front:
    """A WSGI application: trusted proxies' headers, then plain hits, then Flask."""

    def __init__(self, flask: Application, hits: DirectHits, proxies: int) -> None:
        self.flask = flask
        self.observer = hits.observer
        self._hits = hits
        hops = dict.fromkeys(("x_for", "x_proto", "x_host"), proxies)
        # Applied for its changes of the environment only.
        self._proxy_fix = ProxyFix(_do_nothing, **hops) if proxies else None

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        self.apply_proxies(environ)
        answer = self.answer(environ)
        if answer is None:
            return self.flask(environ, start_response)
        start_response(_status_line(answer.status), answer.headers)
        return answer.body

    def apply_proxies(self, environ: Environ) -> None:
        """Apply the headers of trusted proxies (X-Forwarded-*) to a request, before the methods below."""
        if self._proxy_fix is not None:
            self._proxy_fix(environ, _do_nothing)

    def answer(self, environ: Environ, read: Read = read_file) -> Answer | None:
        """The answer to a plain hit, or None."""
        return self._hits.answer(environ, read)

    def max_body(self, environ: Environ) -> int:
        """See `DirectHits.max_body`."""
        return self._hits.max_body(environ)

    def caller(self, environ: Environ) -> str:
        """Whom a request counts for."""
        return self._hits.caller(environ)


def _do_nothing(*_: object) -> Any:  # noqa: ANN401 - both an application and its start_response
    return ()


@lru_cache(64)
def _status_line(status: int) -> str:
    return f"{status} {HTTP_STATUS_CODES[status]}"


def _parameters(query: str) -> list[tuple[str, str]] | None:
    """The parameters of a query, in order; None if one is unknown, or the query is long, not ASCII or malformed."""
    if not query:
        return []
    if len(query) > MAX_QUERY or not query.isascii():
        return None
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict")
    except ValueError:
        return None
    return pairs if all(name in PARAMETERS for name, _ in pairs) else None
