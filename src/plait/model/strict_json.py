"""JSON of others, read strictly: what two readers would not read alike is refused: keys
that stand twice, NaN, broken UTF-8, nesting without end.

Not here: how large a text may be (whoever reads the socket), documents
(plait.document.json_text), which tell where each value stands.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import orjson

from plait.model.json import JsonObject, JsonValue

Path: TypeAlias = "tuple[str | int, ...]"

JSON_DEPTH_MAX: Final = 64
# Integers that all readers of JSON here read exactly: signed and unsigned 64 bits.
INT_MIN: Final = -(2**63)
INT_MAX: Final = 2**64 - 1
_LENGTH_MAX: Final = 20
# So many digits in a row may be an integer beyond them. To see digits as one and look for a
# row of it takes a tenth of what a regular expression does: 0.1 ms for 100 kB.
_DIGITS_ALIKE: Final = bytes(ord("0") if n in b"0123456789" else 0 for n in range(256))
_MANY_DIGITS: Final = b"0" * 19
_WIDE: Final = object()


class JsonRefused(ValueError):
    """A text is not read. Its message goes on behind what the text is called.

    Attributes:
        details: Where in the text, as far as that is known: `line`, `column`, `offset`.
    """

    def __init__(self, message: str, details: JsonObject | None = None) -> None:
        super().__init__(message)
        self.details = details


def read_json(text: bytes, *, depth_max: int = JSON_DEPTH_MAX) -> JsonValue:
    """Return the value that `text` holds.

    Raises:
        JsonRefused: It is not JSON, has a key twice, or is nested deeper than `depth_max`.

    >>> read_json(b'{"a": [1, 2.0, null]}')
    {'a': [1, 2.0, None]}
    """
    try:
        value: JsonValue = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        place: JsonObject = {
            "line": error.lineno,
            "column": error.colno,
            "offset": error.pos,
        }
        raise JsonRefused(f"is not JSON: {error.msg}", place) from None
    depth, key_count = _survey(value)
    if depth > depth_max:
        raise JsonRefused(f"is nested deeper than {depth_max} levels")
    # A text without duplicates has a colon per key. Only if it has more (they stand inside
    # strings, or keys were lost) is it read again by the slower library that sees pairs.
    if text.count(b":") != key_count:
        # Numbers stay texts: converting one of a million digits would take minutes.
        try:
            json.loads(
                text, object_pairs_hook=_without_duplicates, parse_int=str, parse_float=str
            )
        except RecursionError:
            # What was lost with a duplicate key was not surveyed.
            raise JsonRefused(f"is nested deeper than {depth_max} levels") from None
    return value


def read_exact_json(text: bytes) -> JsonValue:
    """Return the value that `text` holds, each number as it is written.

    Raises:
        JsonRefused: `read_json` refuses it, or an integer does not fit 64 bits.

    >>> read_exact_json(b'{"n": 99999999999999999999}')
    Traceback (most recent call last):
    plait.model.strict_json.JsonRefused: has an integer that does not fit 64 bits, at n; \
send it as a string
    """
    value = read_json(text)
    for path in wide_integers(text):
        place = f", at {'.'.join(map(str, path))}" if path else ""
        said = f"has an integer that does not fit 64 bits{place}; send it as a string"
        raise JsonRefused(said)
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
        raise JsonRefused(f"has the key '{_repeated(pairs)[:80]}' twice in an object")
    return found


def _repeated(pairs: list[tuple[str, Any]]) -> str:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            return name
        seen.add(name)
    raise AssertionError("every key stands once")


def wide_integers(text: bytes) -> list[Path]:
    """Return where `text`, which `read_json` read, has integers beyond 64 bits.

    They were read as doubles, which are other numbers.

    >>> wide_integers(b'{"a": [1, 18446744073709551616], "b": 18446744073709551616.0}')
    [('a', 1)]
    """
    if _MANY_DIGITS not in text.translate(_DIGITS_ALIKE):
        return []
    value = json.loads(text, parse_int=_wide_or_zero, parse_float=str)
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
