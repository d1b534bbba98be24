"""Failures have stable codes, name paths and keys, and never show values."""

from __future__ import annotations

import pytest

from plait.expression import ExpressionError
from plait.expression.faults import fault_of
from plait.model.errors import Advice
from plait.model.json import JsonValue
from tests.unit.expression.making import NAME, at, template, value_of

CANARY = "kX9-canary"
NAMES: dict[str, JsonValue] = {
    "user": {"name": CANARY, "items": [{"sku": CANARY, "n": 1}, {"n": 2}], "none": None},
    "n": 7,
    "d": 1.5,
    "t": CANARY,
    "b": True,
}


@pytest.mark.parametrize(
    ("expression", "code", "message"),
    [
        (
            "user.nmae == 1",
            "no_such_key",
            "user.nmae: no key 'nmae' (did you mean 'name'?)",
        ),
        ("usr.x == 1", "no_such_key", "usr: no name 'usr' (did you mean 'user'?)"),
        ("has(user.zz.a)", "no_such_key", "user.zz: no key 'zz'"),
        ("user.items.map(i, i.sku)", "no_such_key", "user.items[1].sku: no key 'sku'"),
        ("user.items[1].sku + t", "no_such_key", "user.items[1].sku: no key 'sku'"),
        ("cel.bind(u, user, u.a)", "no_such_key", "user.a: no key 'a'"),
        ("user.items.filter(i, i.n > 0).map(i, i.zz)", "no_such_key", "has no key 'zz'"),
        ("{'a': user}.b", "no_such_key", "an object has no key 'b'"),
        ("user[t] == 1", "no_such_key", "an object has no such key"),
        ("user.?zz.value()", "no_such_key", "an optional holds nothing"),
        ("user.items[2].n == 1", "no_such_index", "no index 2; the list has 2 elements"),
        ("user.items[n]", "no_such_index", "a list has no such index"),
        ("t.charAt(99)", "no_such_index", "an index is outside the text"),
        ("t.substring(3, 1)", "no_such_index", "an index is outside the text"),
        ("user.items.slice(0, 9)", "no_such_index", "a slice reaches beyond the list"),
        ("t.indexOf('x', 99)", "no_such_index", "an index is out of range"),
        ("user.none.x == 1", "type", "user.none.x: no key 'x'; user.none is null"),
        ("has(user.none.x)", "type", "user.none: has() needs an object"),
        ("user.?none.x", "type", "user.none.x: no key 'x'; user.none is null"),
        ("t + n", "type", "'+' does not take (string, int)"),
        ("n > t", "type", "'>' does not take (int, string)"),
        ("t && b", "type", "'&&' needs values that are true or false"),
        ("!n", "type", "'!' needs values that are true or false"),
        ("n ? 1 : 2", "type", "what stands before '?' is neither true nor false"),
        ("n.map(x, x)", "type", "a loop needs a list or an object"),
        ("n[0] == 1", "type", "n[0]: no index 0; n is an integer"),
        ("[n][t]", "type", "the index of a list must be an integer"),
        ("d in n", "type", "'in' needs a list or an object behind it"),
        ("[n].join(',')", "type", "'join' does not suit what it is given: list.join("),
        ("size(n)", "type", "'size' does not take (int)"),
        ("d.join(',')", "type", "'join' does not take (double, string)"),
        ("[1, t].sort()", "type", "only values of one type can be sorted"),
        ("{t: 1, user.name: 2}", "type", "an object is given the same key twice"),
        ("{d: 1}", "type", "the key of an object must be text"),
        ("uuid(user, t)", "no_such_key", "an object has no"),
        ("uuid(n, t)", "type", "'uuid' does not take (int, string)"),
        ("uuid(t, n)", "type", "'uuid' does not take (string, int)"),
        ("n / (n - 7)", "divide_by_zero", "an integer is divided by zero"),
        ("n % (n - 7)", "divide_by_zero", "the remainder of a division by zero"),
        ("9223372036854775807 + n", "overflow", "an integer is out of range"),
        ("int(d * 1e300)", "overflow", "a double is out of the range of an integer"),
        ("uint(-n)", "overflow", "an integer is out of the range of uint"),
        ("0u - uint(n)", "overflow", "an unsigned integer is out of range"),
        ("timestamp(9999999999999 * n)", "overflow", "a time is out of range"),
        ("duration('99999999999h')", "overflow", "a duration is out of range"),
        ("int(t)", "bad_text", "text cannot be read as a number"),
        ("double(t)", "bad_text", "text cannot be read as a number"),
        ("bool(t)", "bad_text", "text cannot be read as a boolean"),
        ("timestamp(t)", "bad_text", "text cannot be read as a time (RFC 3339)"),
        ("duration(t)", "bad_text", "text cannot be read as a duration"),
        ("t.matches('(')", "bad_text", "the pattern is not a valid RE2 pattern"),
        ("timestamp(n).getHours(t)", "bad_text", "there is no such time zone"),
        ("base64.decode(t)", "bad_text", "text is no base64"),
        ("string(b'\\xff')", "bad_text", "bytes are no text"),
        ("'%d'.format([t])", "bad_text", "a format does not suit its value"),
        ("'%s'.format([])", "bad_text", "a format asks for more values than it is given"),
        ("'%q'.format([t])", "bad_text", "a format is not valid"),
        ("'%.9999f'.format([d])", "bad_text", "a format has too large a precision"),
    ],
)
def test_a_failure_has_its_code_and_says_what_was_wrong(
    expression: str, code: str, message: str
) -> None:
    with pytest.raises(ExpressionError) as caught:
        value_of(expression, **NAMES)
    assert caught.value.code == f"expression.{code}"
    assert message in caught.value.message
    assert CANARY not in str(caught.value)
    assert CANARY not in str(caught.value.failure())


def test_a_failure_is_data_that_no_retry_policy_retries() -> None:
    with pytest.raises(ExpressionError) as caught:
        template({"a": NAME % "user.nmae == 1"}).render(NAMES)
    failure = caught.value.failure()
    assert failure.advice is Advice.FIX_REQUEST
    assert failure.place == at("/a")._replace(column=7)
    assert not failure.sent
    assert failure.details == {"expression": "user.nmae == 1", "path": "user.nmae"}
    assert failure.as_json()["code"] == "expression.no_such_key"


def test_a_message_begins_with_the_expression_shortened_when_it_is_long() -> None:
    expression = "user.name == '" + "x" * 200 + "' || int(t) > 1"
    with pytest.raises(ExpressionError) as caught:
        value_of(expression, **NAMES)
    shown = caught.value.message.partition("}: ")[0]
    assert len(shown) == len("${") + 120
    assert shown.endswith("x…")
    assert caught.value.expression == expression


@pytest.mark.parametrize(
    "text",
    [
        'NOT_FOUND: Key not found in map : "divide by zero"',
        "INVALID_ARGUMENT: invalid regular expression: integer overflow",
        "UNKNOWN: something that no version has said yet: " + CANARY,
    ],
)
def test_values_in_the_librarys_text_neither_show_nor_mislead(text: str) -> None:
    fault = fault_of(text)
    assert fault.error.code in (
        "expression.no_such_key",
        "expression.bad_text",
        "expression.failed",
    )
    assert CANARY not in fault.message
