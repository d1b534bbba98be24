"""Texts to values: what a path or query parameter means, by the type it should have.

Rule. Only what is plainly written as the type is converted; everything else stays a text,
      and the schema then says what is wrong with it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import TypeAlias

from plait.gateway.body import INT_MAX, INT_MIN
from plait.model.json import JsonValue

Reader: TypeAlias = Callable[[Sequence[str]], JsonValue]

_INTEGER = re.compile(r"-?(?:0|[1-9]\d{0,19})", re.ASCII)
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d{1,3})?", re.ASCII)
_BOOLEANS = {"true": True, "false": False}


class GivenTwice(Exception):
    """A parameter that takes one value was given several."""


def reader_for(types: set[str] | None, item_types: set[str] | None) -> Reader:
    """Return what reads the texts given for one parameter.

    Args:
        types: The JSON types it may have; None: not known.
        item_types: The same for its items, where it is an array.

    >>> reader_for({"integer"}, None)(["42"]), reader_for({"integer"}, None)(["x"])
    (42, 'x')
    >>> reader_for({"array"}, {"number"})(["1", "2.5"])
    [1, 2.5]
    """
    if types is not None and "array" in types:
        return _array_reader(item_types)
    read_one = _text_reader(types)

    def read(texts: Sequence[str]) -> JsonValue:
        if len(texts) == 1:
            return read_one(texts[0])
        if types is None:
            return [read_one(text) for text in texts]
        raise GivenTwice

    return read


def _array_reader(item_types: set[str] | None) -> Reader:
    read_one = _text_reader(item_types)
    return lambda texts: [read_one(text) for text in texts]


def _text_reader(types: set[str] | None) -> Callable[[str], JsonValue]:
    if not types or "string" in types:
        return str
    readers = [reader for name, reader in _READERS.items() if name in types]
    if not readers:
        return str
    if len(readers) == 1:
        return readers[0]

    def read(text: str) -> JsonValue:
        for reader in readers:
            value = reader(text)
            if value is not text:
                return value
        return text

    return read


def _null(text: str) -> JsonValue:
    return None if text in ("", "null") else text


def _boolean(text: str) -> JsonValue:
    return _BOOLEANS.get(text, text)


def _integer(text: str) -> JsonValue:
    if not _INTEGER.fullmatch(text):
        return text
    value = int(text)
    return value if INT_MIN <= value <= INT_MAX else text


def _number(text: str) -> JsonValue:
    value = _integer(text)
    if value is not text or not _NUMBER.fullmatch(text):
        return value
    number = float(text)
    return number if math.isfinite(number) else text


_READERS = {"null": _null, "boolean": _boolean, "integer": _integer, "number": _number}
