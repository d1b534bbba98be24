"""A schema without some of its properties: a body, when the path gives the rest.

Not here: what a schema says (plait.drivers.schemas).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from plait.drivers.schemas import Schemas, raw_properties

_LISTS: Final = ("allOf", "anyOf", "oneOf")
_SINGLE: Final = ("then", "else")


def without_properties(schemas: Schemas, schema: Any, names: Sequence[str]) -> Any:
    """Return `schema` without its words about these properties, wherever they stand.

    What a reference leads to is written in its place if it speaks of them: others may
    refer to it too.

    >>> root = {"$ref": "#/$defs/a", "$defs": {"a": {"required": ["id", "n"]}}}
    >>> without_properties(Schemas(root), root, ["id"])
    {'$defs': {'a': {'required': ['id', 'n']}}, 'allOf': [{'required': ['n']}]}
    """
    return _Stripped(schemas, frozenset(names)).of(schema, ())


class _Stripped:
    def __init__(self, schemas: Schemas, names: frozenset[str]) -> None:
        self._schemas = schemas
        self._names = names

    def of(self, schema: Any, around: tuple[int, ...]) -> Any:
        """Return `schema` stripped; `around` are those that it stands in."""
        if not isinstance(schema, dict) or not self._speaks(schema):
            return schema
        around = (*around, id(schema))
        kept = self._own(schema)
        for word in _LISTS:
            if isinstance(schema.get(word), list):
                kept[word] = [self.of(one, around) for one in schema[word]]
        for word in _SINGLE:
            if word in schema:
                kept[word] = self.of(schema[word], around)
        for word in ("$ref", "$dynamicRef"):
            target = self._schemas.target(schema.get(word, ""))
            if self._speaks(target) and id(target) not in around:
                del kept[word]
                kept["allOf"] = [*kept.get("allOf", []), self.of(target, around)]
        return kept

    def _own(self, schema: dict[str, Any]) -> dict[str, Any]:
        kept = dict(schema)
        if "properties" in schema:
            named = raw_properties(schema).items()
            kept["properties"] = {k: one for k, one in named if k not in self._names}
        if isinstance(schema.get("required"), list):
            kept["required"] = [one for one in schema["required"] if one not in self._names]
        return kept

    def _speaks(self, schema: Any) -> bool:
        return any(
            not self._names.isdisjoint((*raw_properties(one), *(one.get("required") or ())))
            for one in self._schemas.spoken(schema)
        )
