"""Schemas that move: a schema document, or a part of it, inside another document.

Not here: what a schema says (plait.drivers.schemas).
"""

from __future__ import annotations

from typing import Any, Final

from plait.drivers.schemas import BY_NAME, VALUES, Schemas
from plait.model.json import JsonObject

# With one schema document, a dynamic reference leads where a plain one would.
_REFERENCES: Final = frozenset(("$ref", "$dynamicRef"))
_LEFT_BEHIND: Final = frozenset(("$schema", "$id", "$anchor", "$dynamicAnchor"))


class Move:
    """A schema document on its way to another place, `root`.

    References inside it are led there, as pointers: an anchor counts in the whole
    document where it stands, and two operations may use the same.

    >>> schema = {"items": {"$ref": "#id"}, "$defs": {"x": {"$anchor": "id"}}}
    >>> Move(schema, "#/components/schemas/a").of(schema)
    {'items': {'$ref': '#/components/schemas/a/$defs/x'}, '$defs': {'x': {}}}
    """

    def __init__(self, schema: Any, root: str) -> None:
        self.schemas = Schemas(schema)
        self._root = root

    def of(self, schema: Any) -> Any:
        """Return a schema of the document as it reads elsewhere."""
        if isinstance(schema, list):
            return [self.of(item) for item in schema]
        if not isinstance(schema, dict):
            return schema
        moved: JsonObject = {}
        for key, value in schema.items():
            if key in _REFERENCES and isinstance(value, str):
                self._refer(moved, value)
            elif key in BY_NAME and isinstance(value, dict):
                moved[key] = {name: self.of(inner) for name, inner in value.items()}
            elif key in VALUES:
                moved[key] = value
            elif key not in _LEFT_BEHIND:
                moved[key] = self.of(value)
        return moved

    def _refer(self, moved: JsonObject, reference: str) -> None:
        pointer = self.schemas.pointer(reference)
        moved["$ref"] = reference if pointer is None else self._root + pointer[1:]
