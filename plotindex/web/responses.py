"""An open plot becomes a response: the descriptor that was checked is what is served."""

import os
from typing import Self
from urllib.parse import quote

from flask import Request, Response, jsonify
from werkzeug.exceptions import RequestedRangeNotSatisfiable
from werkzeug.http import http_date

from plotindex.lookup import Source
from plotindex.settings import MEDIA_TYPES
from plotindex.tree import OpenPlot

CACHED = "private, no-cache"
IMMUTABLE = "private, max-age=31536000, immutable"
SETTLED_NS = 2_000_000_000
"""A file changed more recently may change again within one tick of its clock, and show the same version."""
CHUNK = 1 << 18
SVG_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:"


class FileBody:
    """The content of an open file, read as it is sent; closes the descriptor. Seekable, for range requests."""

    def __init__(self, fd: int, size: int) -> None:
        self._fd = fd
        self._left = size

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        chunk = os.read(self._fd, min(CHUNK, self._left)) if self._left > 0 else b""
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


def respond_with_plot(opened: OpenPlot, source: Source, request: Request, now_ns: int) -> Response:
    """The image, or what the request's conditions make of it: 304, 206 or 416."""
    plot = opened.plot
    suffix = plot.filename[plot.filename.rindex(".") :].lower()
    body = FileBody(opened.fd, plot.size)
    response = Response(body, content_type=MEDIA_TYPES[suffix], direct_passthrough=True)
    headers = response.headers
    headers["Content-Length"] = str(plot.size)
    headers["ETag"] = f'"{plot.version}"'
    headers["Last-Modified"] = http_date(plot.mtime_ns // 1_000_000_000)
    headers["Accept-Ranges"] = "bytes"
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Cache-Control"] = _cache_control(opened, request, now_ns)
    headers["Cache-Status"] = f"plotindex; {source}"
    if suffix == ".svg":
        headers["Content-Security-Policy"] = SVG_POLICY
    if request.args.get("download") == "1":
        name = plot.filename.rpartition("/")[2]
        headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(name, safe='')}"
    if _has_conditions(request):
        try:
            # Several ranges at once are answered with the whole, as RFC 9110 14.2 allows.
            single = "," not in request.environ.get("HTTP_RANGE", "")
            response.make_conditional(request.environ, accept_ranges=single, complete_length=plot.size)
        except RequestedRangeNotSatisfiable:
            body.close()
            raise
    elif plot.size <= CHUNK and request.method != "HEAD":
        # A list is sent in one piece. Shorter than it was a moment ago: it goes as it is, and no cache keeps it.
        response.response = [content := b"".join(body)]
        body.close()
        if len(content) != plot.size:
            headers["Content-Length"] = str(len(content))
            headers["Cache-Control"] = "no-store"
            del headers["ETag"], headers["Last-Modified"]
    return response


def respond_with_error(status: int, message: str, **headers: str) -> Response:
    """A JSON error. Header names are written with underscores."""
    response: Response = jsonify(error=message)
    response.status_code = status
    response.headers["Cache-Control"] = "no-store"
    for name, value in headers.items():
        response.headers[name.replace("_", "-")] = value
    return response


def _cache_control(opened: OpenPlot, request: Request, now_ns: int) -> str:
    settled = now_ns - opened.plot.ctime_ns > SETTLED_NS
    return IMMUTABLE if settled and request.args.get("v") == opened.plot.version else CACHED


def _has_conditions(request: Request) -> bool:
    environ = request.environ
    return "HTTP_RANGE" in environ or "HTTP_IF_NONE_MATCH" in environ or "HTTP_IF_MODIFIED_SINCE" in environ
