"""Builds the functions that render values: one function per text, list or object.

Rule 1. The shape of the value is decided here, once; rendering only fills it in. What is
        constant is made here and shared.
Rule 2. All problems of a value are collected; a renderer made in spite of problems is
        never called.

Not here: expressions (plait.expression.evaluate), what is done with the problems
(plait.expression.template).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from plait.expression.errors import NotForUrl, UnsupportedValue
from plait.expression.evaluate import CelExpression, PathExpression
from plait.expression.getter import Getter, Names
from plait.expression.problems import IN_KEY, Problem
from plait.expression.scan import Found, split
from plait.expression.text import Escape, NoText, Writer, text_of, writers_for
from plait.model.json import JsonValue
from plait.model.place import pointer_to

Expression: TypeAlias = "PathExpression | CelExpression"
Render: TypeAlias = Callable[[Names], JsonValue]


class Constant(NamedTuple):
    """A value without expressions."""

    value: JsonValue


class Spot(NamedTuple):
    """A character of a text of the document: the text's pointer, the text, the offset."""

    pointer: str
    text: str
    offset: int


class Site(NamedTuple):
    """An expression, and where its first character stands."""

    expression: Expression
    spot: Spot


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

    def build(self, value: JsonValue, pointer: str) -> Render | Constant:
        """Return what renders `value`, or the constant that it is."""
        if isinstance(value, str):
            return self._text(value, pointer) if "${" in value else Constant(value)
        if isinstance(value, dict):
            return self._object(value, pointer)
        if isinstance(value, list):
            return self._list(value, pointer)
        return Constant(value)

    def _object(self, value: dict[str, JsonValue], pointer: str) -> Render | Constant:
        base: dict[str, JsonValue] = {}
        moving: list[tuple[str, Render]] = []
        for key, item in value.items():
            below = pointer + pointer_to(key)
            self._check_key(key, below)
            made = self.build(item, below)
            base[key] = made.value if isinstance(made, Constant) else None
            if not isinstance(made, Constant):
                moving.append((key, made))
        return _object_renderer(base, moving) if moving else Constant(base)

    def _list(self, value: list[JsonValue], pointer: str) -> Render | Constant:
        base: list[JsonValue] = []
        moving: list[tuple[int, Render]] = []
        for index, item in enumerate(value):
            made = self.build(item, f"{pointer}/{index}")
            base.append(made.value if isinstance(made, Constant) else None)
            if not isinstance(made, Constant):
                moving.append((index, made))
        return _list_renderer(base, moving) if moving else Constant(base)

    def _check_key(self, key: str, pointer: str) -> None:
        if "${" in key and any(isinstance(part, Found) for part in split(key).parts):
            hint = "write the key out, or build the object in a CEL expression"
            problem = Problem(IN_KEY, f"'{key}': keys cannot be templates", hint, 0)
            self.problems.append((problem, Spot(pointer, "", 0)))

    def _text(self, text: str, pointer: str) -> Render | Constant:
        pieces = split(text)
        for problem in pieces.problems:
            self.problems.append((problem, Spot(pointer, text, problem.offset)))
        parts = [
            part if isinstance(part, str) else self._site(part, text, pointer)
            for part in pieces.parts
        ]
        # A YAML block (`|`, `>`) ends with a line break that nobody meant.
        if len(parts) == 2 and parts[1] == "\n":
            parts.pop()
        match parts:
            case []:
                return Constant(text)
            case [str(literal)]:
                return Constant(literal)
            case [expression] if not isinstance(expression, str):
                return expression.getter()
            case _:
                return _text_renderer(parts, self._escape)

    def _site(self, found: Found, text: str, pointer: str) -> Expression:
        spot = Spot(pointer, text, found.offset)
        expression = self._expression_at(found.source, spot)
        self.sites.append(Site(expression, spot))
        return expression


def _object_renderer(
    base: dict[str, JsonValue], moving: list[tuple[str, Render]]
) -> Render:
    if len(base) == 1:
        ((only, render_only),) = moving
        return lambda names: {only: render_only(names)}

    def render(names: Names) -> JsonValue:
        result = base.copy()
        for key, fill in moving:
            result[key] = fill(names)
        return result

    return render


def _list_renderer(base: list[JsonValue], moving: list[tuple[int, Render]]) -> Render:
    def render(names: Names) -> JsonValue:
        result = base.copy()
        for index, fill in moving:
            result[index] = fill(names)
        return result

    return render


def _text_renderer(parts: list[str | Expression], escape: Escape) -> Render:
    writers = writers_for(parts, escape)
    if len(parts) == 2 and isinstance(parts[0], str) and not isinstance(parts[1], str):
        return _prefixed(parts[0], _written(parts[1], writers[1]))
    filled = [
        part if isinstance(part, str) else _written(part, writer)
        for part, writer in zip(parts, writers, strict=True)
    ]
    return lambda names: "".join(
        [part if isinstance(part, str) else part(names) for part in filled]
    )


def _prefixed(prefix: str, write: Callable[[Names], str]) -> Render:
    return lambda names: prefix + write(names)


def _written(expression: Expression, write: Writer) -> Callable[[Names], str]:
    """Return what evaluates `expression` and writes its value as text."""
    read: Getter = expression.getter()
    error = UnsupportedValue if write is text_of else NotForUrl

    def text(names: Names) -> str:
        value = read(names)
        try:
            return write(value)
        except NoText as reason:
            raise error(
                f"its value {reason}", expression=expression.source, place=expression.place
            ) from None

    return text
