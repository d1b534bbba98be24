"""The input contract: a workflow's `input` schema, ready to check and to read text by.

Rule 1. Nothing is ever fetched: a schema that refers outside itself is refused.
Rule 2. `format` is checked, not only noted: who writes `format: uuid` wants one.

Not here: where a value comes from (plait.gateway.binding).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice, product
from typing import Any, Final, TypeAlias

import jsonschema_rs

from plait.gateway.body import Path
from plait.gateway.moved_schema import Move
from plait.gateway.schemas import ANY_ITEM, Schemas, raw_properties
from plait.gateway.texts import (
    Fits,
    Reader,
    TextReader,
    is_text_or_more,
    list_or_one,
    list_reader,
    reader_for,
    readings,
    text_reader,
)
from plait.model.json import JsonObject, JsonValue
from plait.model.place import pointer_to

Schema: TypeAlias = "JsonObject | bool | None"
Violation: TypeAlias = "dict[str, JsonValue]"

# A body of 1 MB can break a schema in 500,000 places; nobody reads more than these.
VIOLATIONS_MAX: Final = 100
MESSAGE_LENGTH_MAX: Final = 300
# Five parameters of two types each.
READINGS_MAX: Final = 32
# Of a body that does not fit; 5,000 violations take 65 ms to list.
PARTS_MAX: Final = 5_000
_BRANCHES: Final = frozenset("anyOf oneOf if not".split())


class InputContract:
    """What `input` may be.

    Attributes:
        properties: The named properties, each with all that is said of it.
        names_known_only: True when a name that `properties` has not means nothing here.
        may_be_object, must_be_object: What the schema's types say of the whole input.
    """

    def __init__(self, schema: Schema) -> None:
        self.schema: Schema = schema
        self._schemas = schemas = Schemas(schema)
        self.properties = {
            name: schemas.part(schema, name) for name in schemas.names(schema)
        }
        self.names_known_only = _names_known_only(schemas.conjuncts(schema))
        kinds = schemas.types_of(schema)
        self.may_be_object = kinds is None or "object" in kinds
        self.must_be_object = kinds == {"object"}
        self._readers = {n: self._reader_of(inner) for n, inner in self.properties.items()}
        types = {name: schemas.types_of(inner) for name, inner in self.properties.items()}
        self._mixed = {
            n: kinds for n, kinds in types.items() if kinds and is_text_or_more(kinds)
        }
        self._patterns = schemas.patterns(schema)
        self._other_readers: dict[tuple[str, ...], Reader] = {}
        self._defaults = dict(self._found_defaults())
        self.is_valid: Callable[[Any], bool] = _always
        self._validator: jsonschema_rs.Validator | None = None
        if schema is not None and schema is not True:
            self._validator = _validator(schema)
            self.is_valid = self._validator.is_valid

    def reader(self, name: str) -> Reader:
        """Return what turns the texts given for `name` into its value."""
        return self._readers.get(name) or self._other_reader(name)

    def _other_reader(self, name: str) -> Reader:
        """Return the reader of a name that only patterns speak of, or nothing does.

        One for each set of patterns: callers choose names, and could choose many.
        """
        fitting = tuple(one for one in self._patterns if self._schemas.matches(one, name))
        reader = self._other_readers.get(fitting)
        if reader is None:
            reader = self._reader_of(self._schemas.part(self.schema, name))
            self._other_readers[fitting] = reader
        return reader

    def _reader_of(self, schema: Any) -> Reader:
        types = self._schemas.types_of(schema)
        items = self._list_reader_of(schema)
        if types is None or types == {"array"} or "array" not in types:
            return reader_for(types, self._text_reader_of(schema), items)
        fits = self._check_of(schema)
        return list_or_one(items, text_reader(types, fits), fits)

    def _list_reader_of(self, schema: Any) -> Reader:
        steps = [*range(self._schemas.first_items(schema)), ANY_ITEM]
        parts = (self._schemas.part(schema, step) for step in steps)
        *first, rest = map(self._text_reader_of, parts)
        return list_reader(first, rest)

    def _text_reader_of(self, schema: Any) -> TextReader:
        types = self._schemas.types_of(schema)
        fits = self._check_of(schema) if is_text_or_more(types) else None
        return text_reader(types, fits)

    def _check_of(self, part: Any) -> Fits:
        """Return what tells whether a value fits a part of the schema."""
        move = Move(self.schema, "#/$defs/input")
        alone = {"$defs": {"input": move.of(self.schema)}, "allOf": [move.of(part)]}
        return _validator(alone).is_valid

    def _found_defaults(self) -> Iterator[tuple[str, JsonValue]]:
        for name, inner in self.properties.items():
            for one in self._schemas.conjuncts(inner):
                if "default" in one:
                    yield name, one["default"]
                    break

    def other_readings(
        self, value: JsonObject, texts: Mapping[str, Sequence[str]]
    ) -> Iterator[JsonObject]:
        """Yield `value` with its texts read in other ways, READINGS_MAX of them.

        Each parameter was read by itself; which of its types counts may depend on another
        one (`oneOf` with a constant in each branch).
        """
        choices = {
            name: readings(self._mixed[name], given[0])
            for name, given in texts.items()
            if name in self._mixed and len(given) == 1
        }
        for chosen in islice(product(*choices.values()), READINGS_MAX if choices else 0):
            yield {**value, **dict(zip(choices, chosen, strict=True))}

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
        schema: Any = self.schema
        for step in path:
            schema = self._schemas.part(schema, step)
        return "number" in (self._schemas.types_of(schema) or ())


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


def _validator(schema: Any) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=True, offline=True)


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


def _names_known_only(said: list[dict[str, Any]]) -> bool:
    """Tell whether only `properties` speaks of names, and leaves the object open."""
    if not any(map(raw_properties, said)):
        return False
    others = {"additionalProperties", "patternProperties", "unevaluatedProperties"}
    return not any((others | _BRANCHES) & one.keys() for one in said)
