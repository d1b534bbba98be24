"""Names are lifted out of expressions, and nothing else is."""

from __future__ import annotations

import pytest

from plait.expression.lift import Slot, lift
from tests.unit.expression.making import findings, value_of


@pytest.mark.parametrize(
    ("expression", "text", "paths"),
    [
        ("a.b == c", "v0 == v1", [("a", "b"), ("c",)]),
        ("a.b + a.b", "v0 + v0", [("a", "b")]),
        ("a['b'][0].c", "v0", [("a", "b", 0, "c")]),
        ("a[b.c].d", "v0[v1].d", [("a",), ("b", "c")]),
        ("a.b.size()", "v0.size()", [("a", "b")]),
        ("size(a.b)", "size(v0)", [("a", "b")]),
        ("a.?b.c", "v0.?b.c", [("a",)]),
        ("a[?0]", "v0[?0]", [("a",)]),
        ("math.abs(math.x)", "math.abs(v0)", [("math", "x")]),
        ("type(a) == list", "type(v0) == list", [("a",)]),
        ("list.x == list", "v0 == list", [("list", "x")]),
        ("package.x || import", "v0 || v1", [("package", "x"), ("import",)]),
        ("true in a", "true in v0", [("a",)]),
        ("{a: 'a'}", "{v0: 'a'}", [("a",)]),
        ("r'a.b' + 'a.b' // a.b", "r'a.b' + 'a.b' // a.b", []),
        ("xs.map(x, x.y + a.y)", "v0.map(v1, v1.y + v2)", [("xs",), ("x",), ("a", "y")]),
        ("x.y + xs.map(x, x.y)", "v0.y + v1.map(v0, v0.y)", [("x",), ("xs",)]),
        ("cel.bind(u, a.b, u.c)", "cel.bind(v0, v1, v0.c)", [("u",), ("a", "b")]),
        (
            "type(a) == google.protobuf.Duration",
            "type(v0) == google.protobuf.Duration",
            [("a",)],
        ),
        (
            "google.protobuf.Int64Value{value: a}",
            "google.protobuf.Int64Value{value: v0}",
            [("a",)],
        ),
    ],
)
def test_names_become_slots(
    expression: str, text: str, paths: list[tuple[str | int, ...]]
) -> None:
    lifted = lift(expression)
    assert lifted.text == text
    assert [slot.path for slot in lifted.slots] == paths


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("has(a.b.c)", "v0"),
        ("!has( a.b )", "!v0"),
        ("has(a[0].b) ? 1 : 2", "v0 ? 1 : 2"),
    ],
)
def test_has_becomes_a_slot_that_holds_the_answer(expression: str, text: str) -> None:
    lifted = lift(expression)
    assert lifted.text == text
    assert lifted.slots[0].asks_has


@pytest.mark.parametrize("expression", ["has(a)", "has(a[0])", "has(a.b())", "has(1.x)"])
def test_a_has_that_cel_would_refuse_is_left_for_it_to_refuse(expression: str) -> None:
    lifted = lift(expression)
    assert lifted.text.startswith("has(")
    assert not any(slot.asks_has for slot in lifted.slots)


def test_has_of_a_name_that_a_macro_introduces_is_left_to_cel() -> None:
    assert lift("xs.filter(x, has(x.y))").text == "v0.filter(v1, has(v1.y))"


def test_expressions_that_differ_in_names_only_lift_to_the_same_text() -> None:
    first, second = lift("a.b.c == false && d > 1"), lift("xx.y == false && zz > 1")
    assert first.text == second.text
    assert first.slots != second.slots


def test_every_character_is_found_again_in_the_original() -> None:
    expression = "first.name + second.name  == third"
    lifted = lift(expression)
    for word in ("first", "+", "second", "==", "third"):
        slot = next((s for s in lifted.slots if s.path[0] == word), None)
        name = word if slot is None else f"v{lifted.slots.index(slot)}"
        found = lifted.original_offset(lifted.text.index(name))
        assert found == expression.index(word)


def test_the_same_path_read_and_asked_for_takes_two_slots() -> None:
    assert lift("has(a.b) && a.b").slots == (Slot(("a", "b"), True), Slot(("a", "b")))


@pytest.mark.parametrize("expression", ["a[0]0", "a[0]b", "a.`b`1", "has(a.b)c", "1ua"])
def test_a_slot_does_not_grow_together_with_what_is_beside_it(expression: str) -> None:
    # `v1` and `0` would be `v10`, which is another slot.
    many = ", ".join(f"n{number}" for number in range(9))
    (found,) = findings("${[x, " + many + f", y, {expression}]}}")
    assert found.code == "E004"


@pytest.mark.parametrize(
    "expression", [".v0", "[.v0][0]", "v1 + .v0 - v1", "1 in .vs ? .v0 : 0", "-.v0 * -1"]
)
def test_a_name_with_a_leading_dot_is_that_name(expression: str) -> None:
    # Left as it was, `.v0` would be the slot of that number.
    assert value_of(expression, v0=7, v1=3, vs=[1]) == 7
