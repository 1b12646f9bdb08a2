"""Template rendering in a separate Jinja environment: the host's changes to Flask's cannot disable escaping."""

from datetime import UTC, datetime
from functools import cache
from http import HTTPStatus
from typing import Any

from flask import Response, url_for
from jinja2 import Environment, PackageLoader, StrictUndefined

from plotindex.system import format_age, format_size, rfc3339
from plotindex.tree import SESSION_PROJECT


def render_page(blueprint: str, template: str, /, **values: object) -> Response:
    """A page of the named blueprint. All values are escaped."""

    def page(endpoint: str, **arguments: Any) -> str:  # noqa: ANN401 - as url_for
        return url_for(f"{blueprint}.{endpoint}", **arguments)

    def static(filename: str) -> str:
        return page("static", filename=filename)

    functions = {"page": page, "static": static, "home": page("sessions"), "url_for": url_for}
    context = {"api_prefix": "", "logout_url": None, "is_watched": True, **functions, **values}
    return Response(_environment().get_template(template).render(context))


def render_message(
    blueprint: str, message: str, status: int, title: str | None = None, /, **values: object
) -> Response:
    """A page with a message; text in backticks becomes code. Default title: the phrase of the status."""
    title = title or HTTPStatus(status).phrase
    response = render_page(blueprint, "message.html", title=title, message=message, **values)
    response.status_code = status
    return response


def format_utc(mtime_ns: int) -> str:
    """A time to the second, in UTC; the page's script converts it to local time."""
    return f"{datetime.fromtimestamp(mtime_ns // 1_000_000_000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def project_label(project: str) -> str:
    """The name of a project for readers."""
    return "session folder" if project == SESSION_PROJECT else project


def pluralize(count: int, noun: str, plural: str | None = None) -> str:
    """A count with its noun: `1,234 plots`. Default plural: with an `s`."""
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"


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
    environment.filters.update(label=project_label)
    return environment
