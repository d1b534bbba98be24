"""Canonical bytes: one way to write each value."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait.model.json import JsonValue, canonical_bytes

KEYED = st.dictionaries(st.text(max_size=4), st.integers(-9, 9), max_size=6)


@given(KEYED)
def test_the_order_of_keys_makes_no_difference(value: dict[str, int]) -> None:
    turned: JsonValue = dict(reversed(value.items()))
    assert canonical_bytes(turned) == canonical_bytes(dict(value))


def test_integer_and_double_stay_different() -> None:
    assert canonical_bytes([1, 1.0]) == b"[1,1.0]"


def test_what_json_cannot_hold_is_refused() -> None:
    with pytest.raises(TypeError):
        canonical_bytes({"a": {1, 2}})  # type: ignore[dict-item]
