"""JSON schemas in the form that providers with strict structured output demand.

OpenAI, Anthropic and those that follow them take objects that name all of their fields, all of them required, nothing
else allowed, and few keywords beside; the rest is refused, and differently by each. What is left out here (bounds,
patterns, defaults) is checked by whoever reads the reply.
"""

from collections.abc import Mapping
from typing import Any

_KEPT = ("type", "title", "description", "enum", "const", "$ref")


def strict(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """`schema` in strict form; None where that cannot be said, as of an object with fields of any name."""
    try:
        return _strict(schema)
    except _Loose:
        return None


class _Loose(Exception):
    """The schema allows what no strict one can say."""


def _strict(schema: Mapping[str, Any]) -> dict[str, Any]:
    needed = {"object": "properties", "array": "items"}.get(str(schema.get("type")))
    if needed and not schema.get(needed):
        raise _Loose
    kept: dict[str, Any] = {name: schema[name] for name in _KEPT if name in schema}
    if "properties" in schema:
        kept["properties"] = {name: _strict(inner) for name, inner in schema["properties"].items()}
        kept["required"] = list(schema["properties"])
        kept["additionalProperties"] = False
    if "items" in schema:
        kept["items"] = _strict(schema["items"])
    if variants := schema.get("anyOf") or schema.get("oneOf"):
        kept["anyOf"] = [_strict(variant) for variant in variants]
    if "$defs" in schema:
        kept["$defs"] = {name: _strict(inner) for name, inner in schema["$defs"].items()}
    if not kept.keys() & {"type", "enum", "const", "$ref", "anyOf"}:
        raise _Loose
    return kept
