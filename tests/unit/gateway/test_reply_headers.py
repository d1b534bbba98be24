"""Headers that documents set: what may be sent, and that nothing else is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait.gateway.reply_headers import (
    RESERVED,
    InvalidHeader,
    header_problem,
    render_headers,
)


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ("a b", b"a b"),
        (3, b"3"),
        (2.5, b"2.5"),
        (True, b"true"),
        ("é", b"\xe9"),
        (" x ", b"x"),
        ("", b""),
    ],
)
def test_plain_values_are_sent_as_text(value: Any, sent: bytes) -> None:
    assert render_headers({"X-A": value}) == [(b"x-a", sent)]


def test_null_leaves_out_and_a_list_repeats() -> None:
    assert render_headers({"A": None, "B": ["1", None, 2]}) == [(b"b", b"1"), (b"b", b"2")]


@pytest.mark.parametrize(
    "value",
    ["a\r\nSet-Cookie: x", "a\nb", "a\rb", "a\0b", "a\x7fb", "€", "x" * 4097, {}, [[]]],
)
def test_what_would_break_the_reply_is_refused(value: Any) -> None:
    with pytest.raises(InvalidHeader, match="X-A") as caught:
        render_headers({"X-A": value})
    assert caught.value.as_failure().code == "reply.invalid_header"


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding", "Plait-Completed"])
def test_headers_of_the_gateway_itself_are_never_set(name: str) -> None:
    assert "gateway itself" in header_problem(name)
    assert render_headers({name: "1"}) == []


@pytest.mark.parametrize("name", ["", "a b", "a:", "é", "a\r\n"])
def test_what_is_no_name_is_told_and_left_out(name: str) -> None:
    assert "no header name" in header_problem(name)
    assert render_headers({name: "1"}) == []


def test_reserved_names_are_written_as_they_are_compared() -> None:
    assert {name.lower() for name in RESERVED} == RESERVED


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=20)))
def test_whatever_is_rendered_stays_within_its_line(headers: dict[str, str]) -> None:
    try:
        found = render_headers(dict(headers))
    except InvalidHeader:
        return
    for name, value in found:
        assert not {b"\r"[0], b"\n"[0], 0} & {*name, *value}
