"""The OpenAPI 3.1 description of the HTTP interface. Discloses nothing about this machine."""

from typing import Any

from flask import Response, jsonify

from plotindex import __version__
from plotindex.rendering.thumbnails import WIDTHS
from plotindex.web.views.lists import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, MAX_QUERY_LENGTH, MAX_WAIT_SECONDS

Schema = dict[str, Any]

ERROR_BODY: Schema = {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}
INTEGER: Schema = {"type": "integer", "minimum": 0}
STRING: Schema = {"type": "string"}
COPY: Schema = {
    "project": STRING,
    "size": INTEGER,
    "mtime": {"type": "string", "description": "RFC 3339, nine decimals"},
    "version": STRING,
    "url": STRING,
}
KEY: Schema = {"session": STRING, "filename": STRING}


def _object(properties: Schema) -> Schema:
    return {"type": "object", "required": list(properties), "properties": properties, "additionalProperties": False}


def _list_of(properties: Schema) -> Schema:
    return {"type": "array", "items": _object(properties)}


ENTRY: Schema = {**KEY, **COPY, "copies": _list_of(COPY)}
NEXT: Schema = {"type": ["string", "null"], "description": "for `after`; null on the last page"}


def describe_api(url_prefix: str) -> Response:
    """The OpenAPI document for routes below `url_prefix`."""
    paths = {
        f"{url_prefix}/plots/{{session}}/{{filename}}": {"get": _IMAGE},
        f"{url_prefix}/plots/{{session}}": {
            "get": _list_operation(
                "plots", "The plots of a session", _PLOTS, [_path("session"), *_PAGE], may_be_missing=True
            )
        },
        f"{url_prefix}/plots": {
            "get": _list_operation("sessions", "The sessions that the caller may see", _SESSIONS, _PAGE)
        },
        f"{url_prefix}/changes": {
            "get": _list_operation("changes", "Changes since a clock", _CHANGES, _SINCE, may_be_missing=True)
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


def _json_response(description: str, schema: Schema) -> Schema:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


_ERRORS: Schema = {
    "400": _json_response("Invalid parameter", ERROR_BODY),
    "401": _json_response("Missing or invalid token", ERROR_BODY),
    "503": _json_response("Temporarily unavailable; see Retry-After", ERROR_BODY),
}
_NOT_FOUND: Schema = {"404": _json_response("Not found, or not allowed for this caller", ERROR_BODY)}
_PAGE = [
    _parameter(
        "limit", {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE, "default": DEFAULT_PAGE_SIZE}, "Page size"
    ),
    _parameter("after", STRING, "`next` of the previous page"),
    _parameter("q", {"type": "string", "maxLength": MAX_QUERY_LENGTH}, "Part of the name, ignoring case, or a glob"),
]
_SINCE = [
    _parameter("since", {**STRING, "default": "0"}, "`clock` of an earlier response; 0 to start"),
    _parameter("session", STRING, "Only this session"),
    _parameter(
        "wait", {"type": "number", "minimum": 0, "maximum": MAX_WAIT_SECONDS}, "Maximum seconds to wait for a change"
    ),
]
CLOCK: Schema = {**STRING, "description": "Opaque; the same while nothing changes that the caller may see"}
_PLOTS = _object({"session": STRING, "clock": CLOCK, "plots": _list_of(ENTRY), "next": NEXT})
_SESSIONS = _object(
    {"clock": CLOCK, "sessions": _list_of({"session": STRING, "plots": INTEGER, "mtime": STRING}), "next": NEXT}
)
_CHANGES = _object(
    {
        "clock": CLOCK,
        "fresh": {"type": "boolean", "description": "List all plots, then continue from `clock`"},
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
        _parameter("project", STRING, "The copy of this project"),
        _parameter("v", STRING, "The version; a response for the current version is immutable"),
        _parameter(
            "width", {"type": "integer", "enum": [int(width) for width in WIDTHS]}, "A thumbnail, never enlarged"
        ),
        _parameter("download", {"enum": ["1"]}, "Send Content-Disposition: attachment"),
    ],
    "responses": {
        "200": {
            "description": "The image; with `width` a thumbnail or, if none is available, the image",
            "content": {"image/*": {}, "image/webp": {}},
        },
        "206": {"description": "A range of the image", "content": {"image/*": {}}},
        "304": {"description": "Not modified"},
        "416": _json_response("Range not satisfiable", ERROR_BODY),
        **_NOT_FOUND,
        **_ERRORS,
    },
}


def _list_operation(
    name: str, summary: str, schema: Schema, parameters: list[Schema], *, may_be_missing: bool = False
) -> Schema:
    responses = {"200": _json_response(summary, schema), **_ERRORS, **(_NOT_FOUND if may_be_missing else {})}
    return {"operationId": name, "summary": summary, "parameters": parameters, "responses": responses}
