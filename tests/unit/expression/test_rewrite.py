"""Loops give what CEL says they give, ordered and in time."""

from __future__ import annotations

import pytest

from plait.expression import ExpressionError
from plait.expression.engine import program_of
from plait.expression.rewrite import rewritten
from plait.expression.syntax import EMPTY, Items, Loop, nodes_of
from plait.model.json import JsonValue
from tests.unit.expression import cel_itself
from tests.unit.expression.making import value_of

LISTS = [
    "xs.map(x, x * 2)",
    "xs.filter(x, x % 3 == 0)",
    "xs.map(x, x > 70, [x])",
    "xs.map(x, [x, [x]])",
    "xs.map(x, xs.filter(y, y < 3).map(z, [x, z]))",
    "xs.filter(x, x > 1).map(x, x + 1).filter(x, x < 5)",
    "[3, 1, 2].map(x, xs[x])",
    "(xs + [1]).map(x, x)",
    "xs.map(x, [x]).flatten()",
    "xs.sortBy(x, -x)",
    "xs.exists_one(x, x == 5)",
    "xs.all(x, x >= 0) && xs.exists(x, x == 70)",
    "cel.bind(y, xs, y.map(x, x))",
    "xs.map(x, 10 / x)",
    "xs.map(x, cel.bind(y, x + 1, y * y))",
    "dyn(5).map(x, x)",
    "'abc'.split('').map(c, c + '!')",
]


@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 128, 129, 200])
@pytest.mark.parametrize("expression", LISTS)
def test_loops_over_lists_give_what_the_library_gives(expression: str, size: int) -> None:
    xs: JsonValue = list(range(size))
    expected = cel_itself.evaluate(expression, {"xs": xs})
    assert _outcome(expression, xs) == expected


def _outcome(expression: str, xs: JsonValue) -> object:
    try:
        return value_of(expression, xs=xs)
    except ExpressionError:
        return cel_itself.FAILED


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("m.map(k, k)", ["a", "b", "c"]),
        ("m.map(k, m[k])", [1, 2, 3]),
        ("m.filter(k, m[k] > 1)", ["b", "c"]),
        ("m.all(k, k < 'd')", True),
        ("m.exists_one(k, k == 'b')", True),
        ("{'z': 1, 'y': 2}.map(k, k)", ["y", "z"]),
        ("{10: 'a', 9: 'b'}.map(k, k)", [9, 10]),
        ("{'b': 1, 1: 2, true: 3, 'a': 4}.map(k, k)", [1, True, "a", "b"]),
        ("{w: 1, 'a': 2}.map(k, k)", ["a", "q"]),
        ("(true ? m : {}).map(k, k)", ["a", "b", "c"]),
        ("[m].map(x, x.map(k, k))", [["a", "b", "c"]]),
    ],
)
def test_loops_over_objects_go_in_the_order_of_the_keys(
    expression: str, value: JsonValue
) -> None:
    names: dict[str, JsonValue] = {"m": {"c": 3, "a": 1, "b": 2}, "w": "q"}
    assert value_of(expression, **names) == value


def test_an_object_of_many_keys_is_walked_in_order() -> None:
    m: JsonValue = {f"k{n:04}": n for n in reversed(range(4_900))}
    assert value_of("m.map(k, m[k])", m=m) == list(range(4_900))


def test_five_thousand_items_are_filtered_and_mapped() -> None:
    items: JsonValue = [{"n": n, "ok": n % 2 == 0} for n in range(5_000)]
    assert value_of("items.filter(i, i.ok).map(i, i.n)", items=items) == list(
        range(0, 5_000, 2)
    )


def test_no_list_under_construction_is_copied_as_a_whole() -> None:
    tree = program_of("v0.map(x, v0.filter(y, y > x)).map(z, size(z) > 1, z)", 1).tree
    before = [n for n in nodes_of(tree) if isinstance(n, Loop) and n.builds_list]
    after = [n for n in nodes_of(rewritten(tree)) if isinstance(n, Loop)]
    assert len(before) == 3
    assert not any(loop.builds_list for loop in after)
    assert sum(loop.start == Items((EMPTY, EMPTY)) for loop in after) >= 3
