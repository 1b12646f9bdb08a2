"""Image responses, from the descriptor of an open plot."""

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


REVALIDATE = "private, no-cache"
IMMUTABLE = "private, max-age=31536000, immutable"
CHUNK = 1 << 18
THUMBNAIL_TYPE = "image/webp"
SVG_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:"
CONDITIONS = ("HTTP_RANGE", "HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE", "HTTP_IF_MATCH", "HTTP_IF_UNMODIFIED_SINCE")
DATES = ("HTTP_IF_MODIFIED_SINCE", "HTTP_IF_UNMODIFIED_SINCE", "HTTP_IF_RANGE")
RANGE = re.compile(r"bytes=(?:(?P<first>\d{1,18})-(?P<last>\d{0,18})|-\d{1,18})", re.ASCII)
PRECONDITIONS = {"HTTP_IF_MATCH", "HTTP_IF_UNMODIFIED_SINCE"}
"""Not delegated to nginx, which fails If-Match for any ETag that it has not made."""

log = logging.getLogger(__name__)

_date = lru_cache(1024)(http_date)


class FileBody:
    """The content of an open file, read in chunks; owns the descriptor. Seekable, for range requests."""

    def __init__(self, fd: int, size: int) -> None:
        self._fd = fd
        self._remaining = size

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        try:
            chunk = os.read(self._fd, min(CHUNK, self._remaining)) if self._remaining > 0 else b""
        except OSError as error:
            # The headers are sent already: the server closes the connection when the body is shorter than promised.
            log.warning("Cannot read a plot to its end: %s", error.strerror)
            raise StopIteration from error
        if not chunk:
            raise StopIteration
        self._remaining -= len(chunk)
        return chunk

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int) -> int:
        self._remaining -= offset - self.tell()
        return os.lseek(self._fd, offset, os.SEEK_SET)

    def tell(self) -> int:
        return os.lseek(self._fd, 0, os.SEEK_CUR)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class PlotResponse(Response):
    """An image response."""

    def get_wsgi_headers(self, environ: "WSGIEnvironment") -> Headers:
        # The headers of a 200 are complete: skip Werkzeug's pass over them.
        return self.headers if self.status_code == 200 else super().get_wsgi_headers(environ)


def respond_with_plot(
    opened: OpenPlot,
    cache_status: CacheStatus,
    request: Request,
    now_ns: int,
    accel: str | None = None,
    *,
    is_fallback: bool = False,
) -> Response:
    """The image: 200 or, by the request's conditions, 206, 304, 412 or 416.

    With `accel`, an internal location of nginx, nginx sends the file or its range (X-Accel-Redirect). A fallback stands
    in for a thumbnail and must be revalidated by caches.

    Raises:
        OSError: the file cannot be read.
    """
    plot, fd = opened
    environ = request.environ
    arguments: Mapping[str, str] = request.args if environ.get("QUERY_STRING") else {}
    body = FileBody(fd, plot.size)
    headers = Headers(_plot_headers(plot, cache_status, arguments, now_ns, is_fallback=is_fallback))
    response = PlotResponse(body, headers=headers, direct_passthrough=True)
    try:
        if any(condition in environ for condition in CONDITIONS):
            _apply_conditions(response, _valid_conditions(environ), plot.size)
        if response.status_code == 412:
            body.close()
            return _respond_precondition_failed(headers)
        if accel is not None and response.status_code in (200, 206) and PRECONDITIONS.isdisjoint(environ):
            body.close()
            _redirect_to_nginx(response, f"{accel}/{plot.path}")
        elif response.status_code == 200 and plot.size <= CHUNK and request.method != "HEAD":
            _set_content(response, os.read(fd, plot.size), plot.size)
            body.close()
    except RequestedRangeNotSatisfiable:
        body.close()
        return _respond_range_not_satisfiable(headers, plot.size)
    except BaseException:
        body.close()
        raise
    return response


def _valid_conditions(environ: "WSGIEnvironment") -> "WSGIEnvironment":
    """A copy of the environment without invalid conditions, which are ignored (RFC 9110 13.1.3, 14.2)."""
    valid = dict(environ)
    for name in DATES:
        try:
            parse_date(valid.get(name))
        except (OverflowError, ValueError):
            # An invalid date never matches: If-Range then disables Range.
            del valid[name]
            if name == "HTTP_IF_RANGE":
                valid.pop("HTTP_RANGE", None)
    if valid.get("HTTP_IF_MATCH", "").strip() == "*":
        # True for every plot that exists.
        del valid["HTTP_IF_MATCH"]
    # Multiple ranges, other units and malformed ranges are answered with the whole file.
    match = RANGE.fullmatch(valid.get("HTTP_RANGE", ""))
    if match is None or (match["last"] and int(match["first"]) > int(match["last"])):
        valid.pop("HTTP_RANGE", None)
    return valid


def _apply_conditions(response: Response, environ: "WSGIEnvironment", size: int) -> None:
    # Preconditions come before the range (RFC 9110 13.2.2); Werkzeug checks the range first.
    response.make_conditional(environ, accept_ranges=False, complete_length=size)
    if response.status_code == 200 and "HTTP_RANGE" in environ:
        response.make_conditional(environ, accept_ranges=True, complete_length=size)


def _redirect_to_nginx(response: Response, path: str) -> None:
    # nginx applies the range and sets these headers itself.
    for name in ("Content-Length", "Content-Range" if response.status_code == 206 else "Accept-Ranges"):
        response.headers.pop(name, None)
    response.status_code = 200
    response.response = []
    response.headers["X-Accel-Redirect"] = quote(path)


def _set_content(response: Response, content: bytes, size: int) -> None:
    # A list is sent in one piece.
    response.response = [content]
    # The file has shrunk since it was opened: send the rest, uncacheable.
    if len(content) != size:
        response.headers["Content-Length"] = str(len(content))
        response.headers["Cache-Control"] = "no-store"
        del response.headers["ETag"], response.headers["Last-Modified"]


def _plot_headers(
    plot: Plot, cache_status: CacheStatus, arguments: Mapping[str, str], now_ns: int, *, is_fallback: bool
) -> Iterable[tuple[str, str]]:
    suffix = plot.suffix
    yield "Content-Type", MEDIA_TYPES[suffix]
    yield "Content-Length", str(plot.size)
    yield "ETag", f'"{plot.version}"'
    yield "Accept-Ranges", "bytes"
    is_final = not is_fallback and plot.is_settled(now_ns)
    yield from _common_headers(plot, cache_status, arguments, plot.filename, is_final=is_final)
    if suffix == ".svg":
        yield "Content-Security-Policy", SVG_POLICY


def _common_headers(
    plot: Plot, cache_status: CacheStatus, arguments: Mapping[str, str], filename: str, *, is_final: bool
) -> Iterable[tuple[str, str]]:
    """Headers of both images and thumbnails. `is_final`: the response to `?v=VERSION` will never change."""
    yield "Last-Modified", _date(plot.mtime_ns // 1_000_000_000)
    yield "X-Content-Type-Options", "nosniff"
    yield "Cache-Control", IMMUTABLE if is_final and arguments.get("v") == plot.version else REVALIDATE
    yield "Cache-Status", f"plotindex; {cache_status}"
    if "sig" in arguments or plot.suffix == ".svg":
        # A link in an SVG would otherwise disclose the signed URL.
        yield "Referrer-Policy", "no-referrer"
    if arguments.get("download") == "1":
        name = filename.rpartition("/")[2]
        yield "Content-Disposition", f"attachment; filename*=UTF-8''{quote(name, safe='')}"


def respond_with_thumbnail(
    plot: Plot, width: str, result: RenderResult | None, cache_status: CacheStatus, request: Request
) -> Response | None:
    """A thumbnail: 200 or, by the request's conditions, 304 or 412. Without `result`: 304, 412 or None."""
    environ = request.environ
    filename = f"{plot.filename.removesuffix(plot.filename[-len(plot.suffix) :])}.webp"
    response = PlotResponse([result.content] if result else [], content_type=THUMBNAIL_TYPE, direct_passthrough=True)
    response.headers["ETag"] = f'"{plot.version}-{width}"'
    is_final = result is not None and result.is_final
    response.headers.extend(_common_headers(plot, cache_status, request.args, filename, is_final=is_final))
    if result is not None:
        response.headers["Content-Length"] = str(len(result.content))
    if any(condition in environ for condition in CONDITIONS):
        response.make_conditional(_valid_conditions(environ))
        if response.status_code == 412:
            return _respond_precondition_failed(response.headers)
    return response if result is not None or response.status_code == 304 else None


def _respond_precondition_failed(headers: Headers) -> Response:
    return respond_with_error(412, "The plot does not match the precondition", ETag=headers["ETag"])


def _respond_range_not_satisfiable(headers: Headers, size: int) -> Response:
    response = respond_with_error(416, "Range not satisfiable", Content_Range=f"bytes */{size}")
    for name in ("Accept-Ranges", "Cache-Status", "ETag", "X-Content-Type-Options"):
        response.headers[name] = headers[name]
    return response
