"""The protobuf wire format: messages as lists of numbered fields, read and written.

Only what the CEL library's serialised trees need. Field numbers and their meaning are in
plait.expression.syntax.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, TypeAlias

# The content of a field: a varint or the eight bytes of a double as an int, else bytes.
Content: TypeAlias = "int | bytes"
Field: TypeAlias = "tuple[int, Content]"

_VARINT: Final = 0
_FIXED64: Final = 1
_BYTES: Final = 2
_FIXED32: Final = 5
_INT64: Final = 1 << 64


class WireError(ValueError):
    """The bytes are no protobuf message."""


def fields_of(message: bytes) -> Iterator[Field]:
    """Yield the fields of `message` in order.

    Raises:
        WireError: `message` is cut short or holds an unknown wire type.

    >>> list(fields_of(text_field(1, "ab") + int_field(2, 300)))
    [(1, b'ab'), (2, 300)]
    """
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == _VARINT:
            content, at = _varint(message, at)
            yield number, content
            continue
        if wire_type == _BYTES:
            size, at = _varint(message, at)
        elif wire_type in (_FIXED64, _FIXED32):
            size = 8 if wire_type == _FIXED64 else 4
        else:
            raise WireError(f"wire type {wire_type}")
        end = at + size
        if end > len(message):
            raise WireError("cut short")
        yield number, message[at:end]
        at = end


def signed(value: int) -> int:
    """Return the int64 that the varint `value` stands for."""
    return value - _INT64 if value >= _INT64 >> 1 else value


def double_of(content: bytes) -> float:
    """Return the double that eight bytes hold."""
    value: float = struct.unpack("<d", content)[0]
    return value


def int_field(number: int, value: int) -> bytes:
    """Return a varint field."""
    return _put(number << 3 | _VARINT) + _put(value % _INT64)


def double_field(number: int, value: float) -> bytes:
    """Return a field that holds a double."""
    return _put(number << 3 | _FIXED64) + struct.pack("<d", value)


def bytes_field(number: int, content: bytes) -> bytes:
    """Return a field that holds bytes or a message."""
    if len(content) < 0x80:
        return bytes((number << 3 | _BYTES, len(content))) + content
    return _put(number << 3 | _BYTES) + _put(len(content)) + content


def text_field(number: int, text: str) -> bytes:
    """Return a field that holds text."""
    return bytes_field(number, text.encode())


def _put(value: int) -> bytes:
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message):
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise WireError("cut short")
