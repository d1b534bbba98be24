"""Protobuf's wire format is read and written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait.expression.wire import (
    WireError,
    bytes_field,
    double_field,
    double_of,
    fields_of,
    int_field,
    signed,
)


@given(st.integers(1, 1000), st.integers(-(2**63), 2**63 - 1))
def test_a_number_is_read_back(number: int, value: int) -> None:
    ((found, content),) = fields_of(int_field(number, value))
    assert found == number
    assert isinstance(content, int)
    assert signed(content) == value


@given(st.floats(allow_nan=False))
def test_a_double_is_read_back(value: float) -> None:
    ((_, content),) = fields_of(double_field(5, value))
    assert isinstance(content, bytes)
    assert double_of(content) == value


@given(st.lists(st.binary(max_size=300), max_size=4))
def test_fields_are_read_in_order(contents: list[bytes]) -> None:
    message = b"".join(bytes_field(2, content) for content in contents)
    assert [content for _, content in fields_of(message)] == contents


@pytest.mark.parametrize("message", [b"\x08", b"\x12\x05ab", b"\x09\x01", b"\xff", b"\x0b"])
def test_bytes_that_are_no_message_are_refused(message: bytes) -> None:
    with pytest.raises(WireError):
        list(fields_of(message))
