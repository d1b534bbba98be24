"""Request bodies: which are read, and that two readers could not read them differently."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait.gateway.body import body_type, read_form, read_json, read_pairs
from plait.gateway.message import Request
from plait.gateway.refusal import Malformed, UnsupportedMediaType


def request_of(content_type: str, **headers: str) -> Request:
    told = {name.replace("_", "-").encode(): v.encode() for name, v in headers.items()}
    return Request("POST", "/", "", {b"content-type": content_type.encode(), **told}, b"x")


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        ("application/json", "json"),
        ("Application/JSON ; charset=UTF-8", "json"),
        ('application/json; charset="utf-8"', "json"),
        ("application/vnd.api+json", "json"),
        ("application/x-www-form-urlencoded", "form"),
    ],
)
def test_json_and_forms_are_read(content_type: str, kind: str) -> None:
    assert body_type(request_of(content_type)) == kind


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "multipart/form-data; boundary=x",
        "",
        "json",
        "application/json;charset=latin1",
    ],
)
def test_other_bodies_are_not(content_type: str) -> None:
    with pytest.raises(UnsupportedMediaType):
        body_type(request_of(content_type))


def test_a_compressed_body_is_not_read() -> None:
    for coding in ("gzip", "br", "identity, gzip", "x"):
        with pytest.raises(UnsupportedMediaType, match="compressed"):
            body_type(request_of("application/json", content_encoding=coding))
    assert body_type(request_of("application/json", content_encoding="identity")) == "json"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{'a': 1}",
        b"[1,]",
        b"NaN",
        b"[Infinity]",
        b'"\xff"',
        b'"\\ud800"',
        b"1 2",
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
    ],
)
def test_what_is_not_json_is_refused_with_its_place(body: bytes) -> None:
    with pytest.raises(Malformed, match="not JSON") as caught:
        read_json(body)
    assert caught.value.details is not None
    assert isinstance(caught.value.details["offset"], int)


def nested(depth: int) -> bytes:
    return b'{"a":[' * (depth // 2) + b"[]" * (depth % 2) + b"]}" * (depth // 2)


def test_nesting_is_read_to_the_limit_and_no_deeper() -> None:
    assert read_json(nested(64))
    with pytest.raises(Malformed, match="deeper than 64"):
        read_json(nested(65))


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1,"a":1}',
        b'[{"b":{"a":1,"c":2,"a":3}}]',
        b'{"a":1,"\\u0061":2}',
        b'{"x":"::::","a":1,"a":2}',
    ],
)
def test_a_key_that_stands_twice_is_refused(body: bytes) -> None:
    with pytest.raises(Malformed, match="twice"):
        read_json(body)


def test_equal_keys_of_different_objects_and_colons_in_texts_are_fine() -> None:
    body = b'[{"a":"http://x:80/"},{"a":"12:30","b":{"a":1}}]'
    assert read_json(body) == json.loads(body)


def test_a_number_of_many_digits_beside_a_colon_is_no_trouble() -> None:
    body = b'{"a":"x:y","n":' + b"9" * 10_000 + b".5}"
    with pytest.raises(Malformed, match="not JSON"):
        read_json(body + b"}")
    read_json(b'{"a":"x:y","n":' + b"9" * 300 + b"}")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON)
def test_every_json_value_is_read_as_it_was_written(value: Any) -> None:
    try:
        body = orjson.dumps(value)
    except TypeError:
        return
    assert read_json(body) == value


@given(st.binary())
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    with suppress(Malformed):
        orjson.dumps(read_json(body))


def test_pairs_are_read_with_repetitions_plus_signs_and_escapes() -> None:
    assert read_pairs("a=1&a=2&b=x+y%2B&c&=z&%C3%A9=%C3%A9&&d==") == {
        "a": ["1", "2"],
        "b": ["x y+"],
        "c": [""],
        "é": ["é"],
        "d": ["="],
    }


@pytest.mark.parametrize("body", [b"a=%ff", b"a=%", b"%zz=1", b"a=\xff"])
def test_a_form_that_is_none_is_refused(body: bytes) -> None:
    with pytest.raises(Malformed, match="form"):
        read_form(body)


def test_depth_that_a_duplicate_key_hides_is_still_refused() -> None:
    deep = b"[" * 1_000 + b"]" * 1_000
    # Which of the two is found first depends on how deep Python's own reader goes.
    with pytest.raises(Malformed, match=r"nested deeper|twice"):
        read_json(b'{"a":' + deep + b',"a":1}', depth_max=64)
