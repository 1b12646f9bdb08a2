"""Pages from templates, by an environment of their own: what a host does to Flask's changes no escaping here."""

from datetime import UTC, datetime
from functools import cache
from http import HTTPStatus
from typing import Any

from flask import Response, url_for
from jinja2 import Environment, PackageLoader, StrictUndefined

from plotindex.system import format_age, format_size, rfc3339


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


def format_utc(mtime_ns: int) -> str:
    """A time to the second, in UTC; the page's script says it in the reader's own zone."""
    return f"{datetime.fromtimestamp(mtime_ns // 1_000_000_000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def pluralize(count: int, noun: str) -> str:
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
    environment.filters.update(ago=format_age, utc=format_utc, size=format_size, rfc3339=rfc3339, pluralize=pluralize)
    return environment
