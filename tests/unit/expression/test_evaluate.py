"""Expressions give what CEL gives, although they are handed as little as possible."""

from __future__ import annotations

import re
import sys

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from plait.expression import ExpressionError, NotJson, Template, UnsupportedValue
from plait.expression.engine import program_of
from plait.model.json import JsonValue
from tests.unit.expression import cel_itself
from tests.unit.expression.making import JSON, NAME, at, template, value_of

# Every way of reading: has, optionals, indexes, sizes, comparisons, loops, shadowing.
SHAPES = [
    "has(a.b) ? a.b : 'none'",
    "has(a.b.c) && a.b.c == a.c",
    "a.?b.?c.orValue(b)",
    "a[?0].orValue(a)",
    "a.b == null || b.c != null",
    "size(a) + size(a.b)",
    "a.b.size() > 1 ? a.b[1] : a.b",
    "size(a) > 0 && a.?b.orValue(b) == b",
    "a.?b.orValue(b) == b && size(a) > 0",
    "a[b]",
    "a[b.c].b",
    "'b' in a",
    "b in a.c",
    "a == b",
    "a.b < b.b",
    "a.b + b.c",
    "type(a.b) == list ? a.b[0] : a",
    "[a.b, {'k': b.c, 'x-y': a}]",
    "{'k': a}.k.b",
    "a.all(x, x == b)",
    "a.exists(x, x.b == b.c)",
    "a.filter(x, has(x.b)).map(x, x.b)",
    "a.map(b, b)",
    "b.map(x, a.map(y, [x, y]))",
    "a.?b.optMap(v, [v]).orValue(a)",
    "cel.bind(x, a.b, x.c == b ? x : [x, x])",
    "a.b ? a.c : b.c",
    "!(a.b && b.c) || a.c",
    "-a.b",
    "a.b.?c[?0].hasValue()",
    "a.c.first().orValue(b)",
    "a.c.sort() == b",
    "string(a.b) + '!'",
    "a['x-y'].b == a[\"0\"]",
    "a.`x-y` == b",
    "a.b in [1, 'x', null, b]",
    "double(a.b) * 2.0",
]


@pytest.mark.slow
@given(
    st.sampled_from(SHAPES),
    st.fixed_dictionaries({"a": JSON, "b": JSON}),
)
@settings(max_examples=6 * settings().max_examples)
def test_an_expression_gives_what_the_library_gives(
    expression: str, names: dict[str, JsonValue]
) -> None:
    # The library loops over objects in no order; test_rewrite looks at those.
    assume(not re.search(r"\.(?:map|filter)\(", expression) or not _objects(names))
    assert _outcome(expression, names) == cel_itself.evaluate(expression, names)


def _objects(names: dict[str, JsonValue]) -> bool:
    return any(isinstance(value, dict) for value in names.values())


def _outcome(expression: str, names: dict[str, JsonValue]) -> object:
    try:
        return value_of(expression, **names)
    except ExpressionError:
        return cel_itself.FAILED


@pytest.mark.parametrize("expression", SHAPES)
def test_some_values_make_each_of_these_expressions_succeed(expression: str) -> None:
    rich: JsonValue = {"b": 1, "c": [1, 2], "x-y": {"b": 5}, "0": 5}
    worlds: list[dict[str, JsonValue]] = [
        {"a": rich, "b": 1},
        {"a": {"b": [1, 2], "c": [1]}, "b": {"b": 3, "c": [1]}},
        {"a": {"b": True, "c": 1}, "b": {"c": True}},
        {"a": {"b": {"c": 1}, "c": 1}, "b": {"c": 1, "b": 2}},
        {"a": {"k": {"b": 7}, "b": "x"}, "b": {"c": "k"}},
        {"a": {"b": 1.5, "c": 2}, "b": "b"},
        {"a": [{"b": 1}], "b": [{"b": 1}]},
        {"a": [1], "b": 1},
        {"a": {"b": 1}, "b": {"b": 2}},
        {"a": [{"b": 1}], "b": {"c": 1}},
        {"a": {"b": True, "c": False}, "b": {"c": False}},
        {"a": {"b": {"c": [1]}, "k": {"b": 1}}, "b": {"c": "k"}},
    ]
    outcomes = [cel_itself.evaluate(expression, names) for names in worlds]
    assert any(outcome is not cel_itself.FAILED for outcome in outcomes)


def test_expressions_that_differ_in_names_only_share_a_program() -> None:
    first, second = template(NAME % "a.b.c == 17"), template(NAME % "x.y == 17")
    assert (first.render({"a": {"b": {"c": 17}}}), second.render({"x": {"y": 1}})) == (
        True,
        False,
    )
    assert program_of("v0 == 17", 1) is program_of("v0 == 17", 1)


def test_a_failure_that_nothing_depends_on_is_no_failure() -> None:
    assert value_of("a.b.c == 1 || true", a={}) is True
    assert value_of("false && a[7].x", a=[]) is False
    assert value_of("true ? 1 : a.b", a={}) == 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (2**63 - 1, 2**63 - 1),
        (2**63, 2**63),
        (2**64 - 1, 2**64 - 1),
        (2**64, float(2**64)),
        (-(2**63) - 1, -(2.0**63)),
        ([2**70], [2.0**70]),
    ],
)
def test_integers_are_int_then_uint_then_double(
    value: JsonValue, expected: JsonValue
) -> None:
    found = value_of("true ? x : 0", x=value)
    assert found == expected
    assert type(found) is type(expected)


def test_doubles_stay_doubles_and_compare_with_integers() -> None:
    found = value_of("x", x=1.0)
    assert type(found) is float
    assert value_of("x == 1 && x < 2 && y > 1.5", x=1.0, y=2) is True


@pytest.mark.parametrize("value", ["a\0b", ["a\0"], {"k": {"\0": 1}}, "\ud800", ["\ud800"]])
def test_text_that_cel_would_cut_off_is_refused(value: JsonValue) -> None:
    with pytest.raises(UnsupportedValue) as caught:
        value_of("x.y == 1 || true", x={"y": value})
    assert "x.y holds text" in caught.value.message
    assert caught.value.path == "x.y"


def test_text_that_only_looks_like_an_escaped_nul_is_accepted() -> None:
    assert value_of("x == y", x=["\\u0000"], y=["\\u0000"]) is True


def test_an_integer_that_no_double_comes_near_is_refused() -> None:
    with pytest.raises(UnsupportedValue, match="too large"):
        value_of("x > 1", x=10**400)


@pytest.mark.parametrize(
    "expression",
    [
        "0.0 / 0.0",
        "1.0 / 0.0",
        "[x.?y]",
        "{'a': x.?y}",
        "{'a': 1, 'b': [{'c': x.?y}]}",
        "x.map(k, {'k': x.?k})",
        "{1: 2}",
        "{'a': {true: 1}}",
    ],
)
@pytest.mark.parametrize("x", [{"a": 1}, {"y": 1}, {"y": None}])
def test_a_result_that_is_no_json_is_refused(expression: str, x: JsonValue) -> None:
    with pytest.raises(NotJson):
        value_of(expression, x=x)


def test_an_optional_result_is_its_value_or_null() -> None:
    assert value_of("x.?y // why\n", x={"y": 3}) == 3
    assert value_of("x.?y", x={}) is None
    assert value_of("[1, 2].first()") == 1


def test_nulls_can_be_taken_out_of_cel_for_ever() -> None:
    condition = template(NAME % "[x, null, {'a': null}, [null]]")
    before = sys.getrefcount(None)
    for _ in range(3_000):
        condition.render({"x": None})
    # Each render yields four; a library that forgets to count them would take 12,000.
    assert sys.getrefcount(None) > before - 1_000


def test_a_loaded_template_that_no_longer_compiles_fails_when_it_is_rendered() -> None:
    dumped: JsonValue = {"source": '"${a +}"', "places": [list(at("/x"))]}
    loaded = Template.load(dumped)
    with pytest.raises(ExpressionError, match="ends too early") as caught:
        loaded.render({"a": 1})
    assert caught.value.place == at("/x")
