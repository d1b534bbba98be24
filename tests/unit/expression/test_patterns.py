"""The weight of a regular expression is what it unrolls to."""

from __future__ import annotations

import pytest

from plait.expression.patterns import Weight, made_weight, weight_of


@pytest.mark.parametrize(
    ("pattern", "letters", "optional", "classes"),
    [
        ("", 0, 0, 0),
        ("abc", 3, 0, 0),
        ("^a.b$", 12, 0, 0),
        ("a{10}", 10, 0, 0),
        ("a{2,10}", 10, 8, 0),
        ("a{3,}", 3, 1, 0),
        ("a{0}", 1, 0, 0),
        ("a{x}", 4, 0, 0),
        ("a?b*c+", 3, 3, 0),
        ("(ab){5}", 15, 0, 0),
        ("((a{2}){3}){4}", 40, 0, 0),
        (r"\p{Greek}{3}", 210, 0, 3),
        (r"\d+\.", 2, 1, 0),
        ("[a-z]{4}", 20, 0, 0),
        (r"[\pL]", 75, 0, 1),
        ("(?i)ab", 8, 2, 0),
        ("(a", 2, 0, 0),
        ("a)", 2, 0, 0),
    ],
)
def test_a_pattern_has_its_weight(
    pattern: str, letters: int, optional: int, classes: int
) -> None:
    assert weight_of(pattern) == Weight(letters, optional, classes)


def test_repetitions_inside_repetitions_multiply() -> None:
    assert weight_of("(a{1,900}){9}").optional == 899 * 9
    assert weight_of("a{1,900}" * 100).call_ns() > 1_000_000_000


def test_a_hostile_pattern_is_weighed_without_unrolling_it() -> None:
    assert (
        weight_of("(" * 50 + "a" + "{999999999}" * 1 + "){999999999}" * 50).letters > 10**6
    )


def test_a_pattern_made_at_run_time_is_heavy_only_if_it_may_repeat() -> None:
    assert made_weight(20, may_repeat=True).call_ns() > 100_000_000
    assert made_weight(20, may_repeat=False).call_ns() < 100_000
