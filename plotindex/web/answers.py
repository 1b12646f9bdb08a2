"""Answers with an image, from the descriptor of an open plot. No framework: views and the server send the same."""

import json
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, Self
from urllib.parse import quote

from werkzeug.http import http_date

from plotindex.index import CacheStatus
from plotindex.rendering.protocol import original_of
from plotindex.rendering.thumbnails import RenderResult
from plotindex.tree import MEDIA_TYPES, OpenPlot, Plot
from plotindex.web.conditions import (
    CONDITIONS,
    NOT_MODIFIED,
    OK,
    PARTIAL,
    PRECONDITION_FAILED,
    Decision,
    Validators,
    evaluate,
)

REVALIDATE = "private, no-cache"
IMMUTABLE = "private, max-age=31536000, immutable"
CHUNK = 1 << 18
"""A body of at most so many bytes is read and sent in one piece."""
THUMBNAIL_TYPE = "image/webp"
SVG_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:"
PRECONDITIONS = {"HTTP_IF_MATCH", "HTTP_IF_UNMODIFIED_SINCE"}
"""Not delegated to nginx, which fails If-Match for any ETag that it has not made."""

Headers = list[tuple[str, str]]
Read = Callable[[int, int], bytes]
"""Reads so many bytes from the start of a descriptor."""

log = logging.getLogger(__name__)
_date = lru_cache(1024)(http_date)


class FileBody:
    """A part of an open file, read in chunks; owns the descriptor."""

    def __init__(self, fd: int, first: int, length: int) -> None:
        self._fd = fd
        self._offset = first
        self._remaining = length

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        try:
            chunk = os.pread(self._fd, min(CHUNK, self._remaining), self._offset) if self._remaining > 0 else b""
        except OSError as error:
            # The headers are sent already: the server closes the connection when the body is shorter than promised.
            log.warning("Cannot read a plot to its end: %s", error.strerror)
            raise StopIteration from error
        if not chunk:
            raise StopIteration
        self._offset += len(chunk)
        self._remaining -= len(chunk)
        return chunk

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class ImageRequest(NamedTuple):
    """A GET or HEAD of an image, by its WSGI environment and the first value of each parameter of its query."""

    environ: Mapping[str, Any]
    arguments: Mapping[str, str]


class Answer(NamedTuple):
    """What to send: the status code, the headers, and the body."""

    status: int
    headers: Headers
    body: Iterable[bytes]


def read_file(fd: int, size: int) -> bytes:
    """The first `size` bytes of a file, or all of a shorter one."""
    return os.pread(fd, size, 0)


def answer_with_plot(
    opened: OpenPlot,
    cache_status: CacheStatus,
    request: ImageRequest,
    now_ns: int,
    *,
    accel: str | None = None,
    is_fallback: bool = False,
    read: Read = read_file,
) -> Answer:
    """The image: 200 or, by the request's conditions, 206, 304, 412 or 416. Closes the descriptor, or its body does.

    With `accel`, an internal location of nginx, nginx sends the file or its range (X-Accel-Redirect). A fallback stands
    in for a thumbnail and must be revalidated by caches.

    Raises:
        OSError: the file cannot be read.
    """
    plot, fd = opened
    environ = request.environ
    owned = True
    try:
        is_settled = plot.is_settled(now_ns)
        version, size = plot.version, plot.size
        is_final = is_settled and not is_fallback and request.arguments.get("v") == version
        headers = _plot_headers(plot, version, cache_status, request.arguments, is_final=is_final)
        decision = Decision(OK, 0, size)
        if not CONDITIONS.isdisjoint(environ):
            decision = evaluate(environ, Validators(version, _seconds(plot), is_settled), size)
        if decision.status not in (OK, PARTIAL):
            return _without_content(decision.status, headers, size, environ["REQUEST_METHOD"])
        if accel is not None and _may_nginx_send(environ, decision):
            return _redirect_to_nginx(decision.status, headers, f"{accel}/{plot.path}")
        if decision.status == PARTIAL:
            headers[1] = ("Content-Length", str(decision.length))
            last = decision.first + decision.length - 1
            headers.append(("Content-Range", f"bytes {decision.first}-{last}/{size}"))
        if environ["REQUEST_METHOD"] == "HEAD":
            return Answer(decision.status, headers, [])
        if decision.status == OK and size <= CHUNK:
            return _whole(headers, read(fd, size), size)
        owned = False
        return Answer(decision.status, headers, FileBody(fd, decision.first, decision.length))
    finally:
        if owned:
            os.close(fd)


def answer_with_thumbnail(
    plot: Plot, width: str, result: RenderResult | None, cache_status: CacheStatus, request: ImageRequest
) -> Answer | None:
    """A picture: 200 or, by the request's conditions, 304 or 412. Without `result`: 304, 412 or None."""
    environ = request.environ
    version = plot.version
    etag = f"{version}-{width}"
    is_final = result is not None and result.is_final and request.arguments.get("v") == version
    content = result.content if result else b""
    filename = f"{plot.filename.removesuffix(plot.filename[-len(plot.suffix) :])}.webp"
    headers = [
        ("Content-Type", THUMBNAIL_TYPE),
        ("Content-Length", str(len(content))),
        ("ETag", f'"{etag}"'),
        *_common_headers(plot, cache_status, request.arguments, filename, is_final=is_final),
    ]
    if original := original_of(content):
        headers.append(("Plotindex-Original", "width={}, height={}, pages={}".format(*original)))
    if not CONDITIONS.isdisjoint(environ):
        # Pictures are small: always sent whole.
        status = evaluate({**environ, "HTTP_RANGE": ""}, Validators(etag, _seconds(plot), False), len(content)).status
        if status != OK:
            return _without_content(status, headers, len(content), environ["REQUEST_METHOD"])
    if result is None:
        return None
    return Answer(OK, headers, [] if environ["REQUEST_METHOD"] == "HEAD" else [content])


def error_answer(status: int, message: str, headers: Headers, method: str = "GET") -> Answer:
    """An error as JSON, as the application's own."""
    body = json.dumps({"error": message}, separators=(",", ":")).encode() + b"\n"
    common = [("Content-Type", "application/json"), ("Content-Length", str(len(body))), ("Cache-Control", "no-store")]
    return Answer(status, [*common, *headers], [] if method == "HEAD" else [body])


def _may_nginx_send(environ: Mapping[str, Any], decision: Decision) -> bool:
    """Whether nginx would decide the same: it sends several ranges, and ranges of a HEAD."""
    is_range_ignored = "HTTP_RANGE" in environ and decision.status == OK
    return PRECONDITIONS.isdisjoint(environ) and not is_range_ignored


def _redirect_to_nginx(status: int, headers: Headers, path: str) -> Answer:
    # nginx applies the range and sets these headers itself.
    own = {"Content-Length"} if status == PARTIAL else {"Content-Length", "Accept-Ranges"}
    kept = [header for header in headers if header[0] not in own]
    return Answer(OK, [*kept, ("X-Accel-Redirect", quote(path))], [])


def _whole(headers: Headers, content: bytes, size: int) -> Answer:
    if len(content) != size:
        # The file has shrunk since it was opened: send the rest, uncacheable.
        kept = [header for header in headers if header[0] not in {"ETag", "Last-Modified", "Cache-Control"}]
        kept[1] = ("Content-Length", str(len(content)))
        return Answer(OK, [*kept, ("Cache-Control", "no-store")], [content])
    return Answer(OK, headers, [content])


def _without_content(status: int, headers: Headers, size: int, method: str) -> Answer:
    if status == NOT_MODIFIED:
        return Answer(status, [header for header in headers if header[0] not in {"Content-Type", "Content-Length"}], [])
    known = dict(headers)
    if status == PRECONDITION_FAILED:
        return error_answer(status, "The plot does not match the precondition", [("ETag", known["ETag"])], method)
    kept = [(name, known[name]) for name in ("Accept-Ranges", "Cache-Status", "ETag", "X-Content-Type-Options")]
    return error_answer(status, "Range not satisfiable", [("Content-Range", f"bytes */{size}"), *kept], method)


def _seconds(plot: Plot) -> int:
    return plot.mtime_ns // 1_000_000_000


def _plot_headers(
    plot: Plot, version: str, cache_status: CacheStatus, arguments: Mapping[str, str], *, is_final: bool
) -> Headers:
    suffix = plot.suffix
    headers = [
        ("Content-Type", MEDIA_TYPES[suffix]),
        ("Content-Length", str(plot.size)),
        ("ETag", f'"{version}"'),
        ("Accept-Ranges", "bytes"),
        *_common_headers(plot, cache_status, arguments, plot.filename, is_final=is_final),
    ]
    if suffix == ".svg":
        headers.append(("Content-Security-Policy", SVG_POLICY))
    return headers


def _common_headers(
    plot: Plot, cache_status: CacheStatus, arguments: Mapping[str, str], filename: str, *, is_final: bool
) -> Headers:
    """Headers of both plots and pictures. `is_final`: the answer will never change."""
    headers = [
        ("Last-Modified", _date(_seconds(plot))),
        ("X-Content-Type-Options", "nosniff"),
        ("Cache-Control", IMMUTABLE if is_final else REVALIDATE),
        ("Cache-Status", f"plotindex; {cache_status}"),
    ]
    if "sig" in arguments or plot.suffix in (".svg", ".pdf"):
        # A link in the plot would otherwise disclose the signed URL.
        headers.append(("Referrer-Policy", "no-referrer"))
    if arguments.get("download") == "1":
        name = filename.rpartition("/")[2]
        headers.append(("Content-Disposition", f"attachment; filename*=UTF-8''{quote(name, safe='')}"))
    return headers
