"""Every function that is offered works, and what is not listed is not offered."""

from __future__ import annotations

import pytest

from plait.expression import FUNCTIONS
from plait.expression.catalogue import NAMES, OTHER_NAMES
from plait.model.json import JsonValue
from tests.unit.expression.making import NAME, findings, value_of

T = "timestamp('2024-02-29T13:14:15.016Z')"
EXAMPLES: dict[str, tuple[str, JsonValue]] = {
    "has": ("has(m.a) && !has(m.z)", True),
    "optional.of": ("optional.of(1).orValue(2)", 1),
    "optional.none": ("optional.none().orValue(2)", 2),
    "optional.ofNonZeroValue": ("optional.ofNonZeroValue(0).orValue(2)", 2),
    "hasValue": ("m.?z.hasValue()", False),
    "value": ("m.?a.value()", 1),
    "or": ("m.?z.or(m.?a).value()", 1),
    "orValue": ("m.?z.orValue('x')", "x"),
    "optMap": ("m.?a.optMap(v, v + 1).value()", 2),
    "optFlatMap": ("m.?b.optFlatMap(v, v.?c).value()", 3),
    "size": ("size(xs) + m.size() + size('日本') + size(b'abc')", 10),
    "all": ("xs.all(x, x > 0)", True),
    "exists": ("xs.exists(x, x > 2)", True),
    "exists_one": ("xs.exists_one(x, x > 1)", False),
    "filter": ("xs.filter(x, x > 1)", [3, 2]),
    "map": ("xs.map(x, x * 2)", [6, 2, 4]),
    "sort": ("xs.sort()", [1, 2, 3]),
    "sortBy": ("xs.sortBy(x, -x)", [3, 2, 1]),
    "distinct": ("[1, 1, 2, 1].distinct()", [1, 2]),
    "flatten": ("[[1], [[2]]].flatten()", [1, [2]]),
    "reverse": ("xs.reverse()", [2, 1, 3]),
    "slice": ("xs.slice(1, 3)", [1, 2]),
    "first": ("xs.first().value()", 3),
    "last": ("[].last().orValue(0)", 0),
    "join": ("['a', 'b'].join('-')", "a-b"),
    "contains": ("'abc'.contains('b')", True),
    "startsWith": ("'abc'.startsWith('a')", True),
    "endsWith": ("'abc'.endsWith('c')", True),
    "matches": ("'abc'.matches('^a.c$')", True),
    "charAt": ("'日本'.charAt(1)", "本"),
    "indexOf": ("'abcb'.indexOf('b')", 1),
    "lastIndexOf": ("'abcb'.lastIndexOf('b')", 3),
    "lowerAscii": ("'AbÉ'.lowerAscii()", "abÉ"),
    "upperAscii": ("'aé'.upperAscii()", "Aé"),
    "replace": ("'a-b-c'.replace('-', '+')", "a+b+c"),
    "split": ("'a,b'.split(',')", ["a", "b"]),
    "substring": ("'abcd'.substring(1, 3)", "bc"),
    "trim": ("' a\\n'.trim()", "a"),
    "format": ("'%s %d %.2f %s'.format(['a', 1, 1.5, m])", "a 1 1.50 {a: 1, b: {c: 3}}"),
    "strings.quote": ("strings.quote('a\"')", '"a\\""'),
    "base64.encode": ("base64.encode(bytes('a:b'))", "YTpi"),
    "base64.decode": ("string(base64.decode('YTpi'))", "a:b"),
    "math.greatest": ("math.greatest(1, 3, 2)", 3),
    "math.least": ("math.least(xs)", 1),
    "math.abs": ("math.abs(-2)", 2),
    "math.sign": ("math.sign(-2.5)", -1.0),
    "math.ceil": ("math.ceil(1.2)", 2.0),
    "math.floor": ("math.floor(-1.2)", -2.0),
    "math.round": ("math.round(1.5)", 2.0),
    "math.trunc": ("math.trunc(-1.9)", -1.0),
    "math.sqrt": ("math.sqrt(4)", 2.0),
    "math.isNaN": ("math.isNaN(0.0 / 0.0)", True),
    "math.isInf": ("math.isInf(1.0 / 0.0)", True),
    "math.isFinite": ("math.isFinite(1.0)", True),
    "math.bitAnd": ("math.bitAnd(6, 3)", 2),
    "math.bitOr": ("math.bitOr(6, 3)", 7),
    "math.bitXor": ("math.bitXor(6, 3)", 5),
    "math.bitNot": ("math.bitNot(0)", -1),
    "math.bitShiftLeft": ("math.bitShiftLeft(1, 3)", 8),
    "math.bitShiftRight": ("math.bitShiftRight(8, 3)", 1),
    "int": ("int('7') + int(1.9)", 8),
    "uint": ("uint('7')", 7),
    "double": ("double('1.5') + double(1)", 2.5),
    "string": ("string(1.5) + string(true)", "1.5true"),
    "bytes": ("bytes('ab')", "YWI="),
    "bool": ("bool('true')", True),
    "type": ("type(xs) == list && type(m) == map && type(1) == int", True),
    "dyn": ("dyn(1) == 1.0", True),
    "timestamp": ("timestamp('2024-01-01T00:00:00Z') > timestamp(0)", True),
    "duration": ("duration('1m') + duration('30s')", "90s"),
    "getFullYear": (f"{T}.getFullYear()", 2024),
    "getMonth": (f"{T}.getMonth()", 1),
    "getDate": (f"{T}.getDate()", 29),
    "getDayOfMonth": (f"{T}.getDayOfMonth()", 28),
    "getDayOfWeek": (f"{T}.getDayOfWeek()", 4),
    "getDayOfYear": (f"{T}.getDayOfYear()", 59),
    "getHours": (f"{T}.getHours('+02:00')", 15),
    "getMinutes": (f"{T}.getMinutes()", 14),
    "getSeconds": (f"{T}.getSeconds()", 15),
    "getMilliseconds": (f"{T}.getMilliseconds()", 16),
    "uuid": ("uuid(execution, 'pay')", "8f99bff3-96b9-54bf-b91b-55216d783db6"),
    "cel.bind": ("cel.bind(x, 1 + 1, x * x)", 4),
}


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_function_that_is_listed_does_what_it_says(name: str) -> None:
    expression, value = EXAMPLES[name]
    assert name.rpartition(".")[2] in expression
    names: dict[str, JsonValue] = {
        "m": {"b": {"c": 3}, "a": 1},
        "xs": [3, 1, 2],
        "execution": {"id": "run-1", "attempt": None},
    }
    assert value_of(expression, **names) == value


def test_there_is_an_example_for_every_function_and_no_other() -> None:
    assert set(EXAMPLES) == NAMES
    assert len(FUNCTIONS) == len(NAMES)


@pytest.mark.parametrize(
    "expression",
    ["lists.range(3)", "sets.contains(a, b)", "proto.getExt(a, b)", "env('A')"],
)
def test_what_is_not_listed_is_refused(expression: str) -> None:
    assert [found.code for found in findings(NAME % expression)] == ["E005"]


def test_a_name_of_another_language_leads_to_one_that_is_listed() -> None:
    for here in OTHER_NAMES.values():
        assert here.partition("(")[0] in NAMES


def test_a_function_that_is_left_out_on_purpose_is_refused_by_its_tree() -> None:
    (found,) = findings("${[1].map(x, lists . range(x))}")
    assert found.code == "E005"
