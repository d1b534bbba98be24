"""Who answers for a server's durability is said in its address."""

from __future__ import annotations

import pytest

from plait.stores.durability import without_durability


@pytest.mark.parametrize(
    ("url", "bare", "is_checked"),
    [
        ("redis://h/0", "redis://h/0", True),
        ("redis://h/0?durability=checked", "redis://h/0", True),
        ("redis://h/0?durability=unchecked", "redis://h/0", False),
        ("postgresql:///d?host=/run&durability=unchecked&a=b%20c", None, False),
    ],
)
def test_the_choice_is_taken_out_and_the_rest_stays(
    url: str, bare: str | None, is_checked: bool
) -> None:
    bare = bare or "postgresql:///d?host=/run&a=b%20c"
    assert without_durability(url) == (bare, is_checked)


@pytest.mark.parametrize(
    "options",
    ["durability=maybe", "durability=", "durability=checked&durability=unchecked"],
)
def test_any_other_choice_is_refused(options: str) -> None:
    with pytest.raises(ValueError, match="durability"):
        without_durability(f"redis://h/0?{options}")
