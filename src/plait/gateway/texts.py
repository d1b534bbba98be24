"""Texts to values: what a path or query parameter means, by the type it should have.

Rule 1. Only what is plainly written as the type is converted; everything else stays a
        text, and the schema then says what is wrong with it.
Rule 2. Where text is one of several types, it stays one if it fits; else the first reading
        that fits counts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from itertools import chain, repeat
from typing import Any, TypeAlias

from plait.gateway.body import INT_MAX, INT_MIN
from plait.model.json import JsonValue

Reader: TypeAlias = Callable[[Sequence[str]], JsonValue]
TextReader: TypeAlias = Callable[[str], JsonValue]
Fits: TypeAlias = Callable[[Any], bool]

_INTEGER = re.compile(r"-?(?:0|[1-9]\d{0,19})", re.ASCII)
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d{1,3})?", re.ASCII)
_BOOLEANS = {"true": True, "false": False}


class GivenTwice(Exception):
    """A parameter that takes one value was given several."""


def reader_for(types: set[str] | None, read_one: TextReader, read_list: Reader) -> Reader:
    """Return what reads the texts given for one parameter.

    Args:
        types: The JSON types it may have; None: not known.

    >>> items = list_reader([], text_reader({"number"}))
    >>> reader_for({"array"}, str, items)(["1"]), reader_for(None, str, items)(["1"])
    ([1], '1')
    """
    if types is not None and "array" in types:
        return read_list

    def read(texts: Sequence[str]) -> JsonValue:
        if len(texts) == 1:
            return read_one(texts[0])
        if types is None:
            return read_list(texts)
        raise GivenTwice

    return read


def list_reader(first: Sequence[TextReader], rest: TextReader) -> Reader:
    """Return what reads an array: its first items each in their own way.

    >>> list_reader([text_reader({"integer"})], str)(["1", "2"])
    [1, '2']
    """

    def read(texts: Sequence[str]) -> JsonValue:
        readers = chain(first, repeat(rest))
        return [one(text) for one, text in zip(readers, texts, strict=False)]

    return read


def list_or_one(read_list: Reader, read_one: TextReader, fits: Fits) -> Reader:
    """Return what reads an array, or one text as something else if only that fits.

    >>> items = list_reader([], text_reader({"integer"}))
    >>> read = list_or_one(items, str, ["all", [1]].__contains__)
    >>> read(["1"]), read(["all"]), read(["2"])
    ([1], 'all', [2])
    """

    def read(texts: Sequence[str]) -> JsonValue:
        items = read_list(texts)
        one = read_one(texts[0]) if len(texts) == 1 and not fits(items) else items
        return one if fits(one) else items

    return read


def is_text_or_more(types: set[str] | None) -> bool:
    """Tell whether a text of these types may mean something else as well.

    >>> is_text_or_more({"string", "null"}), is_text_or_more({"string", "array"})
    (True, False)
    """
    return types is not None and "string" in types and not types.isdisjoint(_READERS)


def readings(types: set[str], text: str) -> list[JsonValue]:
    """Return all that `text` may mean with these types, the text itself first.

    >>> readings({"string", "integer", "number"}, "7"), readings({"integer"}, "x")
    (['7', 7], ['x'])
    """
    values = [reader(text) for name, reader in _READERS.items() if name in types]
    return [text, *dict.fromkeys(value for value in values if value is not text)]


def text_reader(types: set[str] | None, fits: Fits | None = None) -> TextReader:
    """Return what reads one text.

    Args:
        fits: Whether a value is one that may stand there; asked where text is one of
            several types.

    >>> text_reader({"integer"})("42"), text_reader({"integer"})("x")
    (42, 'x')
    >>> read = text_reader({"integer", "string"}, [1, 2, "all"].__contains__)
    >>> read("1"), read("all"), read("3")
    (1, 'all', '3')
    """
    if not types or ("string" in types and fits is None):
        return str
    readers = [reader for name, reader in _READERS.items() if name in types]

    def read(text: str) -> JsonValue:
        for reader in readers:
            value = reader(text)
            if value is not text:
                return value
        return text

    def read_what_fits(text: str) -> JsonValue:
        assert fits is not None
        read_so = (reader(text) for reader in readers)
        return next((value for value in (text, *read_so) if fits(value)), text)

    return read_what_fits if "string" in types else read


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
