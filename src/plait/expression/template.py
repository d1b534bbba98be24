"""Templates: JSON values with `${expression}` anywhere in them, compiled.

Rule 1. A text that is exactly one expression becomes that expression's value; in any
        other text, expressions are written into it.
Rule 2. Keys of objects are never templates.
Rule 3. What is constant is shared by all results: who renders must not change a result.
Rule 4. A template is written and read back with the order of its keys; that order is the
        order of the result's keys.

Not here: expressions (plait.expression.evaluate), renderers (plait.expression.build), how
values look in text (plait.expression.text).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from plait.expression.build import Builder, Constant, Render, Spot
from plait.expression.errors import ExpressionError, NotBool, TemplateErrors
from plait.expression.evaluate import (
    CelExpression,
    Expression,
    NotCompiled,
    PathExpression,
    expression_of,
)
from plait.expression.getter import Names
from plait.expression.info import ExpressionInfo
from plait.expression.paths import Read, sort_key
from plait.expression.problems import Problem
from plait.expression.text import Escape, json_text
from plait.model.diagnostic import Diagnostic
from plait.model.json import JsonValue
from plait.model.place import NOWHERE, Place, Span

PlaceOf: TypeAlias = Callable[[str], Place]
Locate: TypeAlias = Callable[[str, int], Place]

# 100: more findings in one value help nobody, and each takes 0.1 ms to make.
FINDINGS_MAX: Final = 100


class Template:
    """A compiled template. Immutable; made by `parse_template` and `Template.load`.

    Attributes:
        render: Returns the value of the template with these names; raises
            ExpressionError. The result shares constant parts with other results.
        is_constant: Whether there is no expression in it.
    """

    __slots__ = ("_dumped", "_expressions", "is_constant", "render")

    render: Render
    is_constant: bool

    def __init__(
        self,
        made: Render | Constant,
        expressions: tuple[Expression, ...],
        dumped: dict[str, JsonValue],
    ) -> None:
        self.render = _always(made.value) if isinstance(made, Constant) else made
        self.is_constant = isinstance(made, Constant)
        self._expressions = expressions
        self._dumped = dumped

    @property
    def reads(self) -> tuple[Read, ...]:
        """The paths that the template reads, each once, sorted."""
        found = dict.fromkeys(read for e in self._expressions for read in e.reads)
        return tuple(sorted(found, key=sort_key))

    @property
    def expressions(self) -> tuple[ExpressionInfo, ...]:
        """The expressions, in the order of the document."""
        return tuple(map(_info, self._expressions))

    def entries(self) -> dict[str, Template]:
        """Return the values of a mapping, each as a template of its own.

        >>> made = parse_template({"a": "${b}", "c": 1}, lambda at: Place(at, 1, 1))
        >>> {key: one.reads for key, one in made.entries().items()}
        {'a': (('b',),), 'c': ()}
        """
        value, escape, places = _undumped(self._dumped)
        assert isinstance(value, dict)
        rest, found = iter(places), {}
        for key, inner in value.items():
            builder = Builder(escape, lambda source, _: expression_of(source, next(rest)))
            found[key] = _template(builder.build(inner, ""), builder, inner, escape)
        return found

    def render_bool(self, names: Names) -> bool:
        """Return the value of a condition.

        Raises:
            NotBool: It is neither true nor false.
            ExpressionError: It has no value.
        """
        value = self.render(names)
        if value is True or value is False:
            return value
        raise self._not_bool(value)

    def _not_bool(self, value: JsonValue) -> ExpressionError:
        kind = _KINDS.get(type(value), "no boolean")
        text = f"a condition must be true or false, and this one is {kind}"
        first = self._expressions[0] if self._expressions else None
        if first is None:
            return NotBool(text, expression=str(self._dumped["source"]))
        return NotBool(text, expression=first.source, place=first.place)

    def dump(self) -> JsonValue:
        """Return what `load` reads: the source as JSON text, and the places."""
        return self._dumped

    @staticmethod
    def load(dumped: JsonValue) -> Template:
        """Return the template that `dump` described. CEL compiles it when first needed.

        Raises:
            ValueError: `dumped` describes no template.

        >>> made = parse_template({"a": "${b}"}, lambda pointer: Place(pointer, 1, 1))
        >>> Template.load(made.dump()) == made
        True
        """
        value, escape, places = _undumped(dumped)
        rest = iter(places)
        builder = Builder(
            escape, lambda source, _: expression_of(source, next(rest, NOWHERE))
        )
        made = builder.build(value, "")
        if builder.problems:
            raise ValueError(f"a template is damaged: {builder.problems[0][0].message}")
        if len(builder.sites) != len(places):
            raise ValueError("a template has more or fewer expressions than places")
        return _template(made, builder, value, escape)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Template) and self._dumped == other._dumped

    def __hash__(self) -> int:
        return hash(str(self._dumped))

    def __repr__(self) -> str:
        return f"Template({self._dumped['source']})"


_KINDS = {
    type(None): "null",
    int: "a number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "an object",
}


def parse_template(
    value: JsonValue,
    place_of: PlaceOf,
    *,
    escape: Escape = Escape.NONE,
    pointer: str = "",
    locate: Locate | None = None,
) -> Template:
    """Compile `value`, which may hold `${expression}` anywhere but in keys.

    Args:
        place_of: Gives the place of the value at a JSON pointer of the document.
        escape: How values are written into text around them.
        pointer: Where `value` stands in the document.
        locate: Gives the place of the character at an offset of the text at a pointer.
            Without it, characters are counted from where a text of one line begins.

    Raises:
        TemplateErrors: With what is wrong with every expression that is not valid (the
            first FINDINGS_MAX of it), and with the expressions that are valid.

    >>> template = parse_template("Hello ${user.name}", lambda at: Place(at, 1, 1))
    >>> template.render({"user": {"name": "Ada"}}), template.reads
    ('Hello Ada', (('user', 'name'),))
    """

    def place(spot: Spot) -> Place:
        if locate is not None:
            return locate(spot.pointer, spot.offset)
        return _counted(place_of(spot.pointer), spot)

    builder = Builder(escape, lambda source, spot: expression_of(source, place(spot)))
    made = builder.build(value, pointer)
    found, valid = _compiled(builder)
    if found:
        diagnostics = (_diagnostic(problem, place(spot)) for problem, spot in found)
        raise TemplateErrors(tuple(diagnostics), tuple(map(_info, valid)))
    return _template(made, builder, value, escape)


def _compiled(builder: Builder) -> tuple[list[tuple[Problem, Spot]], list[Expression]]:
    """Compile the expressions; return what is wrong, and those that are valid.

    Both are in the order of the document.
    """
    found, valid = builder.problems[:FINDINGS_MAX], []
    for expression, spot in builder.sites:
        try:
            if isinstance(expression, CelExpression):
                expression.compile()
            valid.append(expression)
        except NotCompiled as failed:
            for problem in failed.problems:
                found.append((problem, spot._replace(offset=spot.offset + problem.offset)))
            if len(found) >= FINDINGS_MAX:
                break
    found.sort(key=_position)
    return found[:FINDINGS_MAX], valid


def _info(expression: Expression) -> ExpressionInfo:
    is_plain_path = isinstance(expression, PathExpression)
    return ExpressionInfo(
        expression.source, expression.place, expression.reads, is_plain_path
    )


def _position(found: tuple[Problem, Spot]) -> tuple[int, int]:
    return found[1].number, found[1].offset


def _counted(place: Place, spot: Spot) -> Place:
    if "\n" in spot.text[: spot.offset]:
        return place
    return Place(place.pointer, place.line, place.column + spot.offset)


def _diagnostic(problem: Problem, place: Place) -> Diagnostic:
    span = Span(place.line, place.column, place.line, place.column + 1)
    return Diagnostic(problem.code, problem.message, problem.hint, span)


def _template(
    made: Render | Constant, builder: Builder, value: JsonValue, escape: Escape
) -> Template:
    expressions = tuple(site.expression for site in builder.sites)
    # As text: an object would lose the order of its keys in a canonical form.
    dumped: dict[str, JsonValue] = {"source": json_text(value)}
    if expressions:
        dumped["places"] = [[*expression.place] for expression in expressions]
    if escape is not Escape.NONE:
        dumped["escape"] = escape.value
    return Template(made, expressions, dumped)


def _undumped(dumped: JsonValue) -> tuple[JsonValue, Escape, list[Place]]:
    if not isinstance(dumped, dict) or not isinstance(dumped.get("source"), str):
        raise ValueError("no template")
    value: JsonValue = json.loads(str(dumped["source"]))
    places = [_place(place) for place in _listed(dumped.get("places", []))]
    return value, Escape(str(dumped.get("escape", Escape.NONE))), places


def _listed(value: JsonValue) -> list[JsonValue]:
    if not isinstance(value, list):
        raise ValueError("the places of a template are no list")
    return value


def _place(value: JsonValue) -> Place:
    match value:
        case [str(pointer), int(line), int(column)]:
            return Place(pointer, line, column)
        case _:
            raise ValueError("a place of a template is damaged")


def _always(value: Any) -> Render:
    return lambda _names: value
