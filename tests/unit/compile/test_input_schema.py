"""What reads of `input` are checked against its schema, and what is left alone."""

from __future__ import annotations

from typing import Any

import pytest

from plait.compile.input_schema import InputShape, outside_references

OPEN: dict[str, Any] = {"type": "object", "properties": {"user_id": {"type": "string"}}}
CLOSED: dict[str, Any] = {**OPEN, "additionalProperties": False}
NESTED: dict[str, Any] = {
    "type": "object",
    "properties": {
        "items": {"type": "array", "items": CLOSED},
        "pair": {"type": "array", "prefixItems": [CLOSED, {"type": "string"}]},
        "who": {"$ref": "#/$defs/who"},
        "map": {"type": "object", "additionalProperties": CLOSED},
        "maybe": {"type": ["object", "null"], "properties": {"a": {}}},
    },
    "$defs": {"who": CLOSED, "a/b~c": CLOSED},
}


def problem(schema: Any, *keys: str | int) -> tuple[str, str, bool] | None:
    found = InputShape(schema).problem_with(("input", *keys))
    return None if found is None else (found.message, found.hint, found.is_certain)


def test_a_key_that_a_closed_object_lacks_is_an_error_with_the_nearest_key() -> None:
    assert problem(CLOSED, "usr_id") == (
        "'input' has no key 'usr_id'",
        "did you mean 'user_id'?",
        True,
    )


@pytest.mark.parametrize("reference", ["#/$defs/a%20b", "#/%24defs/a%20b", "#/$defs/a b"])
def test_a_pointer_in_a_reference_is_part_of_a_uri(reference: str) -> None:
    schema = {"$ref": reference, "$defs": {"a b": CLOSED}}
    assert problem(schema, "user_id") is None
    assert problem(schema, "usr_id") is not None


def test_without_a_near_key_the_known_ones_are_named() -> None:
    assert problem(CLOSED, "zzz") == (
        "'input' has no key 'zzz'",
        "known keys: user_id",
        True,
    )
    empty = {"type": "object", "additionalProperties": False}
    assert problem(empty, "zzz") == ("'input' has no key 'zzz'", "known keys: none", True)


def test_a_near_miss_in_an_open_object_is_a_warning() -> None:
    assert problem(OPEN, "usr_id") == (
        "'input' names no key 'usr_id' in its schema",
        "did you mean 'user_id'?",
        False,
    )


@pytest.mark.parametrize(
    ("schema", "keys"),
    [
        (None, ("a", "b")),
        (True, ("a",)),
        ({}, ("a", 0)),
        (CLOSED, ("user_id",)),
        (OPEN, ("something_else",)),
        ({**OPEN, "additionalProperties": True}, ("usr_id",)),
        ({**OPEN, "additionalProperties": {"type": "string"}}, ("usr_id",)),
        (NESTED, ("items", 3, "user_id")),
        (NESTED, ("pair", 0, "user_id")),
        (NESTED, ("pair", 7)),
        (NESTED, ("who", "user_id")),
        (NESTED, ("map", "any", "user_id")),
        (NESTED, ("maybe", "a")),
    ],
)
def test_what_the_schema_allows_or_does_not_tell_is_no_problem(
    schema: Any, keys: tuple[str | int, ...]
) -> None:
    assert problem(schema, *keys) is None


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (("items", 3, "usr_id"), "'input.items[3]' has no key 'usr_id'"),
        (("pair", 0, "usr_id"), "'input.pair[0]' has no key 'usr_id'"),
        (("who", "usr_id"), "'input.who' has no key 'usr_id'"),
        (("map", "any", "usr_id"), "'input.map.any' has no key 'usr_id'"),
        (("items", "first"), "'input.items' is array: it has no 'first'"),
        (("who", 0), "'input.who' is object: it has no '0'"),
        (("pair", 1, "x"), "'input.pair[1]' is string: it has no 'x'"),
        (("maybe", 0), "'input.maybe' is object or null: it has no '0'"),
    ],
)
def test_inner_reads_are_followed_through_arrays_references_and_maps(
    keys: tuple[str | int, ...], message: str
) -> None:
    found = problem(NESTED, *keys)
    assert found is not None
    assert (found[0], found[2]) == (message, True)


@pytest.mark.parametrize(
    "keyword",
    [
        "anyOf",
        "oneOf",
        "allOf",
        "if",
        "not",
        "patternProperties",
        "dependentSchemas",
        "unevaluatedProperties",
        "$dynamicRef",
    ],
)
def test_where_a_schema_branches_nothing_is_claimed(keyword: str) -> None:
    schema = {**CLOSED, keyword: {}}
    assert problem(schema, "usr_id") is None
    assert InputShape(schema).properties()[1] is False


@pytest.mark.parametrize(
    "reference",
    ["#/$defs/none", "#/properties/user_id/deeper/still", "#name", "other.json", "#/a/0"],
)
def test_a_reference_that_leads_nowhere_claims_nothing(reference: str) -> None:
    assert problem({**CLOSED, "$ref": reference}, "usr_id") is None


def test_escaped_references_are_followed() -> None:
    schema = {**NESTED, "properties": {"x": {"$ref": "#/$defs/a~1b~0c"}}}
    assert problem(schema, "x", "usr_id") is not None


def test_a_reference_to_the_whole_schema_may_go_round() -> None:
    tree = {**CLOSED, "properties": {"child": {"$ref": "#"}, "name": {}}}
    assert problem(tree, "child", "child", "child", "name") is None
    assert problem(tree, "child", "child", "nam") == (
        "'input.child.child' has no key 'nam'",
        "did you mean 'name'?",
        True,
    )
    assert problem({"$ref": "#"}, "a") is None


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": ["a"]},
        {"properties": "a"},
        {"type": 5, "properties": {"a": 1}},
        {"type": {"a": 1}},
        {"items": 5, "prefixItems": 7},
        {"$ref": 7},
        {"additionalProperties": "no"},
        {"properties": None},
    ],
)
def test_a_schema_that_is_no_schema_breaks_nothing(schema: dict[str, Any]) -> None:
    shape = InputShape(schema)
    for keys in (("a",), ("a", "b"), (0,), (0, "a")):
        shape.problem_with(("input", *keys))
    shape.properties()


def test_properties_are_known_and_whether_there_can_be_others() -> None:
    assert InputShape(CLOSED).properties() == (CLOSED["properties"], True)
    assert InputShape(OPEN).properties() == (OPEN["properties"], False)
    assert InputShape(None).properties() == ({}, False)


def test_references_that_lead_outside_are_found_wherever_they_stand() -> None:
    schema = {
        "properties": {
            "a": {"$ref": "https://example.org/a.json"},
            "b": {"$ref": "#/$defs/b"},
        },
        "anyOf": [{"items": {"$ref": "b.json#/x"}}],
        "$defs": {"b": {"$ref": "urn:example:b"}},
    }
    assert outside_references(schema) == ["b.json#/x", "https://example.org/a.json"]
