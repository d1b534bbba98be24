"""The input contract: what a schema says of names, types and defaults."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait.drivers.inputs import VIOLATIONS_MAX, Shortened
from plait.gateway.contract import InputContract
from plait.gateway.texts import GivenTwice, list_reader, reader_for, text_reader


def property_reader(schema: Any, *texts: str) -> Any:
    return InputContract({"properties": {"x": schema}}).reader("x")(texts)


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        ({"type": "string"}, "7", "7"),
        ({"type": "integer"}, "7", 7),
        ({"type": "integer"}, "-7", -7),
        ({"type": "integer"}, "07", "07"),
        ({"type": "integer"}, "7.0", "7.0"),
        ({"type": "integer"}, "+7", "+7"),
        ({"type": "integer"}, "1_000", "1_000"),
        ({"type": "integer"}, "٧", "٧"),
        ({"type": "integer"}, "9223372036854775807", 2**63 - 1),
        ({"type": "integer"}, "18446744073709551615", 2**64 - 1),
        ({"type": "integer"}, "18446744073709551616", "18446744073709551616"),
        ({"type": "integer"}, "-9223372036854775809", "-9223372036854775809"),
        ({"type": "number"}, "18446744073709551616", 2.0**64),
        ({"type": "number"}, "7", 7),
        ({"type": "number"}, "-7.5e2", -750.0),
        ({"type": "number"}, "1e999", "1e999"),
        ({"type": "number"}, "NaN", "NaN"),
        ({"type": "number"}, "", ""),
        ({"type": "boolean"}, "true", True),
        ({"type": "boolean"}, "False", "False"),
        ({"type": "null"}, "", None),
        ({"type": ["integer", "null"]}, "null", None),
        ({"type": ["integer", "null"]}, "3", 3),
        ({"type": ["integer", "boolean"]}, "true", True),
        ({"type": ["string", "integer"]}, "3", "3"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "3", 3),
        ({"enum": [1, 2]}, "2", 2),
        ({"const": True}, "true", True),
        ({"type": "object"}, "{}", "{}"),
        ({}, "3", "3"),
        (True, "3", "3"),
    ],
)
def test_a_text_is_read_by_its_type(schema: Any, text: str, value: Any) -> None:
    found = property_reader(schema, text)
    assert (found, type(found)) == (value, type(value))


UUID = "2fbd1e5a-3c0e-4d7a-9a54-1d7a3a1f9e11"
PAGE: Any = {"enum": [1, 2, "all"]}
ID: Any = {"anyOf": [{"type": "integer"}, {"type": "string", "format": "uuid"}]}
IDS: Any = {"oneOf": [{"const": "all"}, {"type": "array", "items": ID}]}


@pytest.mark.parametrize(
    ("schema", "texts", "value"),
    [
        (PAGE, ["1"], 1),
        (PAGE, ["all"], "all"),
        (PAGE, ["3"], "3"),
        ({"anyOf": [{"type": "integer"}, {"const": "max"}]}, ["-5"], -5),
        ({"anyOf": [{"type": "integer"}, {"const": "max"}]}, ["max"], "max"),
        (ID, ["17"], 17),
        (ID, [UUID], UUID),
        (ID, ["x"], "x"),
        ({"$ref": "#/$defs/id"}, ["17"], 17),
        ({"type": ["string", "null"], "enum": ["a", None]}, ["null"], None),
        ({"type": ["string", "null"]}, ["null"], "null"),
        ({"enum": ["1", 1]}, ["1"], "1"),
        ({"type": "array", "items": ID}, ["1", UUID], [1, UUID]),
        (IDS, ["all"], "all"),
        (IDS, ["4"], [4]),
        (IDS, ["4", "5"], [4, 5]),
        (IDS, ["x"], ["x"]),
    ],
)
def test_of_several_types_the_reading_that_fits_counts(
    schema: Any, texts: list[str], value: Any
) -> None:
    root: Any = {"properties": {"x": schema}, "required": ["y"], "$defs": {"id": ID}}
    found = InputContract(root).reader("x")(texts)
    assert (found, type(found)) == (value, type(value))


def test_a_part_of_a_schema_with_an_id_is_read_by_what_fits_too() -> None:
    part: Any = {"$ref": "urn:plait:x#/$defs/id"}
    root: Any = {"$id": "urn:plait:x", "properties": {"x": part}, "$defs": {"id": ID}}
    contract = InputContract(root)
    assert contract.reader("x")(["17"]) == 17
    assert contract.is_valid({"x": 17})


def test_a_list_is_given_by_repetition() -> None:
    schema = {"type": "array", "items": {"type": "integer"}}
    assert property_reader(schema, "1", "x", "3") == [1, "x", 3]
    assert property_reader(schema, "1") == [1]


PAIR: Any = {"prefixItems": [{"type": "integer"}, ID], "items": {"type": "boolean"}}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", **PAIR},
        {"allOf": [PAIR, {"type": "array"}]},
        {"oneOf": [{"const": "all"}, {"type": "array", **PAIR}]},
        {"anyOf": [{"type": "array", **PAIR}, {"type": "array", "maxItems": 0}]},
        PAIR,
    ],
)
def test_the_first_items_of_a_list_are_each_read_by_their_own_type(schema: Any) -> None:
    assert property_reader(schema, "1", UUID, "true") == [1, UUID, True]
    assert property_reader(schema, "1", "2", "true", "false") == [1, 2, True, False]
    assert property_reader(schema, "1", "2") == [1, 2]


def test_one_value_cannot_be_given_twice() -> None:
    with pytest.raises(GivenTwice):
        property_reader({"type": "string"}, "a", "b")


def test_a_reference_inside_the_schema_is_followed() -> None:
    schema: Any = {
        "$ref": "#/$defs/query",
        "$defs": {
            "query": {"properties": {"ids": {"$ref": "#/$defs/a~1b"}}},
            "a/b": {"type": "array", "items": {"$ref": "#/$defs/id"}},
            "id": {"type": "integer"},
        },
    }
    assert InputContract(schema).reader("ids")(["4", "5"]) == [4, 5]


@pytest.mark.parametrize(
    ("reference", "key"),
    [
        ("#/$defs/a%20b", "a b"),
        ("#/%24defs/%C3%A9", "é"),
        ("#/$defs/a~1b", "a/b"),
        ("#/$defs/a%7E1b", "a/b"),
        ("#/$defs/a%2520b", "a%20b"),
        ("#n", "a%20b"),
        ("#n", "a b"),
    ],
)
def test_a_pointer_in_a_reference_is_part_of_a_uri(reference: str, key: str) -> None:
    inner: Any = {"anyOf": [{"type": "integer"}, {"const": "max"}]}
    root: Any = {
        "properties": {"x": {"$ref": reference}},
        "$defs": {key: {"$anchor": "n", **inner}, "z": {"type": "null"}},
    }
    contract = InputContract(root)
    assert contract.is_valid({"x": contract.reader("x")(["3"])})
    assert contract.reader("x")(["3"]) == 3


def test_a_reference_in_a_circle_says_nothing() -> None:
    schema: Any = {"properties": {"x": {"$ref": "#/properties/x"}}}
    assert InputContract(schema).reader("x")(["3"]) == "3"


SHARED: Any = {
    "id": {"$anchor": "id", "type": "integer"},
    "maybe": {"anyOf": [{"$ref": "#/$defs/id"}, {"type": "null"}]},
}


@pytest.mark.parametrize(
    "schema",
    [
        {"allOf": [{"$ref": "#/$defs/id"}, {"minimum": 1}]},
        {"anyOf": [{"$ref": "#/$defs/id"}, {"type": "boolean"}]},
        {"$ref": "#id"},
        {"$ref": "#/$defs/maybe", "description": "Who."},
        {"$ref": "#/$defs/id", "type": ["integer", "string"]},
        {"type": "number", "allOf": [{"type": ["integer", "string"]}]},
        {"oneOf": [{"allOf": [{"$ref": "#id"}]}, {"const": 2}]},
    ],
)
@pytest.mark.parametrize(
    "place",
    [
        lambda schema: {"properties": {"x": schema}},
        lambda schema: {"patternProperties": {"^x": schema, "^y": {"type": "string"}}},
        lambda schema: {"additionalProperties": schema},
        lambda schema: {
            "allOf": [{"properties": {"x": schema}}, {"properties": {"y": {}}}]
        },
        lambda schema: {"anyOf": 2 * [{"properties": {"x": schema}}]},
    ],
)
def test_a_type_is_found_wherever_it_stands(schema: Any, place: Any) -> None:
    contract = InputContract({**place(schema), "$defs": SHARED})
    assert contract.reader("x")(["3"]) == 3
    assert contract.is_valid({"x": 3})


def test_schemas_that_contradict_each_other_leave_the_text() -> None:
    schema: Any = {"allOf": [{"type": "integer"}, {"type": "boolean"}]}
    assert property_reader(schema, "3") == "3"


def test_a_pattern_that_would_take_for_ever_holds_up_no_name() -> None:
    schema: Any = {"patternProperties": {"^(a|a)*$": {"type": "integer"}}}
    contract = InputContract(schema)
    assert contract.reader("a" * 60 + "b")(["3"]) == "3"
    assert contract.reader("aa")(["3"]) == 3


@pytest.mark.parametrize("word", ["anyOf", "allOf", "oneOf"])
def test_a_schema_made_of_itself_is_read(word: str) -> None:
    schema: Any = {"properties": {"x": {"type": "integer"}}, word: [{"$ref": "#"}]}
    assert InputContract(schema).reader("y")(["3"]) == "3"


def test_defaults_are_found_behind_references() -> None:
    schema: Any = {
        "properties": {
            "x": {"$ref": "#/$defs/x", "default": 1},
            "y": {"$ref": "#/$defs/x"},
        },
        "$defs": {"x": {"default": 2}},
    }
    value: Any = {}
    InputContract(schema).fill(value)
    assert value == {"x": 1, "y": 2}


def test_a_reference_to_elsewhere_is_refused_without_a_look() -> None:
    schema: Any = {"properties": {"x": {"$ref": "http://127.0.0.1:9/schema.json"}}}
    with pytest.raises(jsonschema_rs.ValidationError, match="Retrieval is disabled"):
        InputContract(schema)


@pytest.mark.parametrize(
    ("more", "known_only"),
    [
        ({}, True),
        ({"additionalProperties": False}, False),
        ({"additionalProperties": {"type": "string"}}, False),
        ({"patternProperties": {"^x-": {}}}, False),
        ({"anyOf": [{}]}, False),
        ({"properties": {}}, False),
    ],
)
def test_only_plain_properties_make_other_names_unknown(
    more: Any, known_only: bool
) -> None:
    contract = InputContract({"properties": {"x": {}}, **more})
    assert contract.names_known_only is known_only


def test_every_violation_is_told_with_its_place() -> None:
    schema: Any = {
        "type": "object",
        "required": ["id", "a/b"],
        "additionalProperties": False,
        "properties": {
            "id": {"type": "string", "format": "uuid"},
            "a/b": {},
            "tags": {"items": {"maxLength": 2}},
        },
    }
    found = InputContract(schema).violations({"id": "x", "tags": ["abc"], "u": 1, "v": 2})
    assert sorted(str(violation["path"]) for violation in found) == [
        "/a~1b",
        "/id",
        "/tags/0",
        "/u",
        "/v",
    ]


def test_violations_are_bounded_in_number_and_length() -> None:
    contract = InputContract({"items": {"type": "integer"}})
    found = contract.violations(["x" * 5000] * 1000)
    assert len(found) == VIOLATIONS_MAX
    assert all(len(str(violation["message"])) < 400 for violation in found)


def test_defaults_fill_what_is_missing_and_nothing_else() -> None:
    contract = InputContract({"properties": {"n": {"default": 20}, "m": {"default": 1}}})
    value: Any = {"m": None}
    contract.fill(value)
    assert value == {"m": None, "n": 20}


@pytest.mark.parametrize("schema", [None, True])
def test_without_a_schema_everything_goes(schema: Any) -> None:
    contract = InputContract(schema)
    assert contract.is_valid([1])
    assert contract.violations([1]) == []


def test_a_schema_of_false_lets_nothing_pass() -> None:
    contract = InputContract(False)
    assert not contract.is_valid({})
    assert contract.violations({})


KINDS = ("null", "boolean", "integer", "number", "string")


@given(st.sets(st.sampled_from(KINDS), min_size=1), st.text(max_size=12))
def test_a_reader_gives_the_text_or_a_value_of_its_types(
    kinds: set[str], text: str
) -> None:
    value = reader_for(kinds, text_reader(kinds), list_reader([], str))([text])
    is_converted = not isinstance(value, str)
    assert jsonschema_rs.is_valid({"type": sorted(kinds)}, value) or not is_converted
    assert is_converted or value == text


@given(st.integers(-(2**63), 2**63 - 1))
def test_every_integer_is_read_back(number: int) -> None:
    assert text_reader({"integer"})(str(number)) == number
    assert text_reader({"number"})(str(number)) == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_is_read_back(number: float) -> None:
    assert text_reader({"number"})(repr(number)) == number


def test_a_body_that_is_wrong_everywhere_is_listed_without_looking_at_all_of_it() -> None:
    schema: Any = {
        "properties": {"items": {"items": {"type": "string"}, "minItems": 9_000}}
    }
    value: Any = {"items": [0] * 10_000, "more": [1]}
    shortened = Shortened(value)
    assert shortened.cut == {"/items", "/more"}
    found = InputContract(schema).violations(value)
    assert len(found) == VIOLATIONS_MAX
    assert found[0] == {"path": "/items/0", "message": '0 is not of type "string"'}


def test_what_is_wrong_beyond_what_is_looked_at_is_still_refused() -> None:
    schema: Any = {"properties": {"items": {"items": {"type": "string"}}}}
    value: Any = {"items": ["a"] * 9_999 + [0]}
    found = InputContract(schema).violations(value)
    assert found == [{"path": "", "message": "does not fit the schema"}]
