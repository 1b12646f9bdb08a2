"""Schemas of the OpenAPI description: plots, lists of them, and what plots show."""

from typing import Any

from plotindex.comparison.difference import ORDER
from plotindex.rendering.comparison import MAX_SCORE
from plotindex.storage import FLAGS

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


def object_of(properties: Schema) -> Schema:
    """An object with exactly these properties."""
    return {"type": "object", "required": list(properties), "properties": properties, "additionalProperties": False}


def list_of(properties: Schema) -> Schema:
    """An array of such objects."""
    return {"type": "array", "items": object_of(properties)}


SIBLINGS: Schema = {"type": "array", "items": STRING, "description": "Other formats of the plot, for `format`"}
ENTRY: Schema = {**KEY, **COPY, "copies": list_of(COPY), "siblings": SIBLINGS}
NEXT: Schema = {"type": ["string", "null"], "description": "for `after`; null on the last page"}
_TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
_NUMBER_OR_NULL: Schema = {"type": ["integer", "null"], "minimum": 0}
FACTS = object_of(
    {
        **KEY,
        "project": STRING,
        "version": STRING,
        "inspected": {"type": "boolean", "description": "Whether this version was inspected; else all below is empty"},
        "digest": {**_TEXT_OR_NULL, "description": "BLAKE2b-128 of the bytes"},
        "format": {**_TEXT_OR_NULL, "description": "Of the content, whatever the suffix"},
        "width": _NUMBER_OR_NULL,
        "height": _NUMBER_OR_NULL,
        "frames": {**_NUMBER_OR_NULL, "description": "Of an animation; pages of a PDF"},
        "dpi": {"type": ["number", "null"]},
        "title": _TEXT_OR_NULL,
        "text": {"type": "array", "items": STRING},
        "metadata": {"type": "object", "additionalProperties": STRING},
        "flags": {"type": "array", "items": {"enum": list(FLAGS)}},
        "same": {**list_of({**KEY, "project": STRING}), "description": "Other copies with the same bytes"},
    }
)
_BOX: Schema = {
    "type": "array",
    "items": {"type": "number", "minimum": 0, "maximum": 1},
    "minItems": 4,
    "maxItems": 4,
    "description": "Left, top, width and height, in shares of the picture",
}
_SIDE: Schema = {
    **object_of(ENTRY),
    "type": ["object", "null"],
    "description": "The compared copy; `copies` are those on its side. null if the plot is not there",
}
DIFF = object_of(
    {
        "from": STRING,
        "to": STRING,
        "counts": object_of(dict.fromkeys(map(str, ORDER), INTEGER)),
        "pending": {**INTEGER, "description": "Plots that are not compared yet; ask again"},
        "plots": list_of(
            {
                "filename": STRING,
                "kind": {"enum": [*map(str, ORDER), None], "description": "null if it is not compared yet"},
                "score": {"type": ["number", "null"], "minimum": 0, "maximum": MAX_SCORE},
                "regions": list_of({"from": _BOX, "to": _BOX}),
                "words": {"type": "array", "items": STRING},
                "from": _SIDE,
                "to": _SIDE,
            }
        ),
        "next": NEXT,
    }
)
MATCHES = object_of(
    {
        "matches": list_of(
            {
                **KEY,
                "project": STRING,
                "version": STRING,
                "how": {"enum": ["bytes", "picture"]},
                "distance": {**INTEGER, "description": "Bits in which the hashes of the pictures differ; 0 to 64"},
                "current": {"type": "boolean", "description": "Whether its copy has this version now"},
                "url": STRING,
            }
        )
    }
)
