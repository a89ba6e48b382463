"""The type that a JSON Schema describes, in a line for people. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Marks:
    """A document's way of writing a type. ``shape``: a named shape, with a link to where it is
    told; ``value``: one value itself; ``plain``: a schema whose ``type`` is a simple one;
    ``either`` stands between alternatives."""

    shape: Callable[[str], str]
    value: Callable[[str], str]
    plain: Callable[[str, Json], str]
    either: str


def type_of(schema: Json, marks: Marks) -> str:
    """The schema's type: of the keywords that the contract's documents use."""
    if "$ref" in schema:
        return marks.shape(schema["$ref"].rpartition("/")[2])
    if "enum" in schema:
        return marks.either.join(marks.value(str(each)) for each in schema["enum"])
    if "const" in schema:
        return marks.value(str(schema["const"]).lower())
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return marks.either.join(type_of(each, marks) for each in schema[key])
    match schema.get("type"):
        case "array":
            return f"list of {type_of(schema.get('items', {}), marks)}"
        case "object":
            of = schema.get("additionalProperties")
            return f"object of {type_of(of, marks)}" if isinstance(of, dict) else "object"
        case None:
            return "nothing" if "not" in schema else "any"
        case kind:
            return marks.plain(kind, schema)
