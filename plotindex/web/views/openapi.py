"""The interface over HTTP as OpenAPI 3.1 describes it. Names nothing that is on this machine."""

from typing import Any

from flask import Response, jsonify

from plotindex import __version__
from plotindex.rendering.thumbnails import WIDTHS
from plotindex.web.views.lists import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, MAX_QUERY_LENGTH, MAX_WAIT_SECONDS

Schema = dict[str, Any]

ERROR: Schema = {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}
WHOLE: Schema = {"type": "integer", "minimum": 0}
TEXT: Schema = {"type": "string"}
COPY: Schema = {
    "project": TEXT,
    "size": WHOLE,
    "mtime": {"type": "string", "description": "RFC 3339, nine decimals"},
    "version": TEXT,
    "url": TEXT,
}
KEY: Schema = {"session": TEXT, "filename": TEXT}


def _object(properties: Schema) -> Schema:
    return {"type": "object", "required": list(properties), "properties": properties, "additionalProperties": False}


def _list_of(properties: Schema) -> Schema:
    return {"type": "array", "items": _object(properties)}


ENTRY: Schema = {**KEY, **COPY, "copies": _list_of(COPY)}
NEXT: Schema = {"type": ["string", "null"], "description": "for `after`; null on the last page"}


def describe_api(url_prefix: str) -> Response:
    """The description, of an instance below that prefix."""
    paths = {
        f"{url_prefix}/plots/{{session}}/{{filename}}": {"get": _IMAGE},
        f"{url_prefix}/plots/{{session}}": {
            "get": _listed("plots", "The plots of a session", _PLOTS, [_path("session"), *_PAGE], absent=True)
        },
        f"{url_prefix}/plots": {"get": _listed("sessions", "The sessions that the caller may see", _SESSIONS, _PAGE)},
        f"{url_prefix}/changes": {
            "get": _listed("changes", "What has changed since a clock", _CHANGES, _SINCE, absent=True)
        },
    }
    return jsonify(
        openapi="3.1.0",
        info={"title": "plotindex", "version": __version__, "description": "Plots by session and filename."},
        paths=paths,
        security=[{"token": []}],
        components={"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    )


def _parameter(name: str, schema: Schema, description: str) -> Schema:
    return {"name": name, "in": "query", "schema": schema, "description": description}


def _path(name: str) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _answer(description: str, schema: Schema) -> Schema:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


_REFUSALS: Schema = {
    "400": _answer("A parameter is wrong", ERROR),
    "401": _answer("No token, or none that is good", ERROR),
    "503": _answer("Not now: Retry-After says when", ERROR),
}
_ABSENT: Schema = {"404": _answer("Not there, or not for this caller", ERROR)}
_PAGE = [
    _parameter(
        "limit", {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE, "default": DEFAULT_PAGE_SIZE}, "How many"
    ),
    _parameter("after", TEXT, "The `next` of the page before"),
    _parameter("q", {"type": "string", "maxLength": MAX_QUERY_LENGTH}, "Part of the name in any case, or a glob"),
]
_SINCE = [
    _parameter("since", {**WHOLE, "default": 0}, "A clock that was told before; 0 begins"),
    _parameter("session", TEXT, "Only this session"),
    _parameter("wait", {"type": "number", "minimum": 0, "maximum": MAX_WAIT_SECONDS}, "Seconds to wait for a change"),
]
_PLOTS = _object({"session": TEXT, "clock": WHOLE, "plots": _list_of(ENTRY), "next": NEXT})
_SESSIONS = _object(
    {"clock": WHOLE, "sessions": _list_of({"session": TEXT, "plots": WHOLE, "mtime": TEXT}), "next": NEXT}
)
_CHANGES = _object(
    {
        "clock": WHOLE,
        "fresh": {"type": "boolean", "description": "List everything, then go on from `clock`"},
        "more": {"type": "boolean"},
        "changed": _list_of(ENTRY),
        "removed": _list_of(KEY),
    }
)
_IMAGE: Schema = {
    "operationId": "plot",
    "summary": "The image: the current copy of a key",
    "parameters": [
        _path("session"),
        _path("filename"),
        _parameter("project", TEXT, "That project's copy"),
        _parameter("v", TEXT, "The version: the current one may be cached for ever"),
        _parameter(
            "width", {"type": "integer", "enum": [int(width) for width in WIDTHS]}, "A thumbnail, never enlarged"
        ),
        _parameter("download", {"enum": ["1"]}, "Name a file to save"),
    ],
    "responses": {
        "200": {
            "description": "The image; with `width` a thumbnail or, where there is none to be had now, the image",
            "content": {"image/*": {}, "image/webp": {}},
        },
        "206": {"description": "A range of it", "content": {"image/*": {}}},
        "304": {"description": "The caller has it"},
        "416": _answer("No such range", ERROR),
        **_ABSENT,
        **_REFUSALS,
    },
}


def _listed(name: str, summary: str, schema: Schema, parameters: list[Schema], *, absent: bool = False) -> Schema:
    responses = {"200": _answer(summary, schema), **_REFUSALS, **(_ABSENT if absent else {})}
    return {"operationId": name, "summary": summary, "parameters": parameters, "responses": responses}
