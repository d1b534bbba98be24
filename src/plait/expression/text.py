"""Values as text: inside a sentence, and inside a URL.

Rule 1. Text stands as it is; everything else as JSON prints it: `true`, `1.5`, `null`,
        `{"a":1}`.
Rule 2. In the path and the query of a URL every value is percent-encoded, so it cannot
        leave its place. In the host it stands as it is, and may not end the host. A value
        at the very beginning is the address itself and stands as it is.
Rule 3. A URL takes no null, and in its path no `.` or `..`, which servers resolve even
        when they are encoded. Nor is a segment of the path left empty: `/users/` is
        another resource than a user.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Final, TypeAlias

import orjson

from plait.expression.segments import DOTS, EMPTY, open_segments
from plait.model.json import JsonValue

Writer: TypeAlias = Callable[[JsonValue], str]


class Escape(StrEnum):
    """How values are written into text around them."""

    NONE = "none"
    URL = "url"


class NoText(ValueError):
    """A value may not stand here. The text says why, without the value."""


# RFC 3986, unreserved.
_SAFE: Final = re.compile(r"[A-Za-z0-9._~-]*").fullmatch
_UNRESERVED: Final = frozenset(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
)
_ENCODED: Final = tuple(
    chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in range(256)
)
_ASCII_ENCODED: Final = dict(enumerate(_ENCODED[:128]))
# What ends a host, or hides one; and what no request line may hold.
_NO_HOST: Final = re.compile(r"[/?#@\\\x00-\x20\x7f]").search


def text_of(value: JsonValue) -> str:
    """Return `value` as text.

    >>> [text_of(value) for value in ("a", 1, 1.0, True, None, {"b": [1]})]
    ['a', '1', '1.0', 'true', 'null', '{"b":[1]}']
    """
    kind = type(value)
    if kind is str:
        return value  # type: ignore[return-value]
    if kind is int:
        return str(value)
    return json_text(value)


def json_text(value: JsonValue) -> str:
    """Return `value` as compact JSON.

    Raises:
        NoText: It is nested too deeply.
    """
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # an integer beyond 64 bits, or more than 254 levels
        try:
            return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        except RecursionError:
            raise NoText("is nested too deeply to be written as text") from None


def percent_encoded(text: str) -> str:
    """Return `text` with everything but unreserved characters percent-encoded.

    >>> percent_encoded("a/b c?é")
    'a%2Fb%20c%3F%C3%A9'
    """
    if text.isascii():
        return text if _SAFE(text) else text.translate(_ASCII_ENCODED)
    return "".join(_ENCODED[byte] for byte in text.encode())


def path_text(value: JsonValue) -> str:
    """Return `value` as it may stand in the path of a URL.

    Raises:
        NoText: It is null, `.` or `..`.
    """
    if type(value) is str and _SAFE(value) and value not in DOTS:
        return value
    text = query_text(value)
    if text in DOTS:
        raise NoText("is '.' or '..', which would change the path of the URL")
    return text


def segment_text(value: JsonValue) -> str:
    """Return `value` as it may be a whole segment of the path of a URL.

    Raises:
        NoText: It is null, `.`, `..` or empty.
    """
    text = path_text(value)
    if not text:
        raise NoText(EMPTY)
    return text


def query_text(value: JsonValue) -> str:
    """Return `value` as it may stand in the query of a URL.

    Raises:
        NoText: It is null, or text that is no Unicode.
    """
    if type(value) is str:
        try:
            return percent_encoded(value)
        except UnicodeEncodeError:
            raise NoText("is text that is not valid Unicode") from None
    if value is None:
        raise NoText("is null, which may not stand in a URL")
    return percent_encoded(text_of(value))


def host_text(value: JsonValue) -> str:
    """Return `value` as it may stand in the host of a URL: as it is.

    Raises:
        NoText: It is null, or would end the host.
    """
    text = address_text(value)
    if _NO_HOST(text):
        raise NoText("holds a character that may not stand in a host")
    return text


def address_text(value: JsonValue) -> str:
    """Return `value` as it may begin a URL: as it is.

    Raises:
        NoText: It is null.
    """
    if value is None:
        raise NoText("is null, which may not stand in a URL")
    return text_of(value)


def writers_for(parts: Sequence[object], escape: Escape) -> list[Writer]:
    """Return what writes each of `parts`, by where in the URL it stands.

    Parts of type str are literals; their writers are not used.

    >>> [w.__name__ for w in writers_for([1, "/a/", 2, "?b=", 3], Escape.URL)]
    ['address_text', 'path_text', 'segment_text', 'query_text', 'query_text']
    >>> [w.__name__ for w in writers_for(["http://", 1, ":80/a", 2], Escape.URL)]
    ['host_text', 'host_text', 'path_text', 'path_text']
    """
    if escape is Escape.NONE:
        return [text_of] * len(parts)
    writers: list[Writer] = []
    writer: Writer = address_text
    for part in parts:
        if isinstance(part, str):
            writer = _after_literal(part, writer)
        writers.append(writer)
        if writer is address_text:
            writer = path_text
    for segment in open_segments(parts, path_values(parts, writers)):
        if segment.is_one_value:
            writers[segment.value] = segment_text
    return writers


def path_values(parts: Sequence[object], writers: Sequence[Writer]) -> list[bool]:
    """Tell of each of `parts` whether it is a value in the path of a URL."""
    return [
        not isinstance(part, str) and writer in (path_text, segment_text)
        for part, writer in zip(parts, writers, strict=True)
    ]


def _after_literal(literal: str, writer: Writer) -> Writer:
    if writer is query_text or "?" in literal or "#" in literal:
        return query_text
    if writer is address_text:
        scheme, mark, rest = literal.partition("://")
        return host_text if mark and "/" not in scheme + rest else path_text
    return path_text if "/" in literal else writer
