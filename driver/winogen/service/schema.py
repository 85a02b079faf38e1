"""What OpenAPI says of bodies and parameters that the service reads itself."""

from __future__ import annotations

from typing import Any

from winogen.service.requests import Generate

_PICTURES = ("image/png", "image/jpeg", "image/webp", "image/gif", "image/tiff", "image/bmp")
_BINARY = {"schema": {"type": "string", "format": "binary"}}


def _query(name: str, text: str, **schema: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": text, "schema": schema}


def _generate() -> dict[str, Any]:
    """The schema of a request, by itself: a reference would point into another document."""
    schema = Generate.model_json_schema()
    definitions = schema.pop("$defs", {})
    walk = schema["properties"]["walk"]
    walk["anyOf"] = [definitions.get("Walk", {}), {"type": "null"}]
    return schema


_COMMON = [
    _query("format", "of the answer", enum=["png", "webp", "npy"], default="png"),
    _query("deadline_ms", "from the arrival to the answer", type="number"),
]
GENERATE_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": _generate()}, "application/x-npy": _BINARY},
    }
}
GENERATE_QUERY = {
    "parameters": [
        _query("seed", "an image of each (default: 0)", type="array", items={"type": "integer"}),
        _query("n", "so many seeds, from the one that is given on", type="integer"),
        _query("label", "number or name; several take turns", type="array",
               items={"type": "string"}),
        _query("truncate", "keep latents within so many standard deviations", type="number"),
        _query("scale", "enlarge every pixel", type="integer", default=1),
        _query("columns", "of the sheet", type="integer"),
        _query("exit", "how far to run the network", type="integer"),
        *_COMMON,
    ]
}  # fmt: skip
PICTURE_BODY = {"requestBody": {"required": True, "content": dict.fromkeys(_PICTURES, _BINARY)}}
PICTURE_QUERY = {"parameters": _COMMON}
