"""What the answers of a server look like, as far as an agent reads them: another server may send anything."""

import json
import re
from typing import Any

NAME = re.compile(r".{0,4096}", re.DOTALL)
"""A session, project, filename or a part of one."""
TEXT = re.compile(r".*", re.DOTALL)
VERSION = re.compile(r"[0-9a-f]{16}")
TIME = re.compile(r"[0-9TZ:.+-]{1,40}", re.ASCII)
WORD = re.compile(r"[a-z0-9]{0,16}")
"""A suffix, a format or a flag."""
PLACE = re.compile(r"[0-9a-f-]{1,40}")
COUNT = range(1 << 63)
FLAG = frozenset({False, True})
OR_NULL = None

Shape = Any
"""A pattern of a text; a range of a number; a set of values; a list with the shape of each; an object with those of
some fields; or a tuple of two shapes, of which null is OR_NULL."""

_COPY = {"project": NAME, "version": VERSION, "size": COUNT, "mtime": TIME}
SESSIONS = {"sessions": [{"session": NAME, "plots": COUNT, "mtime": TIME}], "next": (TEXT, OR_NULL)}
PLOTS = {
    "plots": [{"session": NAME, "filename": NAME, **_COPY, "copies": [{}], "siblings": [WORD]}],
    "next": (TEXT, OR_NULL),
}
VERSIONS = {"versions": [{**_COPY, "current": FLAG}], "next": (PLACE, OR_NULL)}
KEYS = {
    "keys": [{"filename": NAME, "versions": COUNT, "seen": (TIME, OR_NULL), "gone": (TIME, OR_NULL)}],
    "next": (NAME, OR_NULL),
}
FACTS = {
    "session": NAME,
    "filename": NAME,
    "project": NAME,
    "version": VERSION,
    "inspected": FLAG,
    "format": (WORD, OR_NULL),
    **dict.fromkeys(("width", "height", "frames"), (COUNT, OR_NULL)),
    "title": (TEXT, OR_NULL),
    "text": [TEXT],
    "flags": [WORD],
    "same": [{"session": NAME, "filename": NAME}],
}
ERROR = {"error": TEXT}


def parse_answer(body: bytes, shape: Shape) -> dict[str, Any] | None:
    """The object in a body; None if it is no JSON of this shape."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if has_shape(found, shape) else None


def has_shape(found: object, shape: Shape) -> bool:
    """Whether a value of JSON has a shape. Objects may have more fields."""
    match shape:
        case dict():
            is_whole = isinstance(found, dict) and shape.keys() <= found.keys()
            return is_whole and all(has_shape(found[name], inner) for name, inner in shape.items())  # type: ignore[index]
        # Before the patterns of sequences: its length does not fit.
        case range():
            return type(found) is int and found in shape
        case [inner] if isinstance(shape, list):
            return isinstance(found, list) and all(has_shape(each, inner) for each in found)
        case (inner, None):
            return found is None or has_shape(found, inner)
        case re.Pattern():
            return isinstance(found, str) and shape.fullmatch(found) is not None
    return isinstance(found, bool) and found in shape
