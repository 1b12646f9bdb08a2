"""Preconditions and ranges of a request, in the order of RFC 9110 13.2.2. No I/O, no framework."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from werkzeug.http import parse_date

OK, PARTIAL, NOT_MODIFIED, PRECONDITION_FAILED, UNSATISFIABLE = 200, 206, 304, 412, 416
CONDITIONS = frozenset(
    {"HTTP_RANGE", "HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE", "HTTP_IF_MATCH", "HTTP_IF_UNMODIFIED_SINCE"}
)
"""A request without these is answered with the whole plot."""
ETAG = re.compile(r'(W/)?"([^"]*)"')
RANGE = re.compile(r"bytes=(?:(?P<first>\d{1,18})-(?P<last>\d{0,18})|-(?P<suffix>\d{1,18}))", re.ASCII)


class Validators(NamedTuple):
    """What a request's conditions are compared with."""

    etag: str
    """Opaque tag without quotes; always a strong one."""
    modified: int
    """Last-Modified, in seconds since the epoch."""
    is_settled: bool
    """Whether Last-Modified is old enough to be a strong validator (RFC 9110 8.8.2.2)."""


class Decision(NamedTuple):
    """The status to answer with, and the first byte and number of bytes to send with 200 and 206."""

    status: int
    first: int
    length: int


def evaluate(environ: Mapping[str, Any], validators: Validators, size: int) -> Decision:
    """Decide how to answer a GET or HEAD for something of `size` bytes."""
    status = _precondition(environ, validators)
    if status == OK and "HTTP_RANGE" in environ and environ["REQUEST_METHOD"] == "GET":
        return _range(environ, validators, size)
    return Decision(status, 0, size)


def _precondition(environ: Mapping[str, Any], validators: Validators) -> int:
    if "HTTP_IF_MATCH" in environ:
        if not _matches(environ["HTTP_IF_MATCH"], validators.etag, is_weak_enough=False):
            return PRECONDITION_FAILED
    elif _is_later(validators.modified, environ.get("HTTP_IF_UNMODIFIED_SINCE")):
        return PRECONDITION_FAILED
    if "HTTP_IF_NONE_MATCH" in environ:
        return NOT_MODIFIED if _matches(environ["HTTP_IF_NONE_MATCH"], validators.etag, is_weak_enough=True) else OK
    since = _seconds(environ.get("HTTP_IF_MODIFIED_SINCE"))
    return NOT_MODIFIED if since is not None and validators.modified <= since else OK


def _range(environ: Mapping[str, Any], validators: Validators, size: int) -> Decision:
    """Several ranges, another unit, a malformed range and an If-Range that fails are answered with the whole."""
    asked = RANGE.fullmatch(environ["HTTP_RANGE"].strip())
    whole = Decision(OK, 0, size)
    if asked is None or not _if_range_holds(environ.get("HTTP_IF_RANGE"), validators):
        return whole
    if asked["suffix"] is not None:
        length = min(int(asked["suffix"]), size)
        first, last = size - length, size - 1
    else:
        first, last = int(asked["first"]), int(asked["last"] or size - 1)
        if asked["last"] and last < first:
            return whole
    if first >= size or first > last:
        return Decision(UNSATISFIABLE, 0, 0)
    return Decision(PARTIAL, first, min(last, size - 1) - first + 1)


def _if_range_holds(given: str | None, validators: Validators) -> bool:
    if given is None:
        return True
    tag = ETAG.fullmatch(given.strip())
    if tag is not None:
        return not tag[1] and tag[2] == validators.etag
    return validators.is_settled and _seconds(given) == validators.modified


def _matches(given: str, etag: str, *, is_weak_enough: bool) -> bool:
    if given.strip() == "*":
        return True
    return any(tag == etag and (is_weak_enough or not weak) for weak, tag in ETAG.findall(given))


def _is_later(modified: int, given: str | None) -> bool:
    since = _seconds(given)
    return since is not None and modified > since


def _seconds(given: str | None) -> int | None:
    """An HTTP date in seconds since the epoch, or None: a date that is not valid is ignored (RFC 9110 13.1.3)."""
    try:
        date: datetime | None = parse_date(given)
    except (OverflowError, ValueError):
        return None
    return int(date.timestamp()) if date else None
