"""What templates make stays small enough to be written, whatever they are chained to."""

from __future__ import annotations

import pytest

from plait.expression import OverBudget
from plait.expression.weight import (
    PARTS_AT_ONCE,
    VALUE_BYTES_MAX,
    VALUE_DEPTH_MAX,
    TooHeavy,
    weigh,
)
from plait.model.json import JsonValue
from tests.unit.expression.making import template

PLENTY = 400


def chained(value: JsonValue, start: JsonValue) -> OverBudget:
    """Return how it ends when each rendered value is the `p` of the next."""
    render = template(value).render
    try:
        for _ in range(PLENTY):
            start = render({"p": start})
    except OverBudget as error:
        return error
    pytest.fail(f"{PLENTY} steps were rendered")


def deep(levels: int) -> JsonValue:
    """Return lists in lists, so many of them."""
    value: JsonValue = []
    for _ in range(levels - 1):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "pointer"),
    [
        ("${p}${p}", ""),
        ("<${p} and ${p}>", ""),
        ("é${p}${p}", ""),
        (["${p}", "${p}"], "/1"),
        ({"a": "${p}", "b": "${p}"}, "/b"),
        ({"a": ["${p}"], "b": {"c": "${p}"}}, "/b/c"),
        ({"a": "${p}", "b": 7, "c": "${p}"}, "/c"),
        (["${p}"] * PARTS_AT_ONCE, "/1"),
        (["${p}"] * (PARTS_AT_ONCE + 1), "/2"),
    ],
)
def test_a_value_that_doubles_from_step_to_step_is_refused_in_time(
    value: JsonValue, pointer: str
) -> None:
    error = chained(value, "a text of some length" * 1_000)
    assert "would have more than 32 MB" in error.message
    assert (error.code, error.expression) == ("expression.budget", "p")
    assert error.place.pointer == pointer


@pytest.mark.parametrize(
    "value",
    [{"a": "${p}"}, ["${p}"], {"a": "${p}", "b": 1}, {"a": [0, {"b": "${p}"}]}, "${[p]}"],
)
def test_a_value_that_is_wrapped_from_step_to_step_is_refused_in_time(
    value: JsonValue,
) -> None:
    error = chained(value, [[]])
    assert f"nested more than {VALUE_DEPTH_MAX} levels deep" in error.message
    assert error.code == "expression.budget"


@pytest.mark.parametrize(
    ("value", "levels"),
    [({"a": "${p}"}, 1), ({"a": "${n}", "b": ["${p}"]}, 2), (["${p}", *["${n}"] * 9], 1)],
)
def test_a_value_is_as_deep_as_is_allowed_and_no_deeper(
    value: JsonValue, levels: int
) -> None:
    render, below = template(value).render, deep(VALUE_DEPTH_MAX - levels)
    assert render({"p": below, "n": 1})
    with pytest.raises(OverBudget, match="levels deep") as caught:
        render({"p": [below], "n": 1})
    assert caught.value.expression == "p"


@pytest.mark.parametrize("odd", [2**70, "\ud800"])
def test_what_orjson_does_not_write_is_weighed_too(odd: JsonValue) -> None:
    weigh([odd, deep(VALUE_DEPTH_MAX - 1)])
    with pytest.raises(TooHeavy, match="levels deep"):
        weigh([odd, deep(VALUE_DEPTH_MAX)])
    with pytest.raises(TooHeavy, match="32 MB"):
        weigh([odd, "x" * VALUE_BYTES_MAX])
    assert "levels deep" in chained({"a": "${p}", "b": odd}, []).message


def test_a_value_deeper_than_any_stack_is_refused() -> None:
    with pytest.raises(OverBudget, match="levels deep"):
        template({"a": "${p}"}).render({"p": deep(100_000)})


@pytest.mark.parametrize("letter", ["a", "é"])
def test_a_text_is_as_large_as_is_allowed_and_no_larger(letter: str) -> None:
    bytes_of_letter = len(letter.encode())
    fitting = letter * (VALUE_BYTES_MAX // bytes_of_letter - 1) + "b" * (
        bytes_of_letter - 1
    )
    for text in ("x${p}", "${p}x", "${e}${p}x"):
        rendered = template(text).render({"p": fitting, "e": ""})
        assert len(str(rendered).encode()) == VALUE_BYTES_MAX
        with pytest.raises(OverBudget, match="the text around it"):
            template(text).render({"p": fitting + "b", "e": ""})


def test_a_list_is_as_large_as_is_allowed_and_no_larger() -> None:
    made = template(["${p}", "${n}"])
    fitting = "x" * (VALUE_BYTES_MAX - len('["",1]'))
    assert made.render({"p": fitting, "n": 1}) == [fitting, 1]
    with pytest.raises(OverBudget, match="the list or object around it"):
        made.render({"p": fitting + "x", "n": 1})


def test_a_value_that_is_passed_on_as_it_is_may_be_of_any_size() -> None:
    large = ["x" * VALUE_BYTES_MAX, deep(200)]
    assert template("${p}").render({"p": large}) is large


def test_a_value_inside_a_structure_is_the_same_object_and_no_copy() -> None:
    shared: JsonValue = {"k": [1, 2]}
    values: list[JsonValue] = [["${p}"], ["${p}", "${p}"], [["${p}"]], [*["${p}"] * 9]]
    for value in values:
        rendered = template(value).render({"p": shared})
        while isinstance(rendered, list):
            rendered = rendered[0]
        assert rendered is shared
