"""Which texts are plain paths, and how a path is written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait.expression.paths import Read, format_path, parse_path, sort_key


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("a", ("a",)),
        ("a.b.c", ("a", "b", "c")),
        ('a["b c"][0]', ("a", "b c", 0)),
        ("a['b']", ("a", "b")),
        ("a.`x-y`.z", ("a", "x-y", "z")),
        ("a . b [ 'c' ]\n.d", ("a", "b", "c", "d")),
        ("package.import", ("package", "import")),
        ("a[007]", ("a", 7)),
        ('a[""]', ("a", "")),
    ],
)
def test_a_chain_of_constant_keys_is_a_path(text: str, path: Read) -> None:
    assert parse_path(text) == path


@pytest.mark.parametrize(
    "text",
    [
        "true",
        "null",
        "in",
        "1",
        "a.",
        ".a",
        "a.b()",
        "a[b]",
        "a[-1]",
        "a[1u]",
        "a.?b",
        'a["\\n"]',
        'a["""b"""]',
        "a[1.0]",
        "a + b",
        "a b",
        "a[1234567890123456789]",
        "",
    ],
)
def test_anything_else_is_no_path(text: str) -> None:
    assert parse_path(text) is None


@given(
    st.lists(
        st.one_of(
            st.integers(0, 99),
            st.text(st.characters(codec="utf-8", exclude_characters='"\\\n\r\0')),
        )
    )
)
def test_a_written_path_is_read_back(steps: list[str | int]) -> None:
    path: Read = ("root", *steps)
    assert parse_path(format_path(path)) == path


def test_paths_sort_by_text_whatever_their_steps_are() -> None:
    paths: list[Read] = [("a", "b"), ("a", 1), ("a",), ("B",), ("a", "1")]
    assert sorted(paths, key=sort_key) == [
        ("B",),
        ("a",),
        ("a", "1"),
        ("a", "b"),
        ("a", 1),
    ]
