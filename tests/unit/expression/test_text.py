"""Values inside text, and inside URLs."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait.expression import Escape, NotForUrl, UnsupportedValue
from plait.expression.text import percent_encoded
from plait.model.json import JsonValue
from tests.unit.expression.making import template


def url(text: str, **names: JsonValue) -> JsonValue:
    """Return the URL that `text` gives with these names."""
    return template(text, escape=Escape.URL).render(names)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("é b", "é b"),
        (1, "1"),
        (2**70, "1180591620717411303424"),
        (1.0, "1.0"),
        (1e22, "1e+22"),
        (True, "true"),
        (False, "false"),
        (None, "null"),
        ([1, "a", None], '[1,"a",null]'),
        ({"a": {"b": 1.5}}, '{"a":{"b":1.5}}'),
        ([2**70], "[1180591620717411303424]"),
    ],
)
def test_a_value_in_a_text_is_itself_or_json(value: JsonValue, text: str) -> None:
    assert template("<${v}>").render({"v": value}) == f"<{text}>"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "http://h/${a}/x?q=${a}#${a}",
            "http://h/a%2Fb%3F%C3%A9%20./x?q=a%2Fb%3F%C3%A9%20.#a%2Fb%3F%C3%A9%20.",
        ),
        ("/rel/${a}", "/rel/a%2Fb%3F%C3%A9%20."),
        ("${base}/v1/${id}", "http://h:80/v/v1/7"),
        ("${base}", "http://h:80/v"),
        ("http://${host}:${port}/${id}", "http://a.b:8080/7"),
        ("http://x${host}/", "http://xa.b/"),
        ("http://h/?p=${dots}", "http://h/?p=.."),
        ("http://h/${id}${flag}", "http://h/7true"),
        ("http://h/${list}", "http://h/%5B1%5D"),
    ],
)
def test_a_value_in_a_url_stays_in_its_place(text: str, expected: str) -> None:
    names: dict[str, JsonValue] = {
        "a": "a/b?é .",
        "base": "http://h:80/v",
        "host": "a.b",
        "port": 8080,
        "id": 7,
        "dots": "..",
        "flag": True,
        "list": [1],
    }
    assert url(text, **names) == expected


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("http://h/${v}", None),
        ("http://h/?q=${v}", None),
        ("${v}/x", None),
        ("http://h/${v}", "."),
        ("http://h/${v}/x", ".."),
        ("http://h/${v}", "\ud800"),
        ("http://${v}/x", "evil.com/path"),
        ("http://${v}/x", "user@evil.com"),
        ("http://${v}/x", "evil.com?"),
        ("http://${v}/x", "evil.com#"),
        ("http://${v}/x", "a\r\nb"),
        ("http://${v}/x", "a\\b"),
        ("http://h${v}/x", None),
    ],
)
def test_a_value_that_would_change_the_url_is_refused(text: str, value: JsonValue) -> None:
    with pytest.raises(NotForUrl) as caught:
        url(text, v=value)
    assert caught.value.code == "expression.not_for_url"
    assert caught.value.expression == "v"


@pytest.mark.parametrize(
    "text",
    [
        "http://h/api/users/${e}",
        "http://h/${e}/orders",
        "http://h/${e}?q=1",
        "http://h/${e}#x",
        "http://h/a/${e}${e}",
        "http://h/a/${e}${e}/x",
        "/${e}",
        "${base}/${e}",
        "${folder}${e}",
        "http://h/a/.${e}",
        "http://h/a/${e}..",
        "http://h/a/${e}.${e}/x",
    ],
)
def test_a_segment_of_a_path_is_never_left_empty_or_made_of_dots(text: str) -> None:
    with pytest.raises(NotForUrl, match="segment") as caught:
        url(text, e="", base="http://h", folder="http://h/users/")
    assert caught.value.code == "expression.not_for_url"
    assert caught.value.expression == "e"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://h/user-${e}", "http://h/user-"),
        ("http://h/${e}.json", "http://h/.json"),
        ("http://h/${e}${x}", "http://h/x"),
        ("http://h/a?q=${e}&r=${e}", "http://h/a?q=&r="),
        ("http://h/a#${e}", "http://h/a#"),
        ("http://h:80${e}/a", "http://h:80/a"),
        ("${base}${e}", "http://h"),
        ("${base}${e}/a", "http://h/a"),
        ("${base}?${e}", "http://h?"),
        ("${query}${e}", "http://h/?a=/"),
    ],
)
def test_an_empty_text_may_stand_where_no_segment_is_left_empty(
    text: str, expected: str
) -> None:
    names: dict[str, JsonValue] = {"base": "http://h", "query": "http://h/?a=/", "x": "x"}
    assert url(text, e="", **names) == expected


@given(st.text(st.characters(codec="utf-8")))
def test_what_is_encoded_is_decoded_to_the_same_text(text: str) -> None:
    encoded = percent_encoded(text)
    assert encoded.isascii()
    assert not set(encoded) & set("/?#[]@!$&'()*+,;=: \"<>\\^`{|}\r\n\0")
    assert unquote(encoded) == text


def test_a_value_nested_deeper_than_json_may_be_is_no_text() -> None:
    deep: JsonValue = []
    for _ in range(5_000):
        deep = [deep]
    with pytest.raises(UnsupportedValue, match="nested too deeply"):
        template("<${v}>").render({"v": deep})
    with pytest.raises(UnsupportedValue, match="nested too deeply"):
        template("${v == [1]}").render({"v": deep})
