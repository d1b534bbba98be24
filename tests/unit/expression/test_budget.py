"""What might take long is refused before it begins; what people write is not."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plait.expression import ExpressionError, OverBudget
from plait.expression.budget import LIMIT_NS, TooMuch, check_budget, free_nodes, work_of
from plait.expression.engine import program_of
from plait.expression.lift import lift
from plait.model.json import JsonValue
from tests.unit.expression.making import JSON, value_of

COUNT = 5_000
NUMBERS: JsonValue = list(range(COUNT))
WORDS: JsonValue = [f"name{number}" for number in range(COUNT)]
ITEMS: JsonValue = [
    {
        "id": number,
        "price": number * 1.5,
        "sku": f"sku-{number}",
        "name": f"thing {number}",
        "ok": number % 2 == 0,
    }
    for number in range(COUNT)
]
ORDERS: JsonValue = [
    {"id": f"o{number}", "lines": [{"sku": f"s{number}"}, {"sku": "x"}]}
    for number in range(3_000)
]


@pytest.mark.parametrize(
    "expression",
    [
        "items.filter(i, i.ok)",
        "items.map(i, {'sku': i.sku, 'price': i.price * 2.0})",
        "items.filter(i, i.ok && i.price > 10.0).map(i, i.sku)",
        "items.filter(i, i.sku in ['sku-1', 'sku-2', 'sku-3'])",
        "items.filter(i, i.name.contains('9')).size() > 3",
        "items.exists(i, i.sku == 'nothing')",
        "items.slice(0, 4900).sortBy(i, -i.price).map(i, i.sku)",
        "items.map(i, i.sku).distinct().size()",
        "items.map(i, i.name.split(' ')[1])",
        "items.map(i, '%s: %s'.format([i.sku, i.name]))",
        "items.map(i, i.?price.orValue(0.0))",
        "orders.map(o, o.lines.map(l, l.sku + o.id))",
        "orders.filter(o, o.lines.exists(l, l.sku == o.id || l.sku == 'x'))",
        "words.filter(w, w.matches('^name[0-9]+$'))",
        "words.join(',').split(',').size()",
        "text.replace('&', '&amp;').replace('<', '&lt;').replace('>', '&gt;')",
        "items == null ? 'none' : 'some'",
        "size(items) > 0 ? items[0].sku : ''",
    ],
)
def test_ordinary_work_on_thousands_of_items_is_done(expression: str) -> None:
    text = "a & b <c> " * 3_000
    value = value_of(expression, items=ITEMS, orders=ORDERS, words=WORDS, text=text)
    assert value not in (None, [], "")


@pytest.mark.parametrize(
    "expression",
    [
        "xs.map(x, xs.map(y, xs.map(z, x + y + z)))",
        "xs.all(x, !xs.exists(y, y == x + 10000))",
        "xs.all(x, !(x + 10000 in xs))",
        "xs.all(x, xs == ys)",
        "xs.map(x, xs)",
        "xs.map(x, xs + ys)",
        "xs.map(x, xs.sort())",
        "xs.map(x, xs.reverse())",
        "xs.map(x, {'a': x}).distinct()",
        "xs.map(x, text)",
        "xs.map(x, text + string(x)).join('')",
        "xs.map(x, text.lowerAscii()).size()",
        "xs.all(x, text.contains('b' + string(x)))",
        "text.replace('a', text).size()",
        "text.replace('', text)",
        "text.split('').map(c, text).join('')",
        "words.join(text)",
        "'a'" + ".replace('a', 'aaaaaaaaaaaaaaaaaaaa')" * 8,
        "cel.bind(a, text + text, cel.bind(b, a + a + a, b + b + b)).contains(text)",
        "text.contains(text.substring(1) + 'b')",
        "words.all(w, !w.matches(pattern))",
        "words.all(w, !w.matches('^' + pattern))",
        "'abc'.matches('a{1,900}a{1,900}a{1,900}a{1,900}a{1,900}a{1,900}a{1,900}')",
        "words.map(w, '%.900f'.format([1.0]))",
        "words.map(w, words.map(v, uuid(w, v)))",
    ],
)
def test_hostile_work_is_refused(expression: str) -> None:
    names: dict[str, JsonValue] = {
        "xs": NUMBERS,
        "ys": [*range(COUNT - 1), 0],
        "words": WORDS,
        "text": "a" * 100_000,
        "pattern": "(abc){1,50}" * 20,
    }
    with pytest.raises(OverBudget):
        value_of(expression, **names)


def test_more_rounds_of_loops_than_the_library_allows_are_over_budget() -> None:
    value = value_of("xs.map(x, xs.map(y, y)).size()", xs=list(range(99)))
    assert value == 99
    with pytest.raises(OverBudget, match="10,000"):
        value_of("xs.map(x, xs.map(y, y)).size()", xs=list(range(100)))


def test_a_value_too_large_for_an_expression_still_passes_as_a_plain_path() -> None:
    large: JsonValue = [ITEMS] * 10
    with pytest.raises(OverBudget):
        value_of("true ? x.y : null", x={"y": large})
    assert value_of("x.y", x={"y": large}) is large


@pytest.mark.parametrize(
    ("expression", "nodes_min"),
    [
        ("v0 == false", 65_536),
        ("v0 > 1 && v1 != 'x'", 65_536),
        ("v0.filter(x, x.ok)", 4_096),
        ("v0.map(x, v0.map(y, y))", 16),
    ],
)
def test_small_values_need_no_estimate(expression: str, nodes_min: int) -> None:
    assert free_nodes(program_of(expression, 3).tree) >= nodes_min


def test_an_expression_that_is_heavy_by_itself_is_never_free() -> None:
    heavy = "'a'" + ".replace('a', 'aaaaaaaaaaaaaaaaaaaa')" * 8
    assert free_nodes(program_of(heavy, 0).tree) == -1


def test_the_work_grows_with_the_values_and_is_the_same_every_time() -> None:
    tree = program_of("v0.map(x, x in v1)", 2).tree
    small = work_of(tree, {"v0": [1, 2], "v1": [1]})[0]
    large = work_of(tree, {"v0": list(range(500)), "v1": list(range(100))})[0]
    assert small * 50 < large < LIMIT_NS
    assert work_of(tree, {"v0": [1, 2], "v1": [1]})[0] == small
    with pytest.raises(TooMuch):
        check_budget(tree, {"v0": list(range(9_000)), "v1": list(range(9_000))})


GROWING = [
    "[a, b, [a]]",
    "{'k': a, 'l': [b, b]}",
    "a + b",
    "a.map(x, [x, b])",
    "a.filter(x, x != b)",
    "a.map(x, a.map(y, [x, y]))",
    "a.map(x, x.map(y, [y, x]))",
    "a.sort()",
    "a.distinct()",
    "a.flatten()",
    "a.first().orValue(b)",
    "a.map(x, b).flatten()",
    "a.filter(x, true).map(x, x)[0]",
    "string(a) + string(b)",
    "a.replace('a', b)",
    "a.replace('', b)",
    "a.split('')",
    "a.split('a').join(b)",
    "a.map(x, string(x)).join(b)",
    "'%s and %s'.format([a, b])",
    "'%.50f'.format([a])",
    "strings.quote(a)",
    "base64.encode(bytes(a))",
    "a.reverse()",
    "cel.bind(x, [a, a], [x, x])",
    "a.?a.orValue([b, b])",
    "a.map(k, [k, b])",
    "a == b ? [a, b] : b",
    "a.sortBy(x, x)",
    "[a, a].map(x, x.map(y, b))",
]


@pytest.mark.slow
@given(st.sampled_from(GROWING), JSON, JSON)
@settings(max_examples=4 * settings().max_examples)
def test_no_result_is_larger_than_its_bound(
    expression: str, a: JsonValue, b: JsonValue
) -> None:
    try:
        result = value_of(expression, a=a, b=b)
    except ExpressionError:
        return
    lifted = lift(expression)
    named = {"a": a, "b": b}
    values = {f"v{n}": named.get(str(s.path[0])) for n, s in enumerate(lifted.slots)}
    _, bound = work_of(program_of(lifted.text, len(lifted.slots)).tree, values)
    assert _node_count(result) <= bound.nodes
    assert _text_chars(result) <= bound.chars


def _node_count(value: JsonValue) -> int:
    if isinstance(value, dict):
        return 1 + sum(map(_node_count, value.values()))
    return 1 + sum(map(_node_count, value)) if isinstance(value, list) else 1


def _text_chars(value: JsonValue) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(len(key) + _text_chars(item) for key, item in value.items())
    return sum(map(_text_chars, value)) if isinstance(value, list) else 0
