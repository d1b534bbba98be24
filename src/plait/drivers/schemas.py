"""Reading a JSON Schema: what it says of a name, and which types a value may have.

Rule. A schema says something in its own words, behind `$ref`, `$dynamicRef` and `allOf`
(all of these count), and behind `anyOf`, `oneOf`, `then` and `else` (one of them counts).
All are looked through here, so nobody else has to know where a word stands.

Not here: whether a value fits (jsonschema_rs, by plait.drivers.inputs).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote, unquote

import jsonschema_rs

from plait.model.json import JsonValue
from plait.model.place import pointer_to

# A place in a list that no `prefixItems` reaches.
ANY_ITEM: Final = 1 << 30
# Under these, keys are names and values schemas.
BY_NAME: Final = frozenset(
    "properties patternProperties $defs definitions dependentSchemas".split()
)
# Under these stand values, whatever they look like.
VALUES: Final = frozenset(("const", "enum", "default", "examples"))
_REFERENCES: Final = ("$ref", "$dynamicRef")
# What stands in the fragment of a URI as it is (RFC 3986).
_FRAGMENT: Final = "/?:@!$&'()*+,;=~"
_ANCHORS: Final = ("$anchor", "$dynamicAnchor")


class Schemas:
    """One schema document, and questions about the schemas in it.

    A pointer in a reference is part of a URI: `#/$defs/a%20b` is the key `a b`.

    >>> root = {"properties": {"id": {"$ref": "#id"}}, "$defs": {"x": {"$anchor": "id"}}}
    >>> Schemas(root).pointer("#id")
    '#/$defs/x'
    """

    def __init__(self, root: Any) -> None:
        self.root = root
        self._id = root.get("$id") if isinstance(root, dict) else None
        self._anchors = dict(_anchors_in(root, ()))
        self._patterns: dict[str, jsonschema_rs.Validator | None] = {}

    # -- references --------------------------------------------------------------------

    def pointer(self, reference: str) -> str | None:
        """Return `reference` as `#` and a pointer; None: it leads out of the document."""
        document, _, fragment = reference.partition("#")
        if document and document == self._id:
            reference = f"#{fragment}"
        if reference == "#" or reference.startswith("#/"):
            return reference
        path = self._anchors.get(reference[1:]) if reference.startswith("#") else None
        return None if path is None else f"#{quote(pointer_to(*path), safe=_FRAGMENT)}"

    def target(self, reference: str) -> Any:
        """Return the schema that `reference` leads to, None if there is none here."""
        pointer, found = self.pointer(reference), self.root
        if pointer is None:
            return None
        for segment in pointer.split("/")[1:]:
            key = unquote(segment).replace("~1", "/").replace("~0", "~")
            if isinstance(found, list):
                is_there = key.isdecimal() and int(key) < len(found)
                found = found[int(key)] if is_there else None
            else:
                found = found.get(key) if isinstance(found, dict) else None
        return found

    def conjuncts(self, schema: Any) -> list[dict[str, Any]]:
        """Return all schemas that a value of `schema` has to fit, it itself first."""
        found: dict[int, dict[str, Any]] = {}
        left = [schema]
        while left:
            one = left.pop()
            if not isinstance(one, dict) or id(one) in found:
                continue
            found[id(one)] = one
            words = (one[word] for word in _REFERENCES if isinstance(one.get(word), str))
            left += [*reversed(_listed(one, "allOf")), *map(self.target, words)]
        return list(found.values())

    # -- types -------------------------------------------------------------------------

    def types_of(self, schema: Any) -> set[str] | None:
        """Return the JSON types that `schema` allows; None: it does not say.

        >>> types = Schemas({"$defs": {"id": {"type": "integer"}}}).types_of
        >>> sorted(types({"anyOf": [{"$ref": "#/$defs/id"}, {"type": "null"}]}))
        ['integer', 'null']
        >>> types({"enum": [1, 2]}), types({"minLength": 1})
        ({'integer'}, None)
        """
        return self._types_of(schema, {})

    def _types_of(self, schema: Any, known: dict[int, set[str] | None]) -> set[str] | None:
        if not isinstance(schema, dict) or id(schema) in known:
            return known.get(id(schema))
        # Until it is known: one that leads to itself says nothing new there.
        known[id(schema)] = None
        kinds: set[str] | None = None
        for one in self.conjuncts(schema):
            for said in self._said_of_types(one, known):
                kinds = said if kinds is None else _common(kinds, said)
        known[id(schema)] = kinds
        return kinds

    def _said_of_types(
        self, schema: dict[str, Any], known: dict[int, set[str] | None]
    ) -> Iterator[set[str]]:
        kinds = schema.get("type")
        if kinds is not None:
            yield {kinds} if isinstance(kinds, str) else set(kinds)
        values = [schema["const"]] if "const" in schema else schema.get("enum")
        if values:
            yield {_type_name(value) for value in values}
        for word in ("anyOf", "oneOf"):
            parts = [self._types_of(part, known) for part in _listed(schema, word)]
            if parts and None not in parts:
                yield {kind for part in parts if part for kind in part}

    # -- parts -------------------------------------------------------------------------

    def names(self, schema: Any) -> list[str]:
        """Return the names of the properties that `schema` speaks of, in its order.

        >>> branches = [{"properties": {"id": {}}}, {"properties": {"mail": {}}}]
        >>> Schemas(None).names({"oneOf": branches, "properties": {"k": {}}})
        ['k', 'id', 'mail']
        """
        parts = map(raw_properties, self.spoken(schema))
        return list(dict.fromkeys(name for part in parts for name in part))

    def required(self, schema: Any) -> list[str]:
        """Return the names of the properties that must be there."""
        parts = (_listed(one, "required") for one in self.conjuncts(schema))
        return list(dict.fromkeys(name for part in parts for name in part))

    def first_items(self, schema: Any) -> int:
        """Return how many items of a list have, or may have, a schema of their own."""
        spoken = self.spoken(schema)
        return max((len(_listed(one, "prefixItems")) for one in spoken), default=0)

    def part(self, schema: Any, step: str | int) -> Any:
        """Return what `schema` says of one property or item; None: nothing."""
        return self._part(schema, step, {})

    def _part(self, schema: Any, step: str | int, known: dict[int, Any]) -> Any:
        if id(schema) in known:
            return known[id(schema)]
        known[id(schema)] = None
        said: list[Any] = []
        for one in self.conjuncts(schema):
            said += self._own_parts(one, step)
            for branches in _alternatives(one):
                # A branch that says nothing of it takes whatever the others read there.
                parts = [
                    self._part(branch, step, known)
                    for branch in branches
                    if self._may_have(branch, step)
                ]
                if parts := [part for part in parts if isinstance(part, dict)]:
                    said.append({"anyOf": parts})
        known[id(schema)] = {"allOf": said} if len(said) > 1 else (said or [None])[0]
        return known[id(schema)]

    def _may_have(self, schema: Any, step: str | int) -> bool:
        """Tell whether a value of `schema` may have such a part at all."""
        kinds = self.types_of(schema)
        return kinds is None or ("array" if isinstance(step, int) else "object") in kinds

    def _own_parts(self, schema: dict[str, Any], step: str | int) -> list[Any]:
        if isinstance(step, int):
            first = _listed(schema, "prefixItems")
            found = first[step] if step < len(first) else schema.get("items")
            return [] if found is None else [found]
        named = raw_properties(schema)
        said = [named[step]] if step in named else []
        patterns = schema.get("patternProperties") or {}
        said += [inner for text, inner in patterns.items() if self.matches(text, step)]
        others = schema.get("additionalProperties")
        return said if said or others is None else [others]

    def patterns(self, schema: Any) -> list[str]:
        """Return the patterns for names, of all places that speak of properties."""
        spoken = self.spoken(schema)
        texts = (text for one in spoken for text in one.get("patternProperties", ()))
        return list(dict.fromkeys(texts))

    def spoken(self, schema: Any) -> list[dict[str, Any]]:
        """Return all schemas that may have a say in a value, `schema` itself first."""
        seen: dict[int, dict[str, Any]] = {}
        left = [schema]
        while left:
            for one in self.conjuncts(left.pop(0)):
                if id(one) not in seen:
                    seen[id(one)] = one
                    left += [part for parts in _alternatives(one) for part in parts]
        return list(seen.values())

    def matches(self, pattern: str, name: str) -> bool:
        """Tell whether `name` has `pattern`, as the check of the whole value will.

        Its engine gives up on patterns that would take for ever; callers choose names.
        """
        if pattern not in self._patterns:
            self._patterns[pattern] = _pattern_check(pattern)
        check = self._patterns[pattern]
        return check is not None and check.is_valid(name)


def raw_properties(schema: Any) -> Mapping[str, Any]:
    """Return the named properties of a schema as they stand."""
    found = schema.get("properties") if isinstance(schema, dict) else None
    return found if isinstance(found, dict) else {}


def _anchors_in(
    schema: Any, path: tuple[str | int, ...]
) -> Iterator[tuple[str, tuple[str | int, ...]]]:
    """Yield the anchors of a schema, and where each leads."""
    if isinstance(schema, list):
        for index, one in enumerate(schema):
            yield from _anchors_in(one, (*path, index))
    if not isinstance(schema, dict) or (path and "$id" in schema):
        return
    for word in _ANCHORS:
        if isinstance(schema.get(word), str):
            yield schema[word], path
    for key, value in schema.items():
        if key in BY_NAME and isinstance(value, dict):
            for name, inner in value.items():
                yield from _anchors_in(inner, (*path, key, name))
        elif key not in VALUES:
            yield from _anchors_in(value, (*path, key))


def _listed(schema: dict[str, Any], word: str) -> list[Any]:
    found = schema.get(word)
    return found if isinstance(found, list) else []


def _alternatives(schema: dict[str, Any]) -> Iterator[list[Any]]:
    """Yield lists of schemas of which one counts, as far as these speak of parts."""
    yield _listed(schema, "anyOf")
    yield _listed(schema, "oneOf")
    yield [schema[word] for word in ("then", "else") if word in schema]


def _common(some: set[str], others: set[str]) -> set[str]:
    """Return the types in both; an integer is a number.

    >>> _common({"number", "null"}, {"integer", "string"})
    {'integer'}
    """
    both = some & others
    if "number" not in both and "number" in some | others:
        both |= {"integer"} & (some | others)
    return both


def _type_name(value: JsonValue) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array"}
    return "null" if value is None else names.get(type(value), "object")


def _pattern_check(pattern: str) -> jsonschema_rs.Validator | None:
    try:
        return jsonschema_rs.Draft202012Validator({"pattern": pattern})
    except jsonschema_rs.ValidationError:
        return None
