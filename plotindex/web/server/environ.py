"""The WSGI environment of an ASGI request (PEP 3333; ASGI 3.0, HTTP scope)."""

import io
import sys
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_to_bytes

from plotindex.web.wsgi import Environ

Scope = dict[str, Any]
CONSTANTS = {
    "SCRIPT_NAME": "",
    "wsgi.version": (1, 0),
    "wsgi.input_terminated": True,
    "wsgi.errors": sys.stderr,
    "wsgi.multithread": True,
    "wsgi.multiprocess": False,
    "wsgi.run_once": False,
}


class BadRequestError(Exception):
    """An invalid request, rejected with 400; the message is for the client."""


def environ_of(scope: Scope) -> Environ:
    """The environment of a request, with an empty body.

    A header whose name contains an underscore is dropped: WSGI maps it to the key of a header with hyphens, which a
    trusted proxy may have set.

    Raises:
        BadRequestError: several Host headers (RFC 9112 3.2).
    """
    client, server = scope["client"], scope["server"]
    environ: Environ = {
        "REQUEST_METHOD": scope["method"],
        "PATH_INFO": _path(scope["raw_path"]),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1]),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": client[0],
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": io.BytesIO(),
        **CONSTANTS,
    }
    for name, value in scope["headers"]:
        if b"_" not in name:
            _add_header(environ, _key_of(name), value.decode("latin-1"))
    return environ


def _path(raw: bytes) -> str:
    return (unquote_to_bytes(raw) if b"%" in raw else raw).decode("latin-1")


@lru_cache(256)
def _key_of(name: bytes) -> str:
    key = name.decode("latin-1").upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"


def _add_header(environ: Environ, key: str, value: str) -> None:
    if key not in environ:
        environ[key] = value
    elif key == "HTTP_HOST":
        raise BadRequestError("Several Host headers")
    else:
        # RFC 9110 5.3; cookies are separated otherwise (RFC 6265bis 5.8.1).
        environ[key] += ("; " if key == "HTTP_COOKIE" else ",") + value
