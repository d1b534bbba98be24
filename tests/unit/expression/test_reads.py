"""The names that an expression reads are exact."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait.expression import Read
from plait.expression.reads import Need, Seen, pruned
from plait.model.json import JsonValue
from tests.unit.expression.making import JSON, NAME, template


@pytest.mark.parametrize(
    ("expression", "reads"),
    [
        ("user", [("user",)]),
        ("user.response.items[0].sku", [("user", "response", "items", 0, "sku")]),
        ('user["response"].id', [("user", "response", "id")]),
        ("a.b + a.b + a.c", [("a", "b"), ("a", "c")]),
        ("1 + 2", []),
        ("has(a.b.c)", [("a", "b", "c")]),
        ("x.?y", [("x", "y")]),
        ("x.?y.z[?1]", [("x", "y", "z", 1)]),
        ("x.?y.optMap(v, v.z + w)", [("w",), ("x", "y")]),
        ("a[b.c].d", [("a",), ("b", "c")]),
        ("a[-1]", [("a",)]),
        ("a['it\\'s'].b", [("a", "it's", "b")]),
        ("items.map(i, i.price * rate.eur)", [("items",), ("rate", "eur")]),
        ("a.items.exists(x, x.lines.all(l, l.sku == x.sku))", [("a", "items")]),
        ("x.y + xs.map(x, x.z)[0]", [("x", "y"), ("xs",)]),
        ("xs.map(x, xs.map(x, x.a))", [("xs",)]),
        ("xs.map(xs, xs.a)", [("xs",)]),
        ("cel.bind(u, user.response, u.name)", [("user", "response")]),
        ("uuid(execution, a.b)", [("a", "b"), ("execution", "id")]),
        ("size(a.b) > 0 ? a.b[0] : null", [("a", "b"), ("a", "b", 0)]),
        ("{k: 1, 'l': m}", [("k",), ("m",)]),
        ("type(a) == list", [("a",)]),
        ("'a.b ${c}'", []),
    ],
)
def test_an_expression_reads_these_paths(expression: str, reads: list[Read]) -> None:
    assert template(NAME % expression).reads == tuple(reads)


def test_the_reads_of_a_template_are_those_of_all_its_expressions_once() -> None:
    value: JsonValue = {"a": ["${x.y}", {"b": "${z} and ${x.y}"}], "c": "${1 + q}"}
    assert template(value).reads == (("q",), ("x", "y"), ("z",))


@pytest.mark.parametrize(
    ("value", "need", "kept"),
    [
        ({"a": 1, "b": 2}, {"a": Seen.WHOLE}, {"a": 1}),
        ({"a": {"b": [1]}}, {"a": Seen.SHAPE}, {"a": {"b": None}}),
        ({"a": None}, {"a": {"b": Seen.WHOLE}}, {"a": None}),
        ({"b": 1}, {"a": Seen.WHOLE}, {}),
        ([1, 2, 3], {1: Seen.WHOLE}, [None, 2]),
        ([1], {4: Seen.WHOLE}, [None]),
        ([1, 2], {"a": Seen.WHOLE}, []),
        ("text", {"a": Seen.WHOLE}, "text"),
        ([[1], 2], Seen.SHAPE, [None, None]),
    ],
)
def test_a_value_is_pruned_to_what_is_seen(
    value: JsonValue, need: Need, kept: JsonValue
) -> None:
    assert pruned(value, need) == kept


@given(
    JSON,
    st.recursive(
        st.sampled_from(Seen),
        lambda n: st.dictionaries(
            st.one_of(st.sampled_from(["a", "b", "0"]), st.integers(0, 3)), n, max_size=3
        ),
    ),
)
def test_pruning_twice_changes_nothing_more(value: JsonValue, need: Need) -> None:
    once = pruned(value, need)
    assert pruned(once, need) == once
