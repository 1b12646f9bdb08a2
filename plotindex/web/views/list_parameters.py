"""The query parameters of the list routes. Each function raises BadParameterError."""

import re

from flask import Request

from plotindex.auth import CLOCK_TEXT
from plotindex.storage import FLAGS, FactsFilter
from plotindex.tree import Allows

MAX_PAGE_SIZE = 1_000
DEFAULT_PAGE_SIZE = 100
MAX_QUERY_LENGTH = 500


class BadParameterError(Exception):
    """A query parameter is invalid; the message is the response."""


def page_parameters(request: Request) -> tuple[int, str]:
    """`limit` and `after`."""
    text = request.args.get("limit", str(DEFAULT_PAGE_SIZE))
    # int() also accepts signs, spaces, underscores and non-ASCII digits.
    limit = int(text) if text.isascii() and text.isdigit() and len(text) <= 30 else -1
    if not 1 <= limit <= MAX_PAGE_SIZE:
        raise BadParameterError(f"limit must be a whole number from 1 to {MAX_PAGE_SIZE}")
    return limit, request.args.get("after", "")


def text_parameter(request: Request, name: str) -> str | None:
    """A text of at most MAX_QUERY_LENGTH characters."""
    text = request.args.get(name)
    if text is not None and len(text) > MAX_QUERY_LENGTH:
        raise BadParameterError(f"{name} must be at most {MAX_QUERY_LENGTH} characters long")
    return text


def facts_parameters(request: Request, session: str, allows: Allows) -> FactsFilter | None:
    """The conditions by what the plots show."""
    text, flag = text_parameter(request, "text") or "", request.args.get("flag", "")
    if flag and flag not in FLAGS:
        raise BadParameterError(f"flag must be one of {', '.join(FLAGS)}")
    return FactsFilter(session, text, flag, allows) if text or flag else None


def clock_parameter(request: Request) -> str:
    """`since`."""
    text = request.args.get("since", "0")
    # Older versions gave numbers.
    if not (CLOCK_TEXT.fullmatch(text) or re.fullmatch(r"[0-9]{1,30}", text)):
        raise BadParameterError("since must be 0 or the clock of an earlier response")
    return text


def seconds_parameter(request: Request, name: str, maximum: float) -> float:
    """A number of seconds in the query."""
    text = request.args.get(name, "0")
    # float() also accepts signs, underscores, "nan" and non-ASCII digits.
    seconds = float(text) if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text) else -1.0
    if not 0 <= seconds <= maximum:
        raise BadParameterError(f"{name} must be a number of seconds from 0 to {maximum:g}")
    return seconds
