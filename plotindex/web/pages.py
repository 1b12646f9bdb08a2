"""Pages, rendered in a Jinja environment of their own: the host's changes to Flask's cannot disable escaping."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from http import HTTPStatus
from typing import Any

from flask import Response, request, url_for
from jinja2 import Environment, PackageLoader, StrictUndefined

from plotindex.system import format_age, format_size, rfc3339
from plotindex.tree import SESSION_PROJECT
from plotindex.web.assets import gallery_assets

TAIL = 12
"""Characters at the end of a filename that a card does not cut."""
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors "
)
NO_FRAMES = "'none'"


def render_page(blueprint: str, template: str, /, **values: object) -> Response:
    """A page of the named blueprint. All values are escaped."""

    def page(endpoint: str, **arguments: Any) -> str:  # noqa: ANN401 - as url_for
        return url_for(f"{blueprint}.{endpoint}", **arguments)

    assets = gallery_assets()
    # Once: a page names twenty files.
    assets_url = page("static", version=assets.version, filename="x")[:-1]

    def static(filename: str) -> str:
        return assets_url + filename

    functions = {
        "page": page,
        "static": static,
        "imports": assets.imports,
        "home": page("sessions"),
        "url_for": url_for,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    context = {"api_prefix": "", "logout_url": None, "is_watched": True, **functions, **values}
    return Response(_environment().get_template(template).render(context))


def page_pieces(template: str, /, **values: object) -> Iterator[str]:
    """The text of a page without a server, piece by piece. All values are escaped."""
    return _environment().get_template(template).generate(values)


def render_message(blueprint: str, message: str, status: int, /, **values: object) -> Response:
    """A page with a message, under the phrase of its status; text in backticks becomes code."""
    title = HTTPStatus(status).phrase
    response = render_page(blueprint, "message.html", title=title, message=message, **values)
    response.status_code = status
    return response


def add_headers(response: Response, frame_ancestors: str = NO_FRAMES) -> Response:
    """Add the security and cache headers of pages and static files."""
    response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY + frame_ancestors
    # Not no-referrer: then browsers send `Origin: null` with forms.
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    if not (request.endpoint or "").endswith(".static"):
        response.headers["Cache-Control"] = "no-store"
    return response


def format_utc(mtime_ns: int) -> str:
    """A time to the second, in UTC; the page's script converts it to local time."""
    return f"{datetime.fromtimestamp(mtime_ns // 1_000_000_000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def project_label(project: str) -> str:
    """The name of a project for readers."""
    return "session folder" if project == SESSION_PROJECT else project


def split_name(name: str) -> tuple[str, str]:
    """A filename in two parts; the second stays whole when a card cuts the name. As `splitName` of the scripts."""
    name = re.sub(r"\s", "\N{NO-BREAK SPACE}", name)
    return name[:-TAIL], name[-TAIL:]


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
    environment.filters.update(label=project_label, split_name=split_name)
    return environment
