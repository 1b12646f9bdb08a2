"""The WSGI environment of a request (PEP 3333)."""

from typing import Any

Environ = dict[str, Any]


def decode_path(environ: Environ) -> str | None:
    """The path of a request; None if it is not valid UTF-8.

    Werkzeug replaces invalid bytes, and the result could name another file.
    """
    path: str = environ["PATH_INFO"]
    if path.isascii():
        return path
    try:
        return path.encode("latin-1").decode()
    except UnicodeError:
        return None
