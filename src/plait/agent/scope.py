"""Scopes: where the values of a draft's requests may come from.

A parameter is bound by its name and its schema: to what the description says of it, to the
item of a loop, to what an earlier step answers, and else to the workflow's input.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final

from plait.agent.openapi import Operation, Parameter
from plait.agent.schemas import items_of, leaves, type_of
from plait.agent.words import IDENTITY, identifier, nouns, pieces, singular
from plait.model.json import JsonObject, JsonValue
from plait.model.record import record

_PLAIN_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Names that mean something else with each thing that has them.
_GENERIC: Final = frozenset("name type title description note comment text kind".split())
# Other names under which APIs have the same.
_ALIASES: Final[dict[tuple[str, ...], tuple[tuple[str, ...], ...]]] = {
    ("to",): (("email",), ("email", "address")),
    ("recipient",): (("email",), ("email", "address")),
    ("email", "address"): (("email",),),
    ("email",): (("email", "address"),),
    ("amount",): (("total",), ("total", "amount"), ("amount", "due"), ("price",)),
    ("total",): (("amount",), ("total", "amount")),
    ("amount", "cent"): (("total", "cent"),),
    ("address",): (("shipping", "address"), ("delivery", "address")),
    ("phone",): (("phone", "number"),),
    ("phone", "number"): (("phone",),),
}
# CEL's own words cannot follow a dot.
_CEL_WORDS: Final = frozenset(
    "true false null in as break const continue else for function if import let loop "
    "package namespace return var void while".split()
)


@record
class Made:
    """A step that others may read.

    Attributes:
        value: The expression of what it answers: `customer.response`.
        schema: Of that; may be empty.
        resource: What it is about, in the singular.
    """

    id: str
    value: str
    schema: JsonObject
    resource: str


@record
class Found:
    """A value that an expression reads."""

    expression: str
    words: tuple[str, ...]
    schema: JsonObject


@dataclass(slots=True)
class Inputs:
    """The workflow's input as the draft comes to need it.

    Attributes:
        assumed: What was taken for the same although its name differs.
    """

    properties: dict[str, JsonObject] = field(default_factory=dict)
    required: list[str] = field(default_factory=list)
    assumed: list[str] = field(default_factory=list)

    def need(self, name: str, schema: JsonObject, *, is_required: bool = True) -> str:
        """Return the expression of a property, which is added if it is not there."""
        safe = name if _PLAIN_KEY.fullmatch(name) else identifier(pieces(name))
        if safe in _CEL_WORDS:
            safe = f"{safe}_value"
        known = self.properties.setdefault(safe, schema)
        if not known and schema:
            self.properties[safe] = schema
        if is_required and safe not in self.required:
            self.required.append(safe)
        return f"input.{safe}"


@dataclass(slots=True)
class Scope:
    """What the steps of one scope can read.

    Attributes:
        item: The schema of a loop's item; None: there is no loop.
        item_noun: What the item is, in the singular.
        open_item: Whether the item is of the workflow's own input, so that it may have
            whatever the steps need of it.
    """

    inputs: Inputs
    made: list[Made] = field(default_factory=list)
    item: JsonObject | None = None
    item_noun: str = ""
    open_item: bool = False

    def inner(self) -> Scope:
        """Return a scope inside this one: it sees what this one sees."""
        return Scope(
            self.inputs, list(self.made), self.item, self.item_noun, self.open_item
        )

    def values(self) -> Iterator[Found]:
        """Yield what can be read: of the item, then of steps, the latest first."""
        if self.item is not None:
            yield from _within("item", self.item_noun, self.item)
        for one in reversed(self.made):
            yield from _within(one.value, one.resource, one.schema)

    def nearest(
        self, wanted: AbstractSet[str], accepts: Callable[[Found], bool]
    ) -> Found | None:
        """Return what has all `wanted` words in its name, and the fewest others.

        Of several the first; None: there is nothing that has them and is accepted.
        """
        fitting = (one for one in self.values() if wanted <= set(one.words))
        return min(
            filter(accepts, fitting),
            key=lambda one: len(set(one.words) - wanted),
            default=None,
        )


def key_words(name: str) -> tuple[str, ...]:
    """Return the words of a property's name: `customerIds` and `customer_id` have equal.

    >>> key_words("customerIds") == key_words("customer_id")
    True
    """
    return tuple(singular(word) for word in pieces(name))


def reach(base: str, path: tuple[str, ...]) -> str:
    """Return the expression of what is inside a value.

    >>> reach("a.response", ("items", "unit-price", "in"))
    "a.response.items['unit-price']['in']"
    """
    text = base
    for key in path:
        if _PLAIN_KEY.fullmatch(key) and key not in _CEL_WORDS:
            text += f".{key}"
        else:
            escaped = key.replace("\\", "\\\\").replace("'", "\\'")
            text += f"['{escaped}']"
    return text


def bind(parameter: Parameter, operation: Operation, scope: Scope) -> str:
    """Return the expression that gives a parameter its value."""
    words = key_words(parameter.name)
    noun = _noun_of(words, parameter, operation)
    found = _from_item(words, noun, parameter, scope) or _from_steps(
        words, noun, parameter, scope
    )
    if found:
        return found
    for other in _ALIASES.get(words, ()):
        found = _from_steps(other, "", parameter, scope)
        if found:
            scope.inputs.assumed.append(f"`{parameter.name}` is taken from `{found}`")
            return found
    return scope.inputs.need(_input_name(words, noun, parameter), _input_schema(parameter))


def bind_optional(parameter: Parameter, operation: Operation, scope: Scope) -> str:
    """Return the expression of a parameter that may be left out; empty: leave it out.

    Only what is surely meant is bound: an id of something that an earlier step answered.
    """
    words = key_words(parameter.name)
    if not set(words) & IDENTITY or words in (("id",), ("key",)):
        return ""
    noun = _noun_of(words, parameter, operation)
    return _from_item(words, noun, parameter, scope, is_exact=True) or _from_steps(
        words, noun, parameter, scope
    )


def _noun_of(words: tuple[str, ...], parameter: Parameter, operation: Operation) -> str:
    """Return of what a parameter is the id; empty: it is none.

    `customer_id` says so itself; of a bare `id` in a path the part before it does.
    """
    if not words or words[-1] not in IDENTITY:
        return ""
    before = [word for word in words if word not in IDENTITY]
    if before:
        return before[-1]
    if parameter.place == "path":
        head = operation.url.partition(f"{{{parameter.name}}}")[0]
        fixed = [part for part in head.split("/") if part and "{" not in part]
        named = pieces(fixed[-1]) if fixed else []
        if named:
            return singular(named[-1])
    return operation.resource


def _from_item(
    words: tuple[str, ...],
    noun: str,
    parameter: Parameter,
    scope: Scope,
    *,
    is_exact: bool = False,
) -> str:
    item = scope.item
    if item is None:
        return ""
    kind = type_of(item)
    about_item = bool(noun) and noun == scope.item_noun
    if kind in ("string", "integer", "number"):
        is_it = about_item or words == (scope.item_noun,)
        return "item" if is_it and _fits(item, parameter) else ""
    for leaf in leaves(item, 1):
        name = key_words(leaf.path[0])
        is_id = about_item and name in (("id",), (noun, "id"))
        if (name == words or is_id) and _fits(leaf.schema, parameter):
            return reach("item", leaf.path)
    if parameter.place == "whole" and (about_item or not leaves_of(item)):
        return "item"
    if scope.open_item and not is_exact and not _from_steps(words, noun, parameter, scope):
        return _added(item, parameter, "id" if about_item else "_".join(words))
    return ""


def _added(item: JsonObject, parameter: Parameter, name: str) -> str:
    """Let the items of the input have what a step needs of them."""
    item.setdefault("type", "object")
    properties = item.setdefault("properties", {})
    safe = name if _PLAIN_KEY.fullmatch(name) and name not in _CEL_WORDS else "value"
    if isinstance(properties, dict):
        properties.setdefault(safe, _input_schema(parameter))
    required = item.setdefault("required", [])
    if isinstance(required, list) and safe not in required:
        required.append(safe)
    return reach("item", (safe,))


def leaves_of(schema: JsonObject) -> bool:
    """Tell whether anything is known of what is inside a value."""
    return next(iter(leaves(schema, 1)), None) is not None


def _from_steps(
    words: tuple[str, ...], noun: str, parameter: Parameter, scope: Scope
) -> str:
    for one in reversed(scope.made):
        for leaf in leaves(one.schema, 2):
            name = key_words(leaf.path[-1])
            if name in (("id",), (noun, "id")) and noun and noun == one.resource:
                is_meant = len(leaf.path) == 1
            else:
                is_meant = name == words and _is_telling(words)
            if is_meant and _fits(leaf.schema, parameter):
                return reach(one.value, leaf.path)
        if noun and noun == one.resource and not one.schema:
            return reach(one.value, ("id",))
        whole = words == (one.resource,) and type_of(parameter.schema) == "object"
        if whole and type_of(one.schema) == "object":
            return one.value
    return ""


def _is_telling(words: tuple[str, ...]) -> bool:
    """Tell whether equal names mean the same: not so for `id` and `name`."""
    return words not in (("id",), ("status",), ("state",)) and not (
        len(words) == 1 and words[0] in _GENERIC | IDENTITY
    )


def _fits(schema: JsonObject, parameter: Parameter) -> bool:
    has, wants = type_of(schema), type_of(parameter.schema)
    if not has or not wants or has == wants:
        return True
    if parameter.place in ("path", "query"):
        return {has, wants} <= {"string", "integer", "number"}
    return has == "integer" and wants == "number"


def _input_name(words: tuple[str, ...], noun: str, parameter: Parameter) -> str:
    if noun and not [word for word in words if word not in IDENTITY]:
        return identifier([noun, *words])
    if noun:
        return identifier(words)
    return identifier(pieces(parameter.name), fallback="value")


def _input_schema(parameter: Parameter) -> JsonObject:
    schema: JsonObject = {
        key: value for key, value in parameter.schema.items() if key != "readOnly"
    }
    if parameter.description and "description" not in schema:
        schema["description"] = parameter.description[:200].replace("${", "$ {")
    return schema


def _within(value: str, noun: str, schema: JsonObject) -> Iterator[Found]:
    own = (noun,) if noun else ()
    yield Found(value, own, schema)
    for leaf in leaves(schema, 3):
        inner = [word for key in leaf.path for word in key_words(key)]
        yield Found(reach(value, leaf.path), (*own, *inner), leaf.schema)


def as_template(expression: str) -> JsonValue:
    """Return a template that yields the value of an expression."""
    return f"${{{expression}}}"


def array_of(over: str, scope: Scope) -> tuple[str, JsonObject] | None:
    """Return the list that a loop runs over, and what its items are."""
    wanted = {singular(word) for word in nouns(over)} or {"item"}
    found = scope.nearest(wanted, lambda one: type_of(one.schema) == "array")
    return None if found is None else (found.expression, items_of(found.schema))
