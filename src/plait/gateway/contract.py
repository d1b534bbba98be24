"""The input contract: a workflow's `input` schema, ready to check and to read text by.

Rule 1. Nothing is ever fetched: a schema that refers outside itself is refused.
Rule 2. `format` is checked, not only noted: who writes `format: uuid` wants one.

Not here: where a value comes from (plait.gateway.binding).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final, TypeAlias

import jsonschema_rs

from plait.gateway.body import Path
from plait.gateway.texts import Reader, reader_for
from plait.model.json import JsonObject, JsonValue
from plait.model.place import pointer_to

Schema: TypeAlias = "JsonObject | bool | None"
Violation: TypeAlias = "dict[str, JsonValue]"

# A body of 1 MB can break a schema in 500,000 places; nobody reads more than these.
VIOLATIONS_MAX: Final = 100
MESSAGE_LENGTH_MAX: Final = 300
# Of a body that does not fit; 5,000 violations take 65 ms to list.
PARTS_MAX: Final = 5_000
_REF_HOPS_MAX = 16
_BRANCHES: Final = frozenset("anyOf oneOf allOf if not $ref $dynamicRef".split())


class InputContract:
    """What `input` may be.

    Attributes:
        properties: The named properties, each with its `$ref` followed.
        names_known_only: True when a name that `properties` has not means nothing here.
        may_be_object, must_be_object: What the schema's types say of the whole input.
    """

    def __init__(self, schema: Schema) -> None:
        self.schema: Schema = schema
        top = resolve(schema, schema)
        self.properties: dict[str, Any] = {
            name: resolve(schema, inner) for name, inner in raw_properties(top).items()
        }
        self.names_known_only = _names_known_only(top)
        kinds = types_of(top)
        self.may_be_object = kinds is None or "object" in kinds
        self.must_be_object = kinds == {"object"}
        self._readers = {n: self._reader_of(inner) for n, inner in self.properties.items()}
        others = top.get("additionalProperties") if isinstance(top, dict) else None
        self._other_reader = self._reader_of(resolve(schema, others))
        self._defaults = {
            name: inner["default"]
            for name, inner in self.properties.items()
            if isinstance(inner, dict) and "default" in inner
        }
        self.is_valid: Callable[[Any], bool] = _always
        self._validator: jsonschema_rs.Validator | None = None
        if schema is not None and schema is not True:
            self._validator = jsonschema_rs.Draft202012Validator(
                schema, validate_formats=True, offline=True
            )
            self.is_valid = self._validator.is_valid

    def reader(self, name: str) -> Reader:
        """Return what turns the texts given for `name` into its value."""
        return self._readers.get(name, self._other_reader)

    def _reader_of(self, schema: Any) -> Reader:
        items = schema.get("items") if isinstance(schema, dict) else None
        return reader_for(types_of(schema), types_of(resolve(self.schema, items)))

    def fill(self, value: dict[str, JsonValue]) -> None:
        """Add the `default` of every property of the top level that is missing."""
        for name, default in self._defaults.items():
            value.setdefault(name, default)

    def violations(self, value: JsonValue) -> list[Violation]:
        """Return everything that is wrong with `value`, at most VIOLATIONS_MAX findings.

        >>> schema = {"required": ["id"], "properties": {"n": {"minimum": 1}}}
        >>> for violation in InputContract(schema).violations({"n": 0}):
        ...     print(violation)
        {'path': '/id', 'message': '"id" is a required property'}
        {'path': '/n', 'message': '0 is less than the minimum of 1'}
        """
        if self._validator is None:
            return []
        shortened = Shortened(value)
        found = (
            violation
            for error in self._validator.iter_errors(shortened.value)
            if pointer_to(*error.instance_path) not in shortened.cut
            for violation in _violations_of(error)
        )
        return list(islice(found, VIOLATIONS_MAX)) or _unless_valid(self.is_valid(value))

    def without_room(self, paths: Iterable[Path]) -> list[Violation]:
        """Return the violations of integers beyond 64 bits that stand at `paths`.

        Where the schema says `number` they are read as such, and nothing is wrong.

        >>> InputContract({"items": {"type": "number"}}).without_room([(0,)])
        []
        """
        text = "the integer does not fit 64 bits; send it as a string"
        wrong = (path for path in paths if not self._is_number(path))
        return [violation_at([*path], text) for path in islice(wrong, VIOLATIONS_MAX)]

    def _is_number(self, path: Path) -> bool:
        schema: Any = resolve(self.schema, self.schema)
        for step in path:
            schema = resolve(self.schema, _inner(schema, step))
        return "number" in (types_of(schema) or ())


def _inner(schema: Any, step: str | int) -> Any:
    """Return the schema of one property or item, as far as it is plain."""
    if not isinstance(schema, dict):
        return None
    if isinstance(step, str):
        return raw_properties(schema).get(step, schema.get("additionalProperties"))
    first = schema.get("prefixItems", ())
    return first[step] if step < len(first) else schema.get("items")


class Shortened:
    """A value with as many parts as can be checked in a moment, to list what is wrong.

    The library lists all violations or none: 500,000 of them take 6 s.

    Attributes:
        cut: Pointers of the lists and objects that lost parts; what is said of these
            themselves is not to be believed.
    """

    def __init__(self, value: JsonValue, parts_max: int = PARTS_MAX) -> None:
        self.cut: set[str] = set()
        self._left = parts_max
        self.value = self._of(value, ())

    def _of(self, value: JsonValue, path: tuple[str | int, ...]) -> JsonValue:
        if not isinstance(value, (list, dict)):
            return value
        kept = len(value) if len(value) <= self._left else self._left
        if kept < len(value):
            self.cut.add(pointer_to(*path))
        self._left -= kept
        if isinstance(value, list):
            return [self._of(one, (*path, n)) for n, one in enumerate(value[:kept])]
        pairs = islice(value.items(), kept)
        return {key: self._of(one, (*path, key)) for key, one in pairs}


def _always(_: Any) -> bool:
    return True


def _unless_valid(is_valid: bool) -> list[Violation]:
    return [] if is_valid else [violation_at([], "does not fit the schema")]


def _violations_of(error: jsonschema_rs.ValidationError) -> Iterator[Violation]:
    path, kind = error.instance_path, error.kind
    if isinstance(kind, jsonschema_rs.ValidationErrorKind.Required):
        yield violation_at([*path, kind.property], error.message)
    elif isinstance(kind, jsonschema_rs.ValidationErrorKind.AdditionalProperties):
        for name in kind.unexpected:
            yield violation_at([*path, name], "there is no such property")
    else:
        yield violation_at(path, error.message)


def violation_at(path: list[str | int], message: str) -> Violation:
    """Return one entry of `error.details.violations`."""
    if len(message) > MESSAGE_LENGTH_MAX:
        message = message[:MESSAGE_LENGTH_MAX] + "…"
    return {"path": pointer_to(*path), "message": message}


def resolve(root: Any, schema: Any) -> Any:
    """Return `schema` with its `$ref`, as long as it stays inside `root`, followed.

    >>> resolve({"$defs": {"id": {"type": "string"}}}, {"$ref": "#/$defs/id"})
    {'type': 'string'}
    """
    for _ in range(_REF_HOPS_MAX):
        reference = schema.get("$ref") if isinstance(schema, dict) else None
        if not isinstance(reference, str):
            return schema
        schema = _pointed(root, reference)
    return None


def _pointed(root: Any, reference: str) -> Any:
    if not reference.startswith("#/"):
        return root if reference == "#" else None
    for segment in reference[2:].split("/"):
        key = segment.replace("~1", "/").replace("~0", "~")
        root = root.get(key) if isinstance(root, dict) else None
    return root


def types_of(schema: Any) -> set[str] | None:
    """Return the JSON types that `schema` allows; None: it does not say.

    >>> sorted(types_of({"anyOf": [{"type": "integer"}, {"type": "null"}]}))
    ['integer', 'null']
    >>> types_of({"enum": [1, 2]}), types_of({"minLength": 1})
    ({'integer'}, None)
    """
    if not isinstance(schema, dict):
        return None
    kinds = schema.get("type")
    if kinds is not None:
        return {kinds} if isinstance(kinds, str) else set(kinds)
    for key in ("anyOf", "oneOf"):
        parts = [types_of(part) for part in schema.get(key, ())]
        if parts and all(part is not None for part in parts):
            return {kind for part in parts if part for kind in part}
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    return {_type_name(value) for value in values} if values else None


def _type_name(value: JsonValue) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array"}
    return "null" if value is None else names.get(type(value), "object")


def raw_properties(schema: Any) -> Mapping[str, Any]:
    """Return the named properties of a schema as they stand."""
    found = schema.get("properties") if isinstance(schema, dict) else None
    return found if isinstance(found, dict) else {}


def _names_known_only(schema: Any) -> bool:
    """Tell whether only `properties` speaks of names, and leaves the object open."""
    if not raw_properties(schema):
        return False
    others = {"additionalProperties", "patternProperties", "unevaluatedProperties"}
    return not (others | _BRANCHES) & schema.keys()
