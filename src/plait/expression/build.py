"""Builds the functions that render values.

Rule 1. The shape of the value is decided here, once; rendering only fills it in. What is
        constant is made here and shared.
Rule 2. A list or object is rendered in three steps: all its expressions, in the order of
        the document; the shape around them; its weight (plait.expression.weight).
Rule 3. All problems of a value are collected; a renderer made in spite of problems is
        never called.

Not here: expressions (plait.expression.evaluate), texts (plait.expression.written), what
is done with the problems (plait.expression.template).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from orjson import dumps

from plait.expression.errors import OverBudget
from plait.expression.evaluate import Expression
from plait.expression.getter import GETTER_ERRORS, Getter, Names
from plait.expression.problems import IN_KEY, Problem
from plait.expression.scan import Found, split
from plait.expression.text import Escape
from plait.expression.weight import (
    PARTS_AT_ONCE,
    SURELY_LIGHT_BYTES,
    TooHeavy,
    first_too_heavy,
    weigh,
)
from plait.expression.written import text_renderer
from plait.model.json import JsonValue
from plait.model.place import pointer_to

Render: TypeAlias = Callable[[Names], JsonValue]
# Any: an object by its keys, or a list by its indexes.
Base: TypeAlias = Any
# Takes as many of the values as there are expressions in its shape.
Fill: TypeAlias = Callable[[Iterator[JsonValue]], JsonValue]

_CONTAINERS: Final = frozenset({dict, list})


class Constant(NamedTuple):
    """A value without expressions."""

    value: JsonValue


class Spot(NamedTuple):
    """A character of a text or key of the document.

    Attributes:
        number: Which of the texts and keys it is, in the order of the document.
        pointer: Where the text, or the value of the key, stands.
        text: The text; empty for a key.
        offset: Of the character.
    """

    number: int
    pointer: str
    text: str
    offset: int


class Site(NamedTuple):
    """An expression, and where its first character stands."""

    expression: Expression
    spot: Spot


class Slot(NamedTuple):
    """A text of the value that holds expressions.

    Attributes:
        read: Gives its value; may raise one of GETTER_ERRORS.
        evaluate: Gives its value, or says why it has none.
        expression: The first expression in it.
        depth: How many lists and objects it stands in.
    """

    read: Getter
    evaluate: Getter
    expression: Expression
    depth: int


class Shape(NamedTuple):
    """A list or object with slots in it.

    Attributes:
        base: What is copied and filled in.
        moving: Per key or index to fill in, with what.
        slots: All slots in it, in the order of the document.
    """

    base: Base
    moving: Mapping[Any, Slot | Shape]
    slots: tuple[Slot, ...]


Part: TypeAlias = "Constant | Slot | Shape"


class Builder:
    """Builds the renderer of one value.

    Attributes:
        sites: The expressions found, in the order of the document.
        problems: What is wrong with the value, and where.
    """

    def __init__(self, escape: Escape, expression_at: Callable[[str, Spot], Expression]):
        self._escape = escape
        self._expression_at = expression_at
        self.sites: list[Site] = []
        self.problems: list[tuple[Problem, Spot]] = []
        self._count = 0

    def build(self, value: JsonValue, pointer: str) -> Render | Constant:
        """Return what renders `value`, or the constant that it is."""
        part = self._part(value, pointer, 0)
        if isinstance(part, Slot):
            return part.evaluate
        return part if isinstance(part, Constant) else _renderer(part)

    def _part(self, value: JsonValue, pointer: str, depth: int) -> Part:
        if isinstance(value, str):
            has_mark = "${" in value
            return self._text(value, pointer, depth) if has_mark else Constant(value)
        if isinstance(value, dict):
            return self._object(value, pointer, depth + 1)
        if isinstance(value, list):
            return self._list(value, pointer, depth + 1)
        return Constant(value)

    def _object(self, value: dict[str, JsonValue], pointer: str, depth: int) -> Part:
        base: dict[str, JsonValue] = {}
        moving: dict[str, Slot | Shape] = {}
        for key, item in value.items():
            below = pointer + pointer_to(key)
            self._check_key(key, below)
            part = self._part(item, below, depth)
            base[key] = part.value if isinstance(part, Constant) else None
            if not isinstance(part, Constant):
                moving[key] = part
        if not moving:
            return Constant(base)
        return Shape(base, moving, _slots_of(moving.values()))

    def _list(self, value: list[JsonValue], pointer: str, depth: int) -> Part:
        base: list[JsonValue] = []
        moving: dict[int, Slot | Shape] = {}
        for index, item in enumerate(value):
            part = self._part(item, f"{pointer}/{index}", depth)
            base.append(part.value if isinstance(part, Constant) else None)
            if not isinstance(part, Constant):
                moving[index] = part
        if not moving:
            return Constant(base)
        return Shape(base, moving, _slots_of(moving.values()))

    def _check_key(self, key: str, pointer: str) -> None:
        if "${" in key and any(isinstance(part, Found) for part in split(key).parts):
            hint = "write the key out, or build the object in a CEL expression"
            problem = Problem(IN_KEY, f"'{key}': keys cannot be templates", hint, 0)
            self._count += 1
            self.problems.append((problem, Spot(self._count, pointer, "", 0)))

    def _text(self, text: str, pointer: str, depth: int) -> Constant | Slot:
        pieces = split(text)
        self._count += 1
        begin = Spot(self._count, pointer, text, 0)
        for problem in pieces.problems:
            self.problems.append((problem, begin._replace(offset=problem.offset)))
        parts = [
            part if isinstance(part, str) else self._site(part, begin)
            for part in pieces.parts
        ]
        # A YAML block (`|`, `>`) ends with a line break that nobody meant.
        if len(parts) == 2 and parts[1] == "\n":
            parts.pop()
        first = next((part for part in parts if not isinstance(part, str)), None)
        if first is None:
            return Constant("".join(map(str, parts)))
        if len(parts) == 1:
            return Slot(first.reader(), first.getter(), first, depth)
        render = text_renderer(parts, self._escape)
        return Slot(render, render, first, depth)

    def _site(self, found: Found, begin: Spot) -> Expression:
        spot = begin._replace(offset=found.offset)
        expression = self._expression_at(found.source, spot)
        self.sites.append(Site(expression, spot))
        return expression


def _slots_of(parts: Iterable[Slot | Shape]) -> tuple[Slot, ...]:
    found: list[Slot] = []
    for part in parts:
        found += (part,) if isinstance(part, Slot) else part.slots
    return tuple(found)


def _renderer(shape: Shape) -> Render:
    """Return what renders a list or object."""
    is_flat = all(isinstance(part, Slot) for part in shape.moving.values())
    if len(shape.slots) > PARTS_AT_ONCE or not is_flat:
        return _filled(shape)
    return _flat(shape)


def _flat(shape: Shape) -> Render:
    """Return what renders a list or object with a few expressions right in it.

    The hot path: most outputs and bodies are such.
    """
    base, keys, slots = shape.base, list(shape.moving), shape.slots
    read = _reader(base, [(key, s.read) for key, s in zip(keys, slots, strict=True)])
    # What is no list and no object makes nothing deeper, or much larger.
    only = keys[0] if len(keys) == 1 else None

    def render(names: Names) -> Any:
        try:
            result = read(names)
            if only is not None and type(result[only]) not in _CONTAINERS:
                return result
            if len(dumps(result)) <= SURELY_LIGHT_BYTES:
                return result
        except GETTER_ERRORS:  # which are also those of `dumps`
            result = base.copy()
            for key, slot in zip(keys, slots, strict=True):
                result[key] = slot.evaluate(names)
        _check(result, slots, [result[key] for key in keys])
        return result

    return render


def _reader(base: Base, moving: list[tuple[Any, Getter]]) -> Getter:
    """Return what fills in a list or object; it may raise one of GETTER_ERRORS."""
    match moving if isinstance(base, dict) and len(base) == len(moving) else []:
        case [(a, x)]:
            return lambda names: {a: x(names)}
        case [(a, x), (b, y)]:
            return lambda names: {a: x(names), b: y(names)}
        case [(a, x), (b, y), (c, z)]:
            return lambda names: {a: x(names), b: y(names), c: z(names)}
        case _:
            pass

    def read(names: Names) -> Any:
        result = base.copy()
        for key, read_one in moving:
            result[key] = read_one(names)
        return result

    return read


def _filled(shape: Shape) -> Render:
    """Return what renders a list or object with any expressions anywhere in it."""
    slots, fill = shape.slots, _fill(shape)
    reads = [slot.read for slot in slots]

    def render(names: Names) -> JsonValue:
        try:
            values = [read(names) for read in reads]
        except GETTER_ERRORS:
            values = [slot.evaluate(names) for slot in slots]
        result = fill(iter(values))
        _check(result, slots, values)
        return result

    return render


def _fill(part: Slot | Shape) -> Fill:
    """Return what fills in the next values."""
    if isinstance(part, Slot):
        return next
    base = part.base
    fills = [(key, _fill(inner)) for key, inner in part.moving.items()]

    def fill(values: Iterator[JsonValue]) -> JsonValue:
        result = base.copy()
        for key, inner in fills:
            result[key] = inner(values)
        return result  # type: ignore[no-any-return]

    return fill


def _check(result: JsonValue, slots: Sequence[Slot], values: Sequence[JsonValue]) -> None:
    """Raise the error that names the first expression with which it is too much."""
    try:
        weigh(result, values)
    except TooHeavy as reason:
        index = first_too_heavy(values, [slot.depth for slot in slots])
        expression = slots[index].expression
        raise OverBudget(
            f"with its value, the list or object around it {reason}",
            expression=expression.source,
            place=expression.place,
        ) from None
