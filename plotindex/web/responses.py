"""An open plot becomes a response: the descriptor that was checked is what is served."""

import logging
import os
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Self
from urllib.parse import quote

from flask import Request, Response
from werkzeug.datastructures import Headers
from werkzeug.exceptions import RequestedRangeNotSatisfiable
from werkzeug.http import http_date, parse_date

from plotindex.index import CacheStatus
from plotindex.rendering.thumbnails import RenderResult
from plotindex.tree import MEDIA_TYPES, OpenPlot, Plot
from plotindex.web.errors import respond_with_error

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


CACHED = "private, no-cache"
IMMUTABLE = "private, max-age=31536000, immutable"
CHUNK = 1 << 18
THUMBNAIL_TYPE = "image/webp"
SVG_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:"
CONDITIONS = ("HTTP_RANGE", "HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE", "HTTP_IF_MATCH", "HTTP_IF_UNMODIFIED_SINCE")
DATES = ("HTTP_IF_MODIFIED_SINCE", "HTTP_IF_UNMODIFIED_SINCE", "HTTP_IF_RANGE")
RANGE = re.compile(r"bytes=(?:(?P<first>\d{1,18})-(?P<last>\d{0,18})|-\d{1,18})", re.ASCII)
PRECONDITIONS = {"HTTP_IF_MATCH", "HTTP_IF_UNMODIFIED_SINCE"}
"""nginx would refuse the first whatever the ETag is."""

log = logging.getLogger(__name__)

_date = lru_cache(1024)(http_date)


class FileBody:
    """The content of an open file, read as it is sent; closes the descriptor. Seekable, for range requests."""

    def __init__(self, fd: int, size: int) -> None:
        self._fd = fd
        self._left = size

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        try:
            chunk = os.read(self._fd, min(CHUNK, self._left)) if self._left > 0 else b""
        except OSError as error:
            # The head is gone: the server closes the connection, since what came is less than was told.
            log.warning("A plot cannot be read to its end: %s", error.strerror)
            raise StopIteration from error
        if not chunk:
            raise StopIteration
        self._left -= len(chunk)
        return chunk

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int) -> int:
        self._left -= offset - self.tell()
        return os.lseek(self._fd, offset, os.SEEK_SET)

    def tell(self) -> int:
        return os.lseek(self._fd, 0, os.SEEK_CUR)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class PlotResponse(Response):
    """An image answer."""

    def get_wsgi_headers(self, environ: "WSGIEnvironment") -> Headers:
        # Complete as they are, unless conditions made something else of it: Werkzeug goes through them one by one.
        return self.headers if self.status_code == 200 else super().get_wsgi_headers(environ)


def respond_with_plot(
    opened: OpenPlot,
    cache_status: CacheStatus,
    request: Request,
    now_ns: int,
    accel: str | None = None,
    *,
    for_now: bool = False,
) -> Response:
    """The image, or what the request's conditions make of it: 304, 206 or 416.

    With `accel`, the path of an internal location of nginx, it is nginx that sends the file, or a range of it.
    `for_now` says that another answer would be better: no cache keeps this one without asking.

    Raises:
        OSError: it cannot be read.
    """
    plot, fd = opened
    environ = request.environ
    arguments: Mapping[str, str] = request.args if environ.get("QUERY_STRING") else {}
    body = FileBody(fd, plot.size)
    headers = Headers(_headers(plot, cache_status, arguments, now_ns, for_now=for_now))
    response = PlotResponse(body, headers=headers, direct_passthrough=True)
    try:
        if any(condition in environ for condition in CONDITIONS):
            _obey_conditions(response, _without_nonsense(environ), plot.size)
        if response.status_code == 412:
            body.close()
            return _respond_another(headers)
        if accel is not None and response.status_code in (200, 206) and PRECONDITIONS.isdisjoint(environ):
            body.close()
            _leave_to_nginx(response, f"{accel}/{plot.path}")
        elif response.status_code == 200 and plot.size <= CHUNK and request.method != "HEAD":
            _send_at_once(response, os.read(fd, plot.size), plot.size)
            body.close()
    except RequestedRangeNotSatisfiable:
        body.close()
        return _respond_not_satisfiable(headers, plot.size)
    except BaseException:
        body.close()
        raise
    return response


def _without_nonsense(environ: "WSGIEnvironment") -> "WSGIEnvironment":
    """The environment without conditions that mean nothing, which are ignored (RFC 9110 13.1.3, 14.2)."""
    sane = dict(environ)
    for name in DATES:
        try:
            parse_date(sane.get(name))
        except (OverflowError, ValueError):
            # If-Range by a date that is none is not fulfilled: then there is no range.
            del sane[name]
            if name == "HTTP_IF_RANGE":
                sane.pop("HTTP_RANGE", None)
    if sane.get("HTTP_IF_MATCH", "").strip() == "*":
        # It is there: that is all this asks.
        del sane["HTTP_IF_MATCH"]
    # Several ranges at once, units other than bytes and what is no range at all are answered with the whole.
    given = RANGE.fullmatch(sane.get("HTTP_RANGE", ""))
    if given is None or (given["last"] and int(given["first"]) > int(given["last"])):
        sane.pop("HTTP_RANGE", None)
    return sane


def _obey_conditions(response: Response, environ: "WSGIEnvironment", size: int) -> None:
    # Whether the caller has it comes first (RFC 9110 13.2.2): Werkzeug would look at the range first.
    response.make_conditional(environ, accept_ranges=False, complete_length=size)
    if response.status_code == 200 and "HTTP_RANGE" in environ:
        response.make_conditional(environ, accept_ranges=True, complete_length=size)


def _leave_to_nginx(response: Response, path: str) -> None:
    # nginx makes the range of the whole, says how long that is, and with the whole also that it makes ranges.
    for name in ("Content-Length", "Content-Range" if response.status_code == 206 else "Accept-Ranges"):
        response.headers.pop(name, None)
    response.status_code = 200
    response.response = []
    response.headers["X-Accel-Redirect"] = quote(path)


def _send_at_once(response: Response, content: bytes, size: int) -> None:
    # A list is sent in one piece. Shorter than it was a moment ago: it goes as it is, and no cache keeps it.
    response.response = [content]
    if len(content) != size:
        response.headers["Content-Length"] = str(len(content))
        response.headers["Cache-Control"] = "no-store"
        del response.headers["ETag"], response.headers["Last-Modified"]


def _headers(
    plot: Plot, cache_status: CacheStatus, arguments: Mapping[str, str], now_ns: int, *, for_now: bool
) -> Iterable[tuple[str, str]]:
    suffix = plot.suffix
    yield "Content-Type", MEDIA_TYPES[suffix]
    yield "Content-Length", str(plot.size)
    yield "ETag", f'"{plot.version}"'
    yield "Accept-Ranges", "bytes"
    lasts = not for_now and plot.is_settled(now_ns)
    yield from _common_headers(plot, cache_status, arguments, plot.filename, lasts=lasts)
    if suffix == ".svg":
        yield "Content-Security-Policy", SVG_POLICY


def _common_headers(
    plot: Plot, cache_status: CacheStatus, arguments: Mapping[str, str], filename: str, *, lasts: bool
) -> Iterable[tuple[str, str]]:
    """What the image itself and its thumbnails have alike; `lasts` when its version says all."""
    yield "Last-Modified", _date(plot.mtime_ns // 1_000_000_000)
    yield "X-Content-Type-Options", "nosniff"
    yield "Cache-Control", IMMUTABLE if lasts and arguments.get("v") == plot.version else CACHED
    yield "Cache-Status", f"plotindex; {cache_status}"
    if "sig" in arguments or plot.suffix == ".svg":
        # A link in an SVG would tell the address, and with it the signature.
        yield "Referrer-Policy", "no-referrer"
    if arguments.get("download") == "1":
        name = filename.rpartition("/")[2]
        yield "Content-Disposition", f"attachment; filename*=UTF-8''{quote(name, safe='')}"


def respond_with_thumbnail(
    plot: Plot, width: str, made: RenderResult | None, cache_status: CacheStatus, request: Request
) -> Response | None:
    """A thumbnail, or what the request's conditions make of it. With none made: only if none is needed, else None."""
    environ = request.environ
    filename = f"{plot.filename.removesuffix(plot.filename[-len(plot.suffix) :])}.webp"
    response = PlotResponse([made.content] if made else [], content_type=THUMBNAIL_TYPE, direct_passthrough=True)
    response.headers["ETag"] = f'"{plot.version}-{width}"'
    lasts = made is not None and made.is_final
    response.headers.extend(_common_headers(plot, cache_status, request.args, filename, lasts=lasts))
    if made is not None:
        response.headers["Content-Length"] = str(len(made.content))
    if any(condition in environ for condition in CONDITIONS):
        response.make_conditional(_without_nonsense(environ))
        if response.status_code == 412:
            return _respond_another(response.headers)
    return response if made is not None or response.status_code == 304 else None


def _respond_another(headers: Headers) -> Response:
    return respond_with_error(412, "The plot is not the one that is meant", ETag=headers["ETag"])


def _respond_not_satisfiable(headers: Headers, size: int) -> Response:
    refused = respond_with_error(416, "No such range is in the file", Content_Range=f"bytes */{size}")
    for name in ("Accept-Ranges", "Cache-Status", "ETag", "X-Content-Type-Options"):
        refused.headers[name] = headers[name]
    return refused
