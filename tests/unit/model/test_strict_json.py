"""Integers that readers of JSON would not read alike."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from plait.model.strict_json import INT_MAX, INT_MIN, Path, wide_integers

AROUND_64_BITS = st.one_of(
    st.integers(INT_MIN - 2, INT_MIN + 1),
    st.integers(INT_MAX - 1, INT_MAX + 2),
    st.integers(-(10**21), 10**21),
)
# Texts of digits are no numbers; other digits than ASCII's are none in JSON.
ITEMS = st.one_of(AROUND_64_BITS, st.text("0123456789٣-", max_size=24), st.just(1e300))


@given(st.lists(ITEMS, max_size=8))
def test_just_the_integers_beyond_64_bits_are_found(items: list[int | str | float]) -> None:
    wide: list[Path] = [
        (number,)
        for number, item in enumerate(items)
        if isinstance(item, int) and not INT_MIN <= item <= INT_MAX
    ]
    found = wide_integers(json.dumps(items, ensure_ascii=False).encode())
    assert found == sorted(wide, key=str)
