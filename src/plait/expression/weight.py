"""How large and how deep a value may be that a template makes.

A template that names a value twice doubles it, and a chain of forty such templates would
make more than any machine holds, although each shares what it names with the others. So
what a template makes is weighed, as the JSON that it will be written as.

Rule 1. A value that is passed on as it is, is not weighed: it was weighed when it was
        made, or came from outside within the limits for bodies.
Rule 2. Weighing takes no more than a fixed multiple of VALUE_BYTES_MAX, whatever is
        weighed: many values are weighed few at a time.
Rule 3. A small value costs one call into C: no walk, no copy.

Not here: how long CEL may work (plait.expression.budget).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

import orjson

from plait.model.json import JsonValue

# 32 MB: three upstream responses of 10 MB each, and about 40 ms to weigh.
_MB_MAX: Final = 32
VALUE_BYTES_MAX: Final = _MB_MAX * 1024 * 1024
# 128: a document may be 64 levels deep, and a body, put at its deepest place, 64 more.
VALUE_DEPTH_MAX: Final = 128
# 4: so many values are written at once before the sum is looked at. One may have
# VALUE_BYTES_MAX bytes, so weighing never takes more than four times as much memory.
PARTS_AT_ONCE: Final = 4

# So few bytes are not too deep: a level of nesting takes two at least.
SURELY_LIGHT_BYTES: Final = 2 * VALUE_DEPTH_MAX
# orjson writes 254 levels and refuses the next.
_ORJSON_DEPTH_MAX: Final = 254


class TooHeavy(ValueError):
    """A value would be too large or too deep. The text says which, without the value."""


def weigh(value: JsonValue, parts: Sequence[JsonValue] = ()) -> None:
    """Check a value, and that writing it takes no more memory than is allowed.

    Args:
        parts: The values in it that were made elsewhere, if it is more than one.

    Raises:
        TooHeavy: It is larger or deeper than a value may be.
    """
    if len(parts) > PARTS_AT_ONCE:
        _add_up(parts)
    try:
        text = orjson.dumps(value)
    except TypeError:
        _weigh_unusual(value)
        return
    if len(text) > SURELY_LIGHT_BYTES:
        _check_bytes(len(text))
        if text.count(b"[") + text.count(b"{") > VALUE_DEPTH_MAX:
            _check_depth(value)


def first_too_heavy(parts: Sequence[JsonValue], depths: Sequence[int]) -> int:
    """Return the index of the part with which a value becomes too large or too deep.

    Args:
        depths: Per part, how many lists and objects of the value it stands in.
    """
    size = 0
    for index, (part, depth) in enumerate(zip(parts, depths, strict=True)):
        try:
            weigh(_nested(part, depth))
            size += _size_of([part])
            _check_bytes(size)
        except TooHeavy:
            return index
    return len(parts) - 1


def check_text(size: int) -> None:
    """Check a text of `size` bytes.

    Raises:
        TooHeavy: It is larger than a value may be.
    """
    if size > VALUE_BYTES_MAX:
        raise TooHeavy(f"would have more than {_MB_MAX} MB")


def text_bytes(text: str) -> int:
    """Return how many bytes `text` takes as UTF-8.

    >>> text_bytes("abc"), text_bytes("é")
    (3, 2)
    """
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))


def _add_up(parts: Sequence[JsonValue]) -> None:
    size = 0
    for start in range(0, len(parts), PARTS_AT_ONCE):
        size += _size_of(parts[start : start + PARTS_AT_ONCE])
        _check_bytes(size)


def _size_of(values: Sequence[JsonValue]) -> int:
    try:
        return len(orjson.dumps(values))
    except TypeError:
        return len(_unusual(values))


def _check_bytes(size: int) -> None:
    if size > VALUE_BYTES_MAX:
        raise TooHeavy(f"would have more than {_MB_MAX} MB as JSON")


def _check_depth(value: JsonValue) -> None:
    try:
        orjson.dumps(_nested(value, _ORJSON_DEPTH_MAX - VALUE_DEPTH_MAX))
    except TypeError:
        _check_unusual_depth(value)


def _nested(value: JsonValue, depth: int) -> JsonValue:
    for _ in range(depth):
        value = [value]
    return value


def _weigh_unusual(value: JsonValue) -> None:
    """Check what orjson does not write: integers beyond 64 bits, half a surrogate."""
    _check_unusual_depth(value)
    _check_bytes(len(_unusual(value)))


def _check_unusual_depth(value: JsonValue) -> None:
    level = [value]
    for _ in range(VALUE_DEPTH_MAX):
        # By identity: what is shared is looked at once, or a level might double the next.
        found = {id(item): item for inner in level for item in _containers_in(inner)}
        if not found:
            return
        level = list(found.values())
    raise _too_deep()


def _containers_in(value: JsonValue) -> Iterator[JsonValue]:
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            if isinstance(item, dict | list):
                yield item


def _unusual(value: Any) -> bytes:
    try:
        text = json.dumps(value, ensure_ascii=False, skipkeys=True, default=_no_json)
    except RecursionError:
        raise _too_deep() from None
    return text.encode(errors="surrogatepass")


def _no_json(_value: object) -> None:
    """Stand for what is no JSON: who writes the value says so."""


def _too_deep() -> TooHeavy:
    return TooHeavy(f"would be nested more than {VALUE_DEPTH_MAX} levels deep")
