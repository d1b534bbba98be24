"""Values of CEL become JSON."""

from __future__ import annotations

import pytest

from plait.expression.values import Unsupported, container_to_cel, scalar_to_cel
from plait.model.json import JsonValue
from tests.unit.expression.making import value_of


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1u", 1),
        ("18446744073709551615u", 2**64 - 1),
        ("b'\\x00\\xff'", "AP8="),
        ("timestamp('2020-02-29T12:00:00+01:00')", "2020-02-29T11:00:00Z"),
        ("timestamp('2020-01-01T00:00:00.123456789Z')", "2020-01-01T00:00:00.123456789Z"),
        ("duration('90m')", "5400s"),
        ("duration('1.5s')", "1.500s"),
        ("duration('-1ms')", "-0.001s"),
        ("duration('0.000000001s')", "0.000000001s"),
        ("type(1)", "int"),
        ("type([1])", "list"),
        ("type({})", "map"),
        ("type(null)", "null_type"),
        ("[b'a', 1u, duration('1s'), null]", ["YQ==", 1, "1s", None]),
        ("{'b': {'d': null, 'c': 1u}, 'a': b''}", {"a": "", "b": {"c": 1, "d": None}}),
        ("'null'", "null"),
        ("['null', null]", ["null", None]),
        ("google.protobuf.Value{}", None),
    ],
)
def test_each_kind_of_value_has_its_json_form(expression: str, value: JsonValue) -> None:
    assert value_of(expression) == value


def test_objects_come_out_in_the_order_of_their_keys_at_every_depth() -> None:
    value = value_of(
        "{'b': [{'z': 1, 'y': null}], 'a': m}", m={"q": 1, "p": {"d": 1, "c": 2}}
    )
    assert isinstance(value, dict)
    assert list(value) == ["a", "b"]
    assert (
        str(value) == "{'a': {'p': {'c': 2, 'd': 1}, 'q': 1}, 'b': [{'y': None, 'z': 1}]}"
    )


def test_the_size_of_a_container_is_never_underestimated() -> None:
    value: JsonValue = {"a": [1, {"b": "x,y"}], "c": None}
    _, nodes, chars = container_to_cel(value)
    assert nodes >= 6
    assert chars >= 6


def test_a_container_with_a_large_integer_is_passed_as_a_double() -> None:
    value, _, _ = container_to_cel([{"a": 2**70}, 1])
    assert value == [{"a": 2.0**70}, 1]


def test_a_value_that_is_no_json_is_refused() -> None:
    with pytest.raises(Unsupported, match="no JSON"):
        container_to_cel([object()])  # type: ignore[list-item]
    with pytest.raises(Unsupported, match="no text"):
        container_to_cel({1: 2**70})  # type: ignore[dict-item]


def test_scalars_pass_as_they_are() -> None:
    for value in (None, True, 0, 1.5, "é"):
        assert scalar_to_cel(value) is value
