"""The OpenAPI 3.1 description of the HTTP interface. Discloses nothing about this machine."""

from flask import Response, jsonify

from plotindex import __version__
from plotindex.rendering.thumbnails import WIDTHS
from plotindex.storage import FLAGS
from plotindex.web.views.list_parameters import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, MAX_QUERY_LENGTH
from plotindex.web.views.lists import MAX_WAIT_SECONDS
from plotindex.web.views.openapi_schemas import (
    COPY,
    DIFF,
    ENTRY,
    ERROR_BODY,
    FACTS,
    INTEGER,
    KEY,
    MATCHES,
    NEXT,
    STRING,
    Schema,
    list_of,
    object_of,
)


def describe_api(url_prefix: str) -> Response:
    """The OpenAPI document for routes below `url_prefix`."""
    paths = {
        f"{url_prefix}/plots/{{session}}/{{filename}}": {"get": _IMAGE},
        f"{url_prefix}/plots/{{session}}": {
            "get": _list_operation(
                "plots", "The plots of a session", _PLOTS, [_path("session"), *_PAGE, *_SHOWN], may_be_missing=True
            )
        },
        f"{url_prefix}/plots": {
            "get": _list_operation("sessions", "The sessions that the caller may see", _SESSIONS, _PAGE)
        },
        f"{url_prefix}/history/{{session}}/{{filename}}": {
            "get": _list_operation(
                "history",
                "The versions of a plot, the newest first: the present ones, and those that are kept",
                _VERSIONS,
                [
                    _path("session"),
                    _path("filename"),
                    _parameter("project", STRING, "Only of this project"),
                    *_PAGE[:2],
                ],
                may_be_missing=True,
            )
        },
        f"{url_prefix}/history/{{session}}": {
            "get": _list_operation(
                "history_keys",
                "The plots of a session of which versions are kept, removed ones too",
                _KEPT_KEYS,
                [_path("session"), *_PAGE[:2], _parameter("gone", {"enum": ["1"]}, "Only plots that are removed")],
                may_be_missing=True,
            )
        },
        f"{url_prefix}/export/{{session}}.zip": {"get": _EXPORT, "post": _EXPORT_CHOSEN},
        f"{url_prefix}/facts/{{session}}/{{filename}}": {
            "get": _list_operation(
                "facts",
                "What a plot is and shows",
                FACTS,
                [_path("session"), _path("filename"), _parameter("project", STRING, "The copy of this project")],
                may_be_missing=True,
            )
        },
        f"{url_prefix}/diff": {
            "get": _list_operation(
                "diff",
                "What changed between two sides, the worst first; what is not known yet is compared meanwhile",
                DIFF,
                [*_SIDES, *_PAGE[:2]],
                may_be_missing=True,
            )
        },
        f"{url_prefix}/like": {"post": _LIKE},
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
    _parameter(
        "q", {"type": "string", "maxLength": MAX_QUERY_LENGTH}, "Words, each a part of a name or a glob, ignoring case"
    ),
]
_SHOWN = [
    _parameter(
        "text",
        {"type": "string", "maxLength": MAX_QUERY_LENGTH},
        "Words, each in what the current copy or a sibling of it shows, ignoring case",
    ),
    _parameter("flag", {"enum": list(FLAGS)}, "A flag that the current copy has"),
    _parameter(
        "project",
        {"type": "string", "maxLength": MAX_QUERY_LENGTH},
        "The copies of this project alone, as if the session had no other",
    ),
]
_SIDE = {"type": "string", "minLength": 1}
_SIDES = [
    {**_parameter("from", _SIDE, "SESSION or SESSION/PROJECT, also as it was: SESSION@2h"), "required": True},
    {**_parameter("to", _SIDE, "The other side"), "required": True},
    _parameter("kind", STRING, "Kinds, separated by commas; by default all but `same` and `same picture`"),
    _parameter("first", {"type": "array", "items": STRING}, "Filenames of plots to compare first"),
]
_SINCE = [
    _parameter("since", {**STRING, "default": "0"}, "`clock` of an earlier response; 0 to start"),
    _parameter("session", STRING, "Only this session"),
    _parameter(
        "wait", {"type": "number", "minimum": 0, "maximum": MAX_WAIT_SECONDS}, "Maximum seconds to wait for a change"
    ),
]
CLOCK: Schema = {**STRING, "description": "Opaque; the same while nothing changes that the caller may see"}
_PLOTS = object_of({"session": STRING, "clock": CLOCK, "plots": list_of(ENTRY), "next": NEXT})
_SESSIONS = object_of(
    {"clock": CLOCK, "sessions": list_of({"session": STRING, "plots": INTEGER, "mtime": STRING}), "next": NEXT}
)
_CHANGES = object_of(
    {
        "clock": CLOCK,
        "fresh": {"type": "boolean", "description": "List all plots, then continue from `clock`"},
        "more": {"type": "boolean"},
        "changed": list_of(ENTRY),
        "removed": list_of(KEY),
    }
)
_VERSIONS = object_of(
    {
        **KEY,
        "versions": list_of(
            {
                **COPY,
                "digest": {"type": ["string", "null"], "description": "BLAKE2b-128; null while it is not kept yet"},
                "seen": {"type": ["string", "null"], "description": "Since when it has stood; RFC 3339"},
                "current": {"type": "boolean", "description": "Whether its copy has this version now"},
            }
        ),
        "next": NEXT,
    }
)
_KEPT_KEYS = object_of(
    {
        "session": STRING,
        "keys": list_of(
            {
                "filename": STRING,
                "versions": INTEGER,
                "seen": STRING,
                "gone": {"type": ["string", "null"], "description": "When it was removed; null if it is there"},
            }
        ),
        "next": NEXT,
    }
)
_LIKE: Schema = {
    "operationId": "like",
    "summary": "The plots that a picture may be from, the likeliest first; at most 20",
    "requestBody": {"required": True, "content": {"application/octet-stream": {}}},
    "responses": {
        "200": _json_response("The plots", MATCHES),
        "403": _json_response("Sent by a page of another site", ERROR_BODY),
        "413": _json_response("More than 20 MB", ERROR_BODY),
        "422": _json_response("Not a picture", ERROR_BODY),
        **_ERRORS,
    },
}
_IMAGE: Schema = {
    "operationId": "plot",
    "summary": "The image: the current copy of a key",
    "parameters": [
        _path("session"),
        _path("filename"),
        _parameter("project", STRING, "The copy of this project"),
        _parameter("v", STRING, "The version; a response for the current version is immutable"),
        _parameter("version", STRING, "Exactly the bytes of this version, kept or current; immutable"),
        _parameter("width", {"type": "integer", "enum": [int(width) for width in WIDTHS]}, "The picture, as WebP"),
        _parameter("format", STRING, "The sibling with this suffix, in lower case and without its dot"),
        _parameter("download", {"enum": ["1"]}, "Send Content-Disposition: attachment"),
    ],
    "responses": {
        "200": {
            "description": "The plot; with `width` its picture or, unless an SVG, PDF or TIFF, a smaller plot itself",
            "content": {"image/*": {}, "application/pdf": {}},
        },
        "206": {"description": "A range of the plot", "content": {"image/*": {}, "application/pdf": {}}},
        "304": {"description": "Not modified"},
        "422": _json_response("No picture of this SVG, PDF or TIFF can be made; the error says why", ERROR_BODY),
        "416": _json_response("Range not satisfiable", ERROR_BODY),
        "500": _json_response("The kept version is damaged", ERROR_BODY),
        **_NOT_FOUND,
        **_ERRORS,
    },
}

_ARCHIVE: Schema = {
    "200": {"description": "A ZIP archive, its manifest.json last", "content": {"application/zip": {}}},
    "413": _json_response("The archive would be larger than export_mb, or the form is too long", ERROR_BODY),
    **_NOT_FOUND,
    **_ERRORS,
}
_GLOB: Schema = {"type": "string", "maxLength": MAX_QUERY_LENGTH}
_EXPORT: Schema = {
    "operationId": "export",
    "summary": "Plots of a session as one archive",
    "parameters": [
        _path("session"),
        _parameter("name", _GLOB, "A glob that the filename, or its last part, matches"),
        _parameter("project", _GLOB, "A glob that the project matches"),
        _parameter("since", STRING, "Modified since: an age such as 2h, or a time such as 2026-11-23T14:00Z"),
    ],
    "responses": _ARCHIVE,
}
_EXPORT_CHOSEN: Schema = {
    "operationId": "export_chosen",
    "summary": "The plots of a session that a form names, as one archive",
    "parameters": [_path("session")],
    "requestBody": {
        "required": True,
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {
                    "type": "object",
                    "required": ["plot"],
                    "properties": {
                        "plot": {"type": "array", "items": STRING, "description": "SESSION/PROJECT/FILENAME"},
                        "formats": {"enum": ["1"], "description": "With the other formats of each plot"},
                        "check": {"enum": ["1"], "description": "Only whether it would be answered"},
                    },
                }
            }
        },
    },
    "responses": {
        **_ARCHIVE,
        "204": {"description": "With `check`: it would be answered"},
        "403": _json_response("A page of another site has sent the form", ERROR_BODY),
    },
}


def _list_operation(
    name: str, summary: str, schema: Schema, parameters: list[Schema], *, may_be_missing: bool = False
) -> Schema:
    responses = {"200": _json_response(summary, schema), **_ERRORS, **(_NOT_FOUND if may_be_missing else {})}
    return {"operationId": name, "summary": summary, "parameters": parameters, "responses": responses}
