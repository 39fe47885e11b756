"""A JSON Schema as people read it: fields with their types, `?` behind what may be left out, other types as links."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from markupsafe import Markup

Schema = Mapping[str, Any]

BOUNDS = {
    "minimum": "≥ {}",
    "maximum": "≤ {}",
    "minLength": "{} or longer",
    "maxLength": "{} or shorter",
    "format": "{}",
}
"""How what narrows a type is said; lengths are in characters."""
STEP = "  "


def shape(schema: Schema, prefix: str, depth: int = 0) -> Markup:
    """The schema in text for `<pre>`. Types that it refers to are at `#<prefix><name>`."""
    match schema:
        case {"$ref": str() as reference}:
            name = reference.rpartition("/")[2]
            return Markup('<a href="#{}{}">{}</a>').format(prefix, name, name)
        case {"properties": fields} if fields:
            lines = _fields(fields, schema.get("required", ()), prefix, depth + 1)
            return Markup("{{\n{}\n{}}}").format(Markup("\n").join(lines), STEP * depth)
        case {"enum": values}:
            return Markup(" | ").join(msgspec.json.encode(value).decode() for value in values)
        case {"anyOf": kinds} | {"oneOf": kinds}:
            return Markup(" | ").join(shape(kind, prefix, depth) for kind in kinds)
        case {"type": "array"}:
            items = schema["items"] if isinstance(schema.get("items"), dict) else {}
            return Markup("[{}, …]").format(shape(items, prefix, depth))
        case {"type": "object", "additionalProperties": dict() as values}:
            return Markup("{{…: {}}}").format(shape(values, prefix, depth))
        case _:
            return Markup("{}").format(", ".join([str(schema.get("type", "anything")), *_bounds(schema)]))


def _fields(fields: Mapping[str, Schema], required: list[str], prefix: str, depth: int) -> Iterator[Markup]:
    for name, field in fields.items():
        optional, about = "" if name in required else "?", field.get("description")
        told = Markup("{}{}{}: {}").format(STEP * depth, name, optional, shape(field, prefix, depth))
        yield told + Markup("  <i>{}</i>").format(about) if about else told


def _bounds(schema: Schema) -> Iterator[str]:
    for name, wording in BOUNDS.items():
        if name in schema:
            yield wording.format(schema[name])
    if schema.get("default") is not None:
        yield f"else {msgspec.json.encode(schema['default']).decode()}"
