"""Pages from templates, by an environment of their own: what a host does to Flask's changes no escaping here."""

import time
from datetime import UTC, datetime
from functools import cache
from http import HTTPStatus
from typing import Any

from flask import Response, url_for
from jinja2 import Environment, PackageLoader, StrictUndefined

from plotindex.listing import rfc3339


def render_page(pages: str, template: str, /, **values: object) -> Response:
    """A page of the blueprint of that name; every value in it is text, and escaped."""

    def page(endpoint: str, **given: Any) -> str:  # noqa: ANN401 - as url_for
        return url_for(f"{pages}.{endpoint}", **given)

    def static(filename: str) -> str:
        return page("static", filename=filename)

    common = {"page": page, "static": static, "home": page("sessions"), "url_for": url_for}
    given = {"api": "", "log_out": None, "is_watched": True, **common, **values}
    return Response(_environment().get_template(template).render(given))


def render_message(pages: str, message: str, status: int, title: str | None = None, /, **values: object) -> Response:
    """A page that says something; what is between backticks is a command."""
    response = render_page(pages, "message.html", title=title or HTTPStatus(status).phrase, message=message, **values)
    response.status_code = status
    return response


def ago(mtime_ns: int) -> str:
    """How long ago that was, in the largest unit."""
    seconds = max(0, int(time.time() - mtime_ns / 1e9))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"


def moment(mtime_ns: int) -> str:
    """A time to the second, in UTC; the page's script says it in the reader's own zone."""
    return f"{datetime.fromtimestamp(mtime_ns // 1_000_000_000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def size(count: int) -> str:
    """A number of bytes, in the largest unit."""
    for factor, unit in ((10**9, "GB"), (10**6, "MB"), (10**3, "KB")):
        if count >= factor:
            return f"{count / factor:.{0 if count >= 10 * factor else 1}f} {unit}"
    return f"{count} B"


def many(count: int, noun: str) -> str:
    """A count and its noun."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("plotindex.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(ago=ago, moment=moment, size=size, rfc3339=rfc3339, many=many)
    return environment
