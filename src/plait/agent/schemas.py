"""Schemas of OpenAPI documents, cut down to what a draft needs of them.

Rule. What is left has no reference, no template and nothing that nests without end, so it
      can stand in the `input` of a workflow as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from plait.model.json import JsonObject, JsonValue
from plait.model.record import record

_DEPTH_MAX: Final = 5
# A schema whose properties all lead back to it would have 60^5.
_NODES_MAX: Final = 300
_PROPERTIES_MAX: Final = 60
_TYPES: Final = ("string", "integer", "number", "boolean", "array", "object")
_TEXT_MAX: Final = 200


def plain_schema(raw: object, root: Mapping[str, Any]) -> JsonObject:
    """Return what a schema says of type, properties, items, enum and description.

    >>> plain_schema({"$ref": "#/a"}, {"a": {"type": ["string", "null"], "x": 1}})
    {'type': 'string'}
    """
    return _plain(raw, root, 0, iter(range(_NODES_MAX)))


def _plain(
    raw: object, root: Mapping[str, Any], depth: int, left: Iterator[int]
) -> JsonObject:
    own = followed(raw, root)
    if own is None or depth > _DEPTH_MAX or next(left, None) is None:
        return {}
    merged = _merged(own, root)
    made: JsonObject = {}
    kind = _type_of(merged)
    if kind:
        made["type"] = kind
    if isinstance(merged.get("description"), str):
        made["description"] = merged["description"][:_TEXT_MAX].replace("${", "$ {")
    values = merged.get("enum")
    if isinstance(values, list) and 0 < len(values) <= _PROPERTIES_MAX:
        kept: list[JsonValue] = [one for one in values if isinstance(one, str | int)]
        if len(kept) == len(values):
            made["enum"] = kept
    if merged.get("readOnly") is True:
        made["readOnly"] = True
    if kind == "array":
        made["items"] = _plain(merged.get("items"), root, depth + 1, left)
    if kind == "object":
        made.update(_object(merged, root, depth, left))
    return made


def _object(
    merged: dict[str, Any], root: Mapping[str, Any], depth: int, left: Iterator[int]
) -> JsonObject:
    properties = merged.get("properties")
    pairs = list(properties.items()) if isinstance(properties, dict) else []
    inner: JsonObject = {
        name: _plain(one, root, depth + 1, left)
        for name, one in pairs[:_PROPERTIES_MAX]
        if isinstance(name, str) and name
    }
    required = merged.get("required")
    wanted = required if isinstance(required, list) else []
    needed: list[JsonValue] = [name for name in wanted if name in inner]
    made: JsonObject = {"properties": inner} if inner else {}
    return {**made, "required": list(dict.fromkeys(needed))} if needed else made


def followed(raw: object, root: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the mapping that `raw` is or, by references inside the document, means.

    >>> followed({"$ref": "#/a/b~1c"}, {"a": {"b/c": {"x": 1}}})
    {'x': 1}
    """
    for _ in range(10):
        if not isinstance(raw, dict):
            return None
        target = raw.get("$ref")
        if not isinstance(target, str):
            return raw
        raw = _target(root, target)
    return None


def _target(root: Mapping[str, Any], target: str) -> object:
    if not target.startswith("#/"):
        return None
    here: Any = root
    for part in target[2:].split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        here = here.get(key) if isinstance(here, dict) else None
    return here


def _merged(own: dict[str, Any], root: Mapping[str, Any]) -> dict[str, Any]:
    """Put the parts of `allOf` into one; of a choice take the first."""
    merged: dict[str, Any] = dict(own)
    parts = own.get("allOf")
    for name in ("oneOf", "anyOf"):
        options = own.get(name)
        if isinstance(options, list) and options and "type" not in own:
            parts = [*(parts if isinstance(parts, list) else []), options[0]]
    for part in parts[:20] if isinstance(parts, list) else ():
        found = followed(part, root)
        if found is None:
            continue
        for key, value in found.items():
            both = merged.get(key)
            if isinstance(both, dict) and isinstance(value, dict):
                merged[key] = {**value, **both}
            elif key == "required" and isinstance(both, list) and isinstance(value, list):
                merged[key] = [*both, *value]
            else:
                merged.setdefault(key, value)
    return merged


def _type_of(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), None)
    if isinstance(kind, str) and kind in _TYPES:
        return kind
    if isinstance(schema.get("properties"), dict):
        return "object"
    return "array" if "items" in schema else ""


@record
class Leaf:
    """One value inside a schema: the keys that lead to it, and what it is."""

    path: tuple[str, ...]
    schema: JsonObject


def leaves(schema: JsonObject, depth: int = 2) -> Iterator[Leaf]:
    """Yield the properties of an object, the outer ones first.

    >>> s = {"type": "object", "properties": {"a": {"type": "object", "properties":
    ...      {"b": {}}}, "c": {}}}
    >>> [leaf.path for leaf in leaves(s)]
    [('a',), ('c',), ('a', 'b')]
    """
    level: list[Leaf] = [Leaf((), schema)]
    for _ in range(depth):
        inner = [
            Leaf((*leaf.path, name), own)
            for leaf in level
            for name, own in _properties(leaf.schema).items()
            if isinstance(own, dict)
        ]
        yield from inner
        level = inner


def _properties(schema: JsonObject) -> JsonObject:
    found = schema.get("properties")
    return found if isinstance(found, dict) else {}


def items_of(schema: JsonObject) -> JsonObject:
    """Return the schema of an array's items; empty: it is not known."""
    found = schema.get("items")
    return found if isinstance(found, dict) else {}


def type_of(schema: JsonObject) -> str:
    """Return a schema's type; empty: it is not known."""
    found = schema.get("type")
    return found if isinstance(found, str) else ""
