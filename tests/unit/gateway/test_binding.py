"""Binding: path, query and body by name; conflicts; every violation at once."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait.gateway.binding import Binder
from plait.gateway.contract import InputContract
from plait.gateway.message import Request
from plait.gateway.refusal import BadInput, Malformed, UnsupportedMediaType

USER = {
    "type": "object",
    "required": ["user_id"],
    "properties": {
        "user_id": {"type": "integer"},
        "limit": {"type": "integer", "default": 20, "maximum": 100},
        "tags": {"type": "array", "items": {"type": "string"}},
        "active": {"type": ["boolean", "null"]},
    },
}
JSON_HEADERS = {b"content-type": b"application/json"}
FORM_HEADERS = {b"content-type": b"application/x-www-form-urlencoded"}


def bind(
    schema: Any,
    *,
    path: dict[str, str] | None = None,
    query: str = "",
    body: bytes = b"",
    headers: dict[bytes, bytes] = JSON_HEADERS,
    takes_body: bool = True,
) -> Any:
    path = path or {}
    binder = Binder(InputContract(schema), tuple(path), takes_body=takes_body)
    return binder.bind(Request("POST", "/", query, headers, body), tuple(path.values()))


def violations(*args: Any, **kwargs: Any) -> dict[str, str]:
    with pytest.raises(BadInput) as caught:
        bind(*args, **kwargs)
    details: Any = caught.value.details
    return {entry["path"]: entry["message"] for entry in details["violations"]}


def test_path_query_and_body_meet_in_one_input() -> None:
    found = bind(
        USER,
        path={"user_id": "7"},
        query="tags=a&tags=b&active=true",
        body=b'{"limit":3,"note":{"x":1}}',
    )
    assert found == {
        "user_id": 7,
        "tags": ["a", "b"],
        "active": True,
        "limit": 3,
        "note": {"x": 1},
    }


def test_a_default_is_filled_in() -> None:
    assert bind(USER, path={"user_id": "7"}) == {"user_id": 7, "limit": 20}


def test_every_violation_is_told_at_once() -> None:
    query = "limit=101&limit=7&active=maybe"
    found = violations(USER, path={"user_id": "x"}, query=query)
    assert found.keys() == {"/user_id", "/active", "/limit"}
    assert found["/limit"] == "takes one value and was given 2"
    assert violations(USER, query="limit=101").keys() == {"/user_id", "/limit"}


def test_the_refusal_has_the_public_shape() -> None:
    with pytest.raises(BadInput) as caught:
        bind(USER)
    reply = caught.value.as_reply()
    assert reply.status == 400
    assert orjson.loads(reply.body) == {
        "error": {
            "code": "request.invalid",
            "message": "the request does not fit: 1 problem",
            "details": {
                "violations": [
                    {"path": "/user_id", "message": '"user_id" is a required property'}
                ]
            },
        }
    }


@pytest.mark.parametrize(
    ("given", "is_same"), [("7.0", True), ("8", False), ("true", False)]
)
def test_a_number_given_twice_is_one_number_however_it_is_written(
    given: str, *, is_same: bool
) -> None:
    schema = {"properties": {"id": {"type": ["integer", "boolean"]}}}
    body = b'{"id":%s}' % given.encode()
    if is_same:
        assert bind(schema, path={"id": "7"}, body=body) == {"id": 7}
    else:
        assert violations(schema, path={"id": "7"}, body=body).keys() == {"/id"}


def test_a_query_parameter_that_the_schema_does_not_name_is_ignored() -> None:
    found = bind(USER, path={"user_id": "7"}, query="utm_source=mail")
    assert "utm_source" not in found


def test_a_closed_schema_refuses_unknown_names_wherever_they_stand() -> None:
    closed = {**USER, "additionalProperties": False}
    assert violations(closed, path={"user_id": "7"}, query="x=1").keys() == {"/x"}
    assert violations(closed, path={"user_id": "7"}, body=b'{"y":1}').keys() == {"/y"}


def test_a_schema_for_other_names_takes_and_reads_them() -> None:
    schema = {"properties": {"a": {}}, "additionalProperties": {"type": "integer"}}
    assert bind(schema, query="b=4") == {"b": 4}
    assert violations(schema, query="b=x").keys() == {"/b"}


def test_without_a_schema_every_parameter_is_taken_as_text() -> None:
    assert bind(None, path={"id": "7"}, query="a=1&b=2&b=3") == {
        "id": "7",
        "a": "1",
        "b": ["2", "3"],
    }


def test_a_name_in_two_places_must_have_one_value() -> None:
    path = {"user_id": "7"}
    assert bind(USER, path=path, body=b'{"user_id":7}')["user_id"] == 7
    assert bind(USER, path=path, query="user_id=7")["user_id"] == 7
    for body in (b'{"user_id":8}', b'{"user_id":"7"}', b'{"user_id":true}'):
        assert violations(USER, path=path, body=body).keys() == {"/user_id"}
    assert violations(USER, path=path, query="user_id=8").keys() == {"/user_id"}


def test_a_body_that_is_no_object_is_bound_whole_where_the_schema_allows() -> None:
    assert bind({"type": "array", "items": {"type": "integer"}}, body=b"[1,2]") == [1, 2]
    assert bind(None, body=b"[1]") == [1]
    assert bind(True, body=b"null") is None
    assert violations({"type": "array", "maxItems": 1}, body=b"[1,2]").keys() == {""}


def test_a_body_that_is_no_object_is_refused_where_one_is_needed() -> None:
    assert violations(USER, body=b"[1]") == {"": "the body must be a JSON object"}
    assert violations(None, path={"id": "7"}, body=b"[1]").keys() == {""}


def test_a_schema_that_is_no_object_needs_a_body() -> None:
    assert violations({"type": "array"}).keys() == {""}
    assert bind({"type": ["array", "null"]}) is None


WIDE = str(2**64)


@pytest.mark.parametrize(
    ("schema", "body", "places"),
    [
        (None, '{"n": W}', {"/n"}),
        (None, '{"n": -W, "m": [1, {"k": W}], "ok": W.0, "text": "W"}', {"/n", "/m/1/k"}),
        ({"properties": {"n": {"type": "integer"}}}, '{"n": W}', {"/n"}),
        ({"properties": {"n": {"type": "number"}}}, '{"n": W, "m": W}', {"/m"}),
        ({"additionalProperties": {"type": "number"}}, '{"n": W}', set()),
        ({"properties": {"n": {"items": {"type": "number"}}}}, '{"n": [W, 1]}', set()),
        ({"properties": {"n": {"prefixItems": [{}]}}}, '{"n": [W]}', {"/n/0"}),
        ({"properties": {"n": {"type": ["number", "null"]}}}, '{"n": W}', set()),
        (
            {
                "$defs": {"x": {"type": "number"}},
                "properties": {"n": {"$ref": "#/$defs/x"}},
            },
            '{"n": W}',
            set(),
        ),
        ({"type": "array"}, "[1, W]", {"/1"}),
        ({"type": "number"}, "W", set()),
    ],
)
def test_an_integer_beyond_64_bits_is_refused_unless_it_may_be_a_number(
    schema: Any, body: str, places: set[str]
) -> None:
    data = body.replace("W", WIDE).encode()
    if places:
        found = violations(schema, body=data)
        assert found.keys() == places
        assert "64 bits" in found[min(places)]
    else:
        bind(schema, body=data)


def test_integers_of_64_bits_arrive_as_they_are() -> None:
    body = {"least": -(2**63), "most": 2**64 - 1, "double": 2.0**70}
    assert bind(None, body=orjson.dumps(body)) == body


def test_a_form_is_read_by_the_schema_and_keeps_other_names() -> None:
    body = b"user_id=7&tags=a&tags=b&other=x"
    assert bind(USER, body=body, headers=FORM_HEADERS) == {
        "user_id": 7,
        "tags": ["a", "b"],
        "other": "x",
        "limit": 20,
    }


def test_a_method_without_body_does_not_look_at_one() -> None:
    found = bind(USER, path={"user_id": "7"}, body=b"not json", takes_body=False)
    assert found["user_id"] == 7


def test_an_unreadable_body_or_query_is_refused() -> None:
    with pytest.raises(Malformed, match="not JSON"):
        bind(USER, body=b"{")
    with pytest.raises(UnsupportedMediaType):
        bind(USER, body=b"{}", headers={})
    with pytest.raises(Malformed, match="query"):
        bind(USER, query="a=%ff")


NAMES = st.text("abcdefgé/&=+% ", min_size=1, max_size=6)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)


@given(st.dictionaries(NAMES, st.lists(TEXTS, min_size=1, max_size=3)))
def test_whatever_a_query_says_arrives(given_texts: dict[str, list[str]]) -> None:
    query = "&".join(
        f"{quote(name, safe='')}={quote(text, safe='')}"
        for name, texts in given_texts.items()
        for text in texts
    )
    expected = {
        n: texts[0] if len(texts) == 1 else texts for n, texts in given_texts.items()
    }
    assert bind(None, query=query) == expected


@given(st.dictionaries(NAMES, st.integers(-(2**53), 2**53) | TEXTS | st.none(), min_size=1))
def test_whatever_a_body_says_arrives(body: dict[str, Any]) -> None:
    assert bind({"type": "object"}, body=orjson.dumps(body)) == body


def kind(name: str, **properties: Any) -> Any:
    return {"properties": {"k": {"const": name}, **properties}, "required": ["k"]}


INTEGER, TEXT = {"type": "integer"}, {"type": "string"}
CLOSED = {"additionalProperties": False}


@pytest.mark.parametrize("word", ["oneOf", "anyOf"])
@pytest.mark.parametrize(
    "branches",
    [
        [kind("x", v=INTEGER), kind("y", v=TEXT)],
        [kind("y", v=TEXT), kind("x", v=INTEGER)],
        [kind("x", v=INTEGER) | CLOSED, kind("y", v=TEXT) | CLOSED],
        [kind("x", v=INTEGER) | CLOSED, kind("y", v={"enum": ["1", "a", 2]}) | CLOSED],
    ],
)
def test_of_branches_the_one_that_fits_as_a_whole_says_what_a_text_means(
    word: str, branches: Any
) -> None:
    schema = {"type": "object", word: branches}
    assert bind(schema, query="k=x&v=1", takes_body=False) == {"k": "x", "v": 1}
    assert bind(schema, query="v=1&k=y", takes_body=False) == {"k": "y", "v": "1"}
    assert bind(schema, path={"v": "1"}, query="k=x") == {"k": "x", "v": 1}
    form = bind(schema, body=b"k=x&v=1", headers=FORM_HEADERS)
    assert form == {"k": "x", "v": 1}
    assert violations(schema, query="k=x&v=a", takes_body=False)


@pytest.mark.parametrize(
    "schema",
    [
        {"oneOf": [kind("x", v=INTEGER), kind("y", w=TEXT)]},
        {"oneOf": [kind("x", v=INTEGER) | CLOSED, kind("y", w=TEXT) | CLOSED]},
        {"if": kind("x"), "then": {"properties": {"v": INTEGER}}},
        {"allOf": [{"anyOf": [kind("x", v=INTEGER), kind("y")]}]},
    ],
)
def test_a_name_that_one_branch_alone_speaks_of_is_read_as_it_says(schema: Any) -> None:
    assert bind(schema, query="k=x&v=1", takes_body=False) == {"k": "x", "v": 1}
