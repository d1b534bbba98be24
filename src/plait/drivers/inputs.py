"""Inputs: whether one fits its workflow's `input` schema, with the defaults filled in.

Rule 1. Nothing is ever fetched: a schema that refers outside itself is refused.
Rule 2. `format` is checked, not only noted: who writes `format: uuid` wants one.
Rule 3. Whoever begins an execution (a request, a command, a step, a fork) asks here.

Not here: reading texts of path and query (plait.gateway.contract).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, ClassVar, Final, TypeAlias

import jsonschema_rs

from plait.drivers.schemas import Schemas
from plait.model.errors import Advice, PlaitError
from plait.model.json import JsonObject, JsonValue
from plait.model.place import pointer_to
from plait.plan import Plan

Schema: TypeAlias = "JsonObject | bool | None"
Violation: TypeAlias = "dict[str, JsonValue]"

# A body of 1 MB can break a schema in 500,000 places; nobody reads more than these.
VIOLATIONS_MAX: Final = 100
MESSAGE_LENGTH_MAX: Final = 300
# Of a body that does not fit; 5,000 violations take 65 ms to list.
PARTS_MAX: Final = 5_000


class InvalidInput(PlaitError):
    """An input does not fit the schema of the workflow that it is for."""

    code: ClassVar[str] = "workflow.invalid_input"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, workflow: str, violations: list[Violation]) -> None:
        first = violations[0]
        where = f"{first['path']}: " if first["path"] else ""
        super().__init__(
            f"the input does not fit workflow '{workflow}': {where}{first['message']}"
        )
        self.workflow = workflow
        self.violations = violations
        self.details: JsonObject = {"violations": [*violations]}


def fitted(plan: Plan, value: JsonValue) -> JsonValue:
    """Return an input with the defaults of its workflow; what was given stays as it is.

    Raises:
        InvalidInput: It does not fit the workflow's schema.
    """
    inputs = Inputs(plan.input_schema)
    if isinstance(value, dict):
        value = dict(value)
        inputs.fill(value)
    if not inputs.is_valid(value):
        raise InvalidInput(plan.name, inputs.violations(value))
    return value


class Inputs:
    """What `input` may be.

    Attributes:
        properties: The named properties, each with all that is said of it.
        is_valid: Tells whether a value fits.
    """

    def __init__(self, schema: Schema) -> None:
        self.schema: Schema = schema
        self._schemas = schemas = Schemas(schema)
        self.properties = {
            name: schemas.part(schema, name) for name in schemas.names(schema)
        }
        self._defaults = dict(self._found_defaults())
        self.is_valid: Callable[[Any], bool] = _always
        self._validator: jsonschema_rs.Validator | None = None
        if schema is not None and schema is not True:
            self._validator = validator_of(schema)
            self.is_valid = self._validator.is_valid

    def _found_defaults(self) -> Iterator[tuple[str, JsonValue]]:
        for name, inner in self.properties.items():
            for one in self._schemas.conjuncts(inner):
                if "default" in one:
                    yield name, one["default"]
                    break

    def fill(self, value: dict[str, JsonValue]) -> None:
        """Add the `default` of every property of the top level that is missing."""
        for name, default in self._defaults.items():
            value.setdefault(name, default)

    def violations(self, value: JsonValue) -> list[Violation]:
        """Return everything that is wrong with `value`, at most VIOLATIONS_MAX findings.

        >>> schema = {"required": ["id"], "properties": {"n": {"minimum": 1}}}
        >>> for violation in Inputs(schema).violations({"n": 0}):
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


def validator_of(schema: Any) -> jsonschema_rs.Draft202012Validator:
    """Return what tells whether a value fits `schema`."""
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
