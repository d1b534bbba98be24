"""JSON values into CEL and back.

Into CEL: objects, lists, text, booleans and null as they are; integers within int64 as
int, up to 2**64 - 1 as uint, beyond as double; doubles stay doubles.

Out of CEL: int and uint as integers, bytes as base64 text, timestamps as RFC 3339 text,
durations as seconds (`1.5s`), types as their names; objects in the order of their keys,
because the library has none. NaN, infinity, optionals inside a value and keys that are
not text are refused.

Rule 1. The library forgets to count its references to None: on Python 3.11, a few
        thousand nulls taken out with `plain_value()` end the process. So nothing that
        may hold null is taken out that way.
Rule 2. Nor what may hold an optional: in a map, one ends the process at once.
Rule 3. The library cuts text off at a NUL character, so such text is refused.

Not here: what may be passed in terms of size (plait.expression.budget).
"""

from __future__ import annotations

import re
from base64 import b64encode
from math import isfinite
from typing import Any, Final, Protocol

import orjson

from plait.model.json import JsonValue

# How the library shows nulls and optionals; a text that says so only costs time.
_NOT_PLAIN: Final = re.compile(r"null|optional").search
_UNITS_NS: Final = {
    "h": 3_600_000_000_000,
    "m": 60_000_000_000,
    "s": 1_000_000_000,
    "ms": 1_000_000,
    "us": 1_000,
    "ns": 1,
}
_DURATION: Final = re.compile(r"(\d+)(?:\.(\d+))?(h|ms|us|ns|m|s)")
_INT64_MIN: Final = -(2**63)
_UINT64_END: Final = 2**64
_AS_THEY_ARE: Final = frozenset({bool, int, str})


class CelValue(Protocol):
    """A value of the library. `plain_value` and `value` differ in what lists hold."""

    def plain_value(self) -> Any:
        """Return the value with everything inside it as plain Python."""
        ...

    def value(self) -> Any:
        """Return the value; what a list or map holds stays of this class."""
        ...

    def type(self) -> Any:
        """Return its type."""
        ...


class CelFault(Exception):
    """CEL answered with an error. The text is the library's own, and may hold values."""


class NoJson(ValueError):
    """JSON cannot hold the result. The text says what is in the way."""


class Unsupported(ValueError):
    """CEL cannot take the value. The text says why, without the value."""


def scalar_to_cel(value: JsonValue) -> JsonValue:
    """Return what stands for `value`, which is no list and no object.

    Raises:
        Unsupported: Text with a NUL character or half a surrogate; an integer that no
            double comes near.
    """
    kind = type(value)
    if kind is str:
        return _text(value)  # type: ignore[arg-type]
    if kind is int and not _INT64_MIN <= value < _UINT64_END:  # type: ignore[operator]
        return _double(value)  # type: ignore[arg-type]
    return value


def container_to_cel(value: JsonValue) -> tuple[JsonValue, int, int]:
    """Return what stands for a list or object, its number of nodes, and its characters.

    Both numbers are upper bounds; they cost far less than a walk through the value.

    Raises:
        Unsupported: As for scalars; or the value is no JSON, or deeper than 254 levels.
    """
    try:
        text = orjson.dumps(value)
    except TypeError:
        value, text = _rewritten(value)
    if b"\\u0000" in text:
        _walked(value)
    nodes = 1 + text.count(b",") + text.count(b"{") + text.count(b"[")
    return value, nodes, len(text)


def _rewritten(value: JsonValue) -> tuple[JsonValue, bytes]:
    """Return what stands for a value that orjson does not write, and its JSON."""
    try:
        value = _walked(value)
        return value, orjson.dumps(value)
    except (RecursionError, TypeError):
        raise Unsupported("is nested too deeply") from None


def _walked(value: JsonValue) -> JsonValue:
    """Return `value` with each scalar as CEL takes it."""
    if isinstance(value, list):
        return [_walked(item) for item in value]
    if isinstance(value, dict):
        return {_text(key): _walked(item) for key, item in value.items()}
    if value is None or isinstance(value, bool | int | float | str):
        return scalar_to_cel(value)
    raise Unsupported("holds something that is no JSON")


def _text(value: str) -> str:
    if not isinstance(value, str):
        raise Unsupported("has a key that is no text")
    if "\0" in value:
        raise Unsupported("holds text with a NUL character")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Unsupported("holds text that is not valid Unicode") from None
    return value


def _double(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        raise Unsupported("holds an integer too large for a double") from None


def to_json(result: CelValue) -> JsonValue:
    """Return the JSON value of `result`.

    Raises:
        CelFault: The result is an error.
        NoJson: JSON cannot hold the result.
    """
    if _NOT_PLAIN(repr(result)):
        return _by_type(result)
    try:
        return _canonical(result.plain_value(), result)
    except _ByType:
        return _by_type(result)


class _ByType(Exception):
    """Only the types of the library tell what to do."""


def _canonical(plain: Any, result: CelValue | None = None) -> JsonValue:
    """Return `plain` in canonical order. `result`: where it came from, at the top."""
    kind = type(plain)
    if kind in _AS_THEY_ARE:
        if kind is str and result is not None and _type_name(result) == "ERROR":
            raise CelFault(plain)
        return plain  # type: ignore[no-any-return]
    if kind is list:
        return [_canonical(item) for item in plain]
    if kind is dict:
        return {key: _canonical(plain[key]) for key in _sorted_keys(plain)}
    if kind is float:
        return _finite(plain)
    raise _ByType


def _by_type(value: CelValue) -> JsonValue:
    """Return the JSON value of `value`, slowly: the library's type decides."""
    name = _type_name(value)
    match name:
        case "NULL":
            return None
        case "LIST":
            return [_element(item) for item in value.value()]
        case "MAP":
            items = value.value()
            return {key: _element(items[key]) for key in _sorted_keys(items)}
        case "BYTES":
            return b64encode(value.plain_value()).decode()
        case "DURATION":
            return _seconds(repr(value))
        case "TIMESTAMP":
            return repr(value)
        case "TYPE":
            return repr(value).partition("<")[0]
        case "ERROR":
            raise _fault(value)
        case "BOOL" | "INT" | "UINT" | "DOUBLE" | "STRING":
            return _canonical(value.plain_value())
        case _:
            raise NoJson(f"the result holds a {name}")


def _element(item: CelValue) -> JsonValue:
    """Return the JSON value of `item`; its type is asked only where that is needed."""
    shown = repr(item)
    if _NOT_PLAIN(shown):
        return None if shown == "null" else _by_type(item)
    try:
        return _canonical(item.plain_value())
    except _ByType:
        return _by_type(item)


def _type_name(value: CelValue) -> str:
    name: str = value.type().name()
    return name.partition("<")[0]


def _fault(value: CelValue) -> Exception:
    """Return what to raise for a value of type ERROR. Optionals report that type too."""
    if repr(value).startswith("optional."):
        return NoJson("the result holds an optional; end it with .orValue(…)")
    return CelFault(value.plain_value())


def _sorted_keys(items: dict[Any, Any]) -> list[str]:
    for key in items:
        if type(key) is not str:
            raise NoJson("the result has an object whose keys are no text")
    return sorted(items)


def _finite(value: float) -> float:
    if not isfinite(value):
        raise NoJson("the result is not a number, or infinite")
    return value


def _seconds(text: str) -> str:
    """Return a duration as seconds. `text` is as the library shows it: `1h2m3.5s`.

    >>> [_seconds(text) for text in ("1h0m0.5s", "-1.5ms", "0")]
    ['3600.500s', '-0.001500s', '0s']
    """
    total_ns = 0
    for whole, fraction, unit in _DURATION.findall(text):
        unit_ns = _UNITS_NS[unit]
        total_ns += int(whole) * unit_ns
        total_ns += int(fraction or 0) * unit_ns // 10 ** len(fraction)
    seconds, rest_ns = divmod(total_ns, 1_000_000_000)
    sign = "-" if text.startswith("-") else ""
    return f"{sign}{seconds}{_fraction(rest_ns)}s"


def _fraction(ns: int) -> str:
    """Return `.5` as `.500`: with 3, 6 or 9 digits, as protobuf's JSON has it."""
    if not ns:
        return ""
    digits = f"{ns:09d}"
    while digits.endswith("000"):
        digits = digits[:-3]
    return f".{digits}"
