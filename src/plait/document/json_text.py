"""JSON text (RFC 8259) → values, and where each of them stands.

Rule 1. A pattern takes a whole member (key, colon, scalar, separator) in one match; that
    makes reading quick. Whatever no pattern takes, an empty list as well as a mistake, is
    read by the slow, complete way beside it, one token at a time.
Rule 2. Both ways agree. A test reads everything by the slow way alone.
Rule 3. Nothing recurses: depth is a limit, not a crash.

Not here: scalars with mistakes in them (plait.document.json_scalars).
"""

from __future__ import annotations

import re
from typing import Any, NoReturn

import orjson

from plait.document.faults import Faults
from plait.document.json_scalars import (
    CONSTANTS,
    STRING,
    char_at,
    read_key,
    read_scalar,
    skip_blanks,
)
from plait.document.spans import SHIFT, Items, Members, Node, Offsets, offsets_of, packed
from plait.model.json import JsonValue

_WS = r"[ \t\n\r]*"
_INTEGER = r"-?(?:0|[1-9][0-9]*)"
_REAL = rf"{_INTEGER}(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?"
# Groups 2 to 7: a string, integer, real or word, and its separator; or a bracket.
_VALUE = (
    rf"(?:(?:({STRING})|({_INTEGER})(?![.eE0-9])|({_REAL})|(true|false|null))"
    rf"{_WS}([,%s])|([{{\[]))"
)
_CLOSE_MAPPING, _CLOSE_LIST = "}", r"\]"
_MEMBER = re.compile(rf'{_WS}("[^"\\\x00-\x1f]*"){_WS}:{_WS}{_VALUE % _CLOSE_MAPPING}')
_ITEM = re.compile(rf"{_WS}((?!))?{_VALUE % _CLOSE_LIST}")
_SEPARATOR = re.compile(rf"{_WS}([,}}\]])")

# 20 digits is the longest number of 64 bits; with this many, sign included, all fit.
_FITTING_DIGITS_MAX = 18

_NOWHERE = (0, 0)
_UNFIT = object()


class JsonReader:
    """Reads one text. `_value` and `_nodes` are the mapping or list being filled."""

    def __init__(self, text: str, faults: Faults) -> None:
        self._text = text
        self._faults = faults
        self._pos = 0
        self._count = 0
        self._value: Any = None
        self._nodes: Any = None
        self._is_after_value = False
        self._outer: list[tuple[Any, Any]] = []
        self._root: tuple[JsonValue, Node] = (None, 0)

    def read(self) -> tuple[JsonValue, Node]:
        """Return the value of the whole text and where its parts stand.

        Faults may have been noted nevertheless; then the value is not to be used.

        Raises:
            Unreadable: What follows a fault cannot be understood.
        """
        self._open_root()
        while self._nodes is not None:
            taken = self._take_end() if self._is_after_value else self._take_plain()
            if not taken:
                self._take_one()
        pos = skip_blanks(self._text, self._pos, self._faults)
        if pos < len(self._text):
            message = "text after the end of the document"
            self._faults.stop("D016", message, "remove it", pos, pos + 1)
        return self._root

    def _open_root(self) -> None:
        text, faults = self._text, self._faults
        pos = skip_blanks(text, 0, faults)
        if text[pos : pos + 1] in ("{", "["):
            self._open(pos, "", _NOWHERE)
            return
        if pos == len(text):
            faults.stop("D003", "the document is empty", "", 0, 0)
        message = f"a document is a mapping: expected '{{', not {char_at(text, pos)}"
        hint = "YAML belongs into a file whose name ends in .yaml"
        faults.stop("D004", message, hint, pos, pos + 1)

    # The quick way.

    def _take_plain(self) -> bool:
        """Take what the pattern fits, up to where a mapping or list opens or closes.

        Returns:
            False when something stands at `_pos` that must be read the slow way.
        """
        text, values, nodes = self._text, self._value, self._nodes
        pos, count, limits = self._pos, self._count, self._faults.limits
        count_max, key_length_max = limits.nodes_max, limits.key_length_max
        is_mapping = type(values) is dict
        key_places = nodes.key_places if is_mapping else {}
        match = (_MEMBER if is_mapping else _ITEM).match
        key, key_start, key_end = "", 0, 0
        while count < count_max and (found := match(text, pos)) is not None:
            quoted, string, integer, real, word, separator, opener = found.groups()
            if is_mapping:
                key = quoted[1:-1]
                key_start, key_end = found.span(1)
                if key in nodes or len(key) > key_length_max:
                    break
            if opener is not None:
                self._count = count
                self._open(found.end() - 1, key, (key_start, key_end))
                return True
            value: Any
            if string is not None:
                start, end = found.span(2)
                value = string[1:-1] if "\\" not in string else _decoded(string)
            elif word is not None:
                value = CONSTANTS[word]
                start, end = found.span(5)
            elif integer is not None:
                start, end = found.span(3)
                value = int(integer) if len(integer) <= _FITTING_DIGITS_MAX else _UNFIT
            else:
                value = _finite(real)
                start, end = found.span(4)
            if value is _UNFIT:
                break
            count += 1
            pos = found.end()
            if is_mapping:
                values[key] = value
                key_places[key] = key_start << SHIFT | key_end
                nodes[key] = start << SHIFT | end
            else:
                values.append(value)
                nodes.append(start << SHIFT | end)
            if separator != ",":
                self._count = count
                self._close(pos)
                return True
        self._pos, self._count = pos, count
        return False

    def _take_end(self) -> bool:
        """Take the comma or bracket after a value; False if there is neither."""
        found = _SEPARATOR.match(self._text, self._pos)
        if found is None:
            return False
        if found[1] == ",":
            self._pos, self._is_after_value = found.end(), False
            return True
        fits = found[1] == self._closer()
        if fits:
            self._close(found.end())
        return fits

    def _open(self, at: int, key: str, key_place: Offsets) -> None:
        """Begin the mapping or list whose bracket stands at `at`."""
        faults = self._faults
        if self._nodes is not None:
            self._outer.append((self._value, self._nodes))
        if len(self._outer) >= faults.limits.depth_max:
            faults.too_deep((at, at + 1))
        is_mapping = self._text[at] == "{"
        value: Any = {} if is_mapping else []
        nodes: Any = Members() if is_mapping else Items()
        nodes.start = nodes.end = at
        if is_mapping:
            nodes.key_places = {}
        self._store(value, nodes, key, key_place)
        self._value, self._nodes = value, nodes
        self._pos, self._is_after_value = at + 1, False
        if self._text.startswith(self._closer(), at + 1):
            self._close(at + 2)

    def _store(self, value: JsonValue, node: Node, key: str, key_place: Offsets) -> None:
        """Put a value, and where it stands, into the current mapping or list."""
        self._count += 1
        if self._count > self._faults.limits.nodes_max:
            self._faults.too_many(offsets_of(node))
        if type(self._value) is dict:
            self._value[key] = value
            self._nodes.key_places[key] = packed(*key_place)
            self._nodes[key] = node
        elif self._nodes is not None:
            self._value.append(value)
            self._nodes.append(node)
        else:
            self._root = (value, node)

    def _close(self, end: int) -> None:
        """End the current mapping or list at `end`, and go on with the one around it."""
        self._nodes.end = self._pos = end
        self._is_after_value = True
        self._value, self._nodes = self._outer.pop() if self._outer else (None, None)

    def _closer(self) -> str:
        return "}" if type(self._value) is dict else "]"

    # The slow way.

    def _take_one(self) -> None:
        """Take one member, item, comma or bracket, whatever is wrong with it."""
        self._pos = skip_blanks(self._text, self._pos, self._faults)
        char = self._text[self._pos : self._pos + 1]
        if not char:
            self._never_closed()
        elif char in "}]":
            self._take_closer(char)
        elif self._is_after_value:
            self._take_comma(char)
        elif type(self._value) is dict:
            self._take_member()
        else:
            self._take_value("", _NOWHERE)

    def _never_closed(self) -> NoReturn:
        start = self._nodes.start
        message = f"this '{self._text[start]}' is never closed"
        hint = f"the text ends where a '{self._closer()}' is missing"
        self._faults.stop("D011", message, hint, start, start + 1)

    def _take_closer(self, char: str) -> None:
        pos, closer = self._pos, self._closer()
        if char != closer:
            line, column = self._faults.lines.position(self._nodes.start)
            opener = self._text[self._nodes.start]
            message = (
                f"expected '{closer}', not '{char}': "
                f"the '{opener}' at line {line}, column {column} is still open"
            )
            self._faults.stop("D010", message, "", pos, pos + 1)
        if self._nodes and not self._is_after_value:
            comma = self._text.rfind(",", 0, pos)
            message = f"a comma before '{char}'"
            self._faults.add("D020", message, "remove it", comma, comma + 1)
        self._close(pos + 1)

    def _take_comma(self, char: str) -> None:
        """Take the comma; where it is missing, go on as if it stood there."""
        self._is_after_value = False
        if char == ",":
            self._pos += 1
            return
        found = char_at(self._text, self._pos)
        message = f"expected ',' or '{self._closer()}', not {found}"
        place = (self._pos, self._pos + 1)
        if char not in "\"'{[-" and not char.isalnum():
            self._faults.stop("D010", message, "", *place)
        self._faults.add("D010", message, "is a comma missing before it?", *place)

    def _take_member(self) -> None:
        text, faults, start = self._text, self._faults, self._pos
        key, end = read_key(text, start, faults)
        place = (start, end)
        first = self._nodes.key_places.get(key)
        if first is not None:
            faults.duplicate_key(key, offsets_of(first), place, self._value[key])
        if len(key) > faults.limits.key_length_max:
            faults.long_key(len(key), place)
        pos = skip_blanks(text, end, faults)
        if text[pos : pos + 1] != ":":
            message = f"expected ':' after the key, not {char_at(text, pos)}"
            faults.stop("D010", message, "", pos, pos + 1)
        self._pos = skip_blanks(text, pos + 1, faults)
        self._take_value(key, place)

    def _take_value(self, key: str, key_place: Offsets) -> None:
        text, pos = self._text, self._pos
        if text[pos : pos + 1] in ("{", "["):
            self._open(pos, key, key_place)
            return
        if pos == len(text):
            self._never_closed()
        value, end = None, pos
        if text[pos] in ",}]":
            message = f"expected a value, not '{text[pos]}'"
            self._faults.add("D010", message, "write null for none", pos, pos + 1)
        else:
            value, end = read_scalar(text, pos, self._faults)
        self._store(value, packed(pos, end), key, key_place)
        self._pos, self._is_after_value = end, True


def _decoded(string: str) -> Any:
    """Return the text that `string`, quotes and escapes included, stands for."""
    try:
        return orjson.loads(string)
    except orjson.JSONDecodeError:
        return _UNFIT


def _finite(literal: str) -> Any:
    value = float(literal)
    return value if abs(value) != float("inf") else _UNFIT
