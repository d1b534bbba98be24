"""Bodies by content type, and the limits of what is read."""

from __future__ import annotations

from typing import Any

import pytest

from plait.connectors.http.content import (
    JSON_DEPTH_MAX,
    Unreadable,
    read_content,
)
from plait.connectors.http.media import MediaType, read_media_type

JSON = read_media_type(b"application/json")


def text_in(charset: str) -> MediaType:
    return read_media_type(f"text/plain; charset={charset}".encode())


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        ("application/json", "json"),
        ("Application/JSON; charset=utf-8", "json"),
        ("application/problem+json", "json"),
        ("application/vnd.api+json;v=1", "json"),
        ("text/json", "json"),
        ("text/plain", "text"),
        ("text/html; charset=utf-8", "text"),
        ("application/xml", "text"),
        ("application/atom+xml", "text"),
        ("image/svg+xml", "text"),
        ("application/javascript", "text"),
        ("application/x-ndjson", "text"),
        ("application/x-www-form-urlencoded", "text"),
        ("application/yaml", "text"),
        ("application/octet-stream", "binary"),
        ("image/png", "binary"),
        ("application/pdf", "binary"),
        ("application/jsonish", "binary"),
        ("nonsense", "binary"),
        ("", "unknown"),
    ],
)
def test_media_types_are_sorted(content_type: str, kind: str) -> None:
    assert read_media_type(content_type.encode()).kind.value == kind


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a": 1}', {"a": 1}),
        (b" [1, 2]", [1, 2]),
        (b"{not json", "{not json"),
        (b"123", "123"),
        (b"\xff\x00", "/wA="),
        (b"", None),
    ],
)
def test_without_a_content_type_objects_and_arrays_are_recognised(
    body: bytes, value: Any
) -> None:
    assert read_content(body, read_media_type(None), "auto") == value


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"1", 1),
        (b"1.0", 1.0),
        (b'"\\u00fc"', "ü"),
        (b"null", None),
        (b"\xef\xbb\xbf[1]", [1]),
        (b"12345678901234567890", 12345678901234567890),
    ],
)
def test_json_keeps_its_types(body: bytes, value: Any) -> None:
    got = read_content(body, JSON, "auto")
    assert (got, type(got)) == (value, type(value))


@pytest.mark.parametrize(
    ("charset", "body", "text"),
    [
        ("utf-8", "grüße".encode(), "grüße"),
        ('"ISO-8859-1"', "grüße".encode("latin-1"), "grüße"),
        ("windows-1252", b"\x80", "€"),
        ("shift_jis", "日本".encode("shift_jis"), "日本"),
        ("utf-16", "grüße".encode("utf-16"), "grüße"),
    ],
)
def test_text_is_read_in_its_charset(charset: str, body: bytes, text: str) -> None:
    assert read_content(body, text_in(charset), "auto") == text


@pytest.mark.parametrize("charset", ["zlib", "hex", "idna", "punycode", "rot13", "klingon"])
def test_what_is_no_charset_is_refused(charset: str) -> None:
    with pytest.raises(Unreadable, match="charset is unknown"):
        read_content(b"abc", text_in(charset), "auto")


@pytest.mark.parametrize(
    ("decode", "value"),
    [("json", [1]), ("text", "[1]"), ("binary", "WzFd"), ("none", None)],
)
def test_decode_overrides_the_content_type(decode: Any, value: Any) -> None:
    png = read_media_type(b"image/png")
    assert read_content(b"[1]", png, decode) == value


def nested(depth: int, opening: str = "[", closing: str = "]", core: str = "") -> bytes:
    return (opening * depth + core + closing * depth).encode()


@pytest.mark.parametrize(
    ("body", "is_read"),
    [
        (nested(JSON_DEPTH_MAX), True),
        (nested(JSON_DEPTH_MAX, core="1"), True),
        (nested(JSON_DEPTH_MAX + 1), False),
        (nested(JSON_DEPTH_MAX // 2, '{"a":[', "]}"), True),
        (nested(JSON_DEPTH_MAX // 2, '{"a":[', "]}", core="[]"), False),
        (b"[" + b'{"a":[]},' * 500 + b"1]", True),
        (b'["' + b"[" * 500 + b'"]', True),
        (b'[["' + b"]" * 500 + b'"], ' + nested(JSON_DEPTH_MAX) + b"]", False),
        (nested(2000), False),
    ],
)
def test_depth_is_capped_whatever_brackets_stand_in_strings(
    body: bytes, is_read: bool
) -> None:
    if is_read:
        assert read_content(body, JSON, "auto") is not None
    else:
        with pytest.raises(Unreadable, match=r"deeper|depth"):
            read_content(body, JSON, "auto")
