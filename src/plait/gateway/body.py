"""Request bodies: bytes to JSON, with everything refused that two readers would not read
alike: duplicate keys, NaN, broken UTF-8, nesting without end.

Not here: how large a body may be (whoever reads the socket), what it must hold
(plait.gateway.contract).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import orjson

from plait.gateway.message import Request, percent_decode
from plait.gateway.refusal import Malformed, UnsupportedMediaType
from plait.model.json import JsonValue

Path: TypeAlias = "tuple[str | int, ...]"

JSON_DEPTH_MAX: Final = 64
# The writer of replies goes 254 levels deep, and the output puts some around an input.
JSON_DEPTH_CEILING: Final = 200
# Integers that all readers of JSON here read exactly: signed and unsigned 64 bits.
INT_MIN: Final = -(2**63)
INT_MAX: Final = 2**64 - 1
_LENGTH_MAX: Final = 20
_LONG_NUMBER = re.compile(rb"[0-9]{19}")
_WIDE: Final = object()
FORM: Final = "application/x-www-form-urlencoded"
_ACCEPTED = f"application/json, any …+json, or {FORM}"


def body_type(request: Request) -> str:
    """Return `json` or `form`.

    Raises:
        UnsupportedMediaType: The body is something else, is compressed, or does not say.

    >>> body_type(Request("POST", "/", "", {b"content-type": b"application/geo+json"}))
    'json'
    """
    coding = request.headers.get(b"content-encoding", b"identity").strip().lower()
    if coding != b"identity":
        raise UnsupportedMediaType("compressed request bodies are not read here")
    told = request.headers.get(b"content-type", b"").decode("latin-1")
    media_type, *parameters = (part.strip().lower() for part in told.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name == "charset" and value.strip('"') not in ("utf-8", "utf8", "us-ascii"):
            raise UnsupportedMediaType("request bodies are read as UTF-8 only")
    if media_type == "application/json" or media_type.endswith("+json"):
        return "json"
    if media_type == FORM:
        return "form"
    said = f"'{media_type[:80]}'" if media_type else "a body without content-type"
    raise UnsupportedMediaType(
        f"{said} is not read here; send {_ACCEPTED}", headers=((b"accept", _ACCEPT),)
    )


_ACCEPT = f"application/json, {FORM}".encode()


def read_json(body: bytes, *, depth_max: int = JSON_DEPTH_MAX) -> JsonValue:
    """Return the value that `body` holds.

    Raises:
        Malformed: It is not JSON, has a key twice, or is nested deeper than `depth_max`.

    >>> read_json(b'{"a": [1, 2.0, null]}')
    {'a': [1, 2.0, None]}
    """
    try:
        value: JsonValue = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed(
            f"the body is not JSON: {error.msg}",
            {"line": error.lineno, "column": error.colno, "offset": error.pos},
        ) from None
    depth, key_count = _survey(value)
    if depth > depth_max:
        raise Malformed(f"the body is nested deeper than {depth_max} levels")
    # A text without duplicates has a colon per key. Only if it has more (they stand inside
    # strings, or keys were lost) is it read again by the slower library that sees pairs.
    if body.count(b":") != key_count:
        # Numbers stay texts: converting one of a million digits would take minutes.
        try:
            json.loads(
                body, object_pairs_hook=_without_duplicates, parse_int=str, parse_float=str
            )
        except RecursionError:
            # What was lost with a duplicate key was not surveyed.
            text = f"the body is nested deeper than {depth_max} levels"
            raise Malformed(text) from None
    return value


def _survey(value: JsonValue) -> tuple[int, int]:
    """Return how deep `value` is nested, and how many keys all its objects have."""
    depth, key_count = 0, 0
    level: list[Any] = [value]
    while level:
        following: list[Any] = []
        is_container = False
        for item in level:
            if isinstance(item, dict):
                is_container = True
                key_count += len(item)
                following.extend(item.values())
            elif isinstance(item, list):
                is_container = True
                following.extend(item)
        depth += is_container
        level = following
    return depth, key_count


def _without_duplicates(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Malformed(
            f"the body has the key '{_repeated(pairs)[:80]}' twice in an object"
        )
    return found


def _repeated(pairs: list[tuple[str, Any]]) -> str:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            return name
        seen.add(name)
    raise AssertionError("every key stands once")


def wide_integers(body: bytes) -> list[Path]:
    """Return where `body`, which `read_json` read, has integers beyond 64 bits.

    They were read as doubles, which are other numbers.

    >>> wide_integers(b'{"a": [1, 18446744073709551616], "b": 18446744073709551616.0}')
    [('a', 1)]
    """
    if not _LONG_NUMBER.search(body):
        return []
    value = json.loads(body, parse_int=_wide_or_zero, parse_float=str)
    found: list[Path] = []
    following: list[tuple[Path, Any]] = [((), value)]
    while following:
        path, item = following.pop()
        if item is _WIDE:
            found.append(path)
        elif isinstance(item, dict):
            following.extend(((*path, key), inner) for key, inner in item.items())
        elif isinstance(item, list):
            following.extend(((*path, n), inner) for n, inner in enumerate(item))
    return sorted(found, key=str)


def _wide_or_zero(digits: str) -> object:
    # A longer one is wide, whatever it is; converting a million digits takes minutes.
    is_wide = len(digits) > _LENGTH_MAX or not INT_MIN <= int(digits) <= INT_MAX
    return _WIDE if is_wide else 0


def read_pairs(text: str) -> dict[str, list[str]]:
    """Return the values of each name of a query or form; names without text are left out.

    Raises:
        ValueError: An escape is broken, or something is not UTF-8.

    >>> read_pairs("tag=a&tag=b+c&empty=&=x&flag")
    {'tag': ['a', 'b c'], 'empty': [''], 'flag': ['']}
    """
    found: dict[str, list[str]] = {}
    for part in text.split("&"):
        name, _, value = part.partition("=")
        if name:
            name = percent_decode(name.replace("+", " "))
            found.setdefault(name, []).append(percent_decode(value.replace("+", " ")))
    return found


def read_form(body: bytes) -> dict[str, list[str]]:
    """Return the values of each name of a form.

    Raises:
        Malformed: It cannot be read.
    """
    try:
        return read_pairs(body.decode("latin-1"))
    except ValueError as error:
        raise Malformed(f"the form cannot be read: {error}") from None
