"""Places: pointers are RFC 6901."""

from __future__ import annotations

import pytest

from plait.model.place import pointer_to


@pytest.mark.parametrize(
    ("segments", "expected"),
    [
        ((), ""),
        (("steps", 0, "id"), "/steps/0/id"),
        (("a/b", "m~n", "~1"), "/a~1b/m~0n/~01"),
        (("", "${x}"), "//${x}"),
    ],
)
def test_segments_are_escaped(segments: tuple[str | int, ...], expected: str) -> None:
    assert pointer_to(*segments) == expected
